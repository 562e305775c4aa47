"""What to expect of each contender on the machine: its estimate, and the errors of estimates of mappings like it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mapper.cost.objective import Objective, objective_value
from mapper.search.contenders import Contender
from mapper.search.estimate_errors import NOISE, NOISE_CYCLES, EstimateErrors
from simulator.arrays import Bools, Floats


class Expectations:
    """Contenders in columns, and what simulations and replays told of them.

    Parameters
    ----------
    objective
        What is minimised.
    static_pj_per_cycle
        What the die leaks [pJ].
    least_cycles
        What no contender stays below; each has a floor of its own, too.
    """

    def __init__(self, objective: Objective, static_pj_per_cycle: float, least_cycles: float) -> None:
        self._objective: Objective = objective
        self._static_pj = static_pj_per_cycle
        self._least_cycles = least_cycles
        self._errors = EstimateErrors(), EstimateErrors()
        """Of cycles and of dynamic energies."""
        self.rows: list[Contender] = []
        self.is_waiting: Bools = np.zeros(0, dtype=np.bool_)
        """Who was not simulated yet."""
        self._told_pj: Floats = np.zeros(0)
        """Dynamic energies, certain from a replay or a simulation [pJ]; nan where there was none."""

    def join(self, others: Sequence[Contender]) -> None:
        """Add those that are new."""
        known = {row.loop for row in self.rows}
        # The tile of the library may be there twice.
        new = list({row.loop: row for row in others if row.loop not in known}.values())
        loops = [row.loop for row in new]
        cycles, energies = self._errors
        cycles.join(loops, np.array([math.hypot(NOISE, NOISE_CYCLES / row.cycles) for row in new]))
        energies.join(loops, np.full(len(new), NOISE))
        self.rows += new
        self.is_waiting = np.concatenate([self.is_waiting, np.ones(len(new), dtype=np.bool_)])
        self._told_pj = np.concatenate([self._told_pj, np.full(len(new), np.nan)])
        columns = np.array([(row.cycles, row.energy_pj, row.floor_cycles, row.seconds) for row in self.rows])
        self._cycles, energy_pj, floor, self.seconds = columns.T
        self._floor = np.maximum(floor, self._least_cycles)
        self._dynamic_pj = energy_pj - self._static_pj * self._cycles

    @property
    def is_weighed(self) -> Bools:
        """Whose energy is certain, but for what leaks in its cycles."""
        return ~np.isnan(self._told_pj)

    def weigh(self, row: int, dynamic_pj: float) -> None:
        """Hear the dynamic energy of a contender."""
        if math.isnan(self._told_pj[row]):
            self._told_pj[row] = dynamic_pj
            self._errors[1].tell(row, dynamic_pj, float(self._dynamic_pj[row]))

    def tell(self, contender: Contender, cycles: float, energy_pj: float) -> None:
        """Hear what the simulation of a contender says."""
        row = self.rows.index(contender)
        self.is_waiting[row] = False
        self._errors[0].tell(row, cycles, contender.cycles)
        self.weigh(row, energy_pj - self._static_pj * cycles)

    @property
    def doubt(self) -> float:
        """How large the errors of cycles are [times the usual variance]."""
        return self._errors[0].size

    @property
    def energy_doubt(self) -> float:
        """How large the errors of dynamic energies are [times the usual variance]."""
        return self._errors[1].size

    def metrics(self, hope: float) -> tuple[Floats, Floats]:
        """Return cycles and energy of every contender, by so many deviations better than expected [cycles, pJ]."""
        slower, dearer = (errors.factors(hope) for errors in self._errors)
        cycles = np.maximum(self._floor, self._cycles * slower)
        dynamic_pj = np.where(self.is_weighed, self._told_pj, self._dynamic_pj * dearer)
        return cycles, dynamic_pj + self._static_pj * cycles

    def values(self, hope: float) -> Floats:
        """Return the objective of those that wait; infinity for the others [cycles, pJ, or their product]."""
        values: Floats = np.where(self.is_waiting, objective_value(self._objective, *self.metrics(hope)), np.inf)
        return values
