"""One number to compare candidates by: a weighted sum of the logarithms of cycles and energy.

With equal weights it orders like the EDP. For a Pareto front every member of a population gets a weight of its own, so
that together they press on the whole front.
"""

from __future__ import annotations

import numpy as np

from mapper.cost.costs import Costs
from mapper.cost.objective import Goal, cycles_weight
from simulator.arrays import Floats


def weights(goal: Goal, members: int) -> Floats:
    """Weight of the cycles for each member of a population; the rest is the energy's."""
    if goal == "pareto":
        return np.linspace(0.0, 1.0, members)
    return np.full(members, cycles_weight(goal))


TIE = 1e-6
"""Weight left to the other metric: it settles ties and plateaus of the first."""


def mixed(costs: Costs, of_cycles: Floats) -> Floats:
    """Return what is to be minimised: equal steps are equal fractions."""
    weight = TIE + (1.0 - 2.0 * TIE) * of_cycles
    value: Floats = weight * np.log(costs.cycles) + (1.0 - weight) * np.log(np.maximum(costs.energy_pj, 1e-30))
    return 2.0 * value if np.all(of_cycles == 0.5) else value
