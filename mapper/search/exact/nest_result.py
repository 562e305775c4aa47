"""What the exact search of loop nests returns: the best mapping or the front, and what was proved of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mapper.cost.objective import Goal, objective_value
from mapper.mapping.loop_nest import LoopNest
from mapper.nest.mapspace.constraints import Constraints


@dataclass(frozen=True, slots=True)
class PricedNest:
    """A mapping and what the kernel says of it."""

    mapping: LoopNest
    cycles: int
    energy_pj: float
    footprint_words: int

    @property
    def edp(self) -> float:
        """Energy times delay [pJ cycles]."""
        return self.score("edp")

    def score(self, goal: Goal) -> float:
        """Return the number that a goal minimises [cycles, pJ or pJ cycles]."""
        return objective_value(goal, float(self.cycles), self.energy_pj)

    def constraints(self) -> Constraints:
        """Return the constraints that leave exactly this mapping."""
        return Constraints.of(self.mapping)


@dataclass(frozen=True, slots=True)
class NestResult:
    """The best mapping of a space, and what is known of the others."""

    objective: Goal
    status: Literal["optimal", "stopped"]
    """optimal: nothing in the space is better; stopped: the budget or an interrupt came first."""
    best: PricedNest
    """Of ``"pareto"``, the point with the least EDP."""
    front: tuple[PricedNest, ...]
    """Points that no other one beats in cycles and energy, fewest cycles first; of one objective, the best alone."""
    lower_bound: float
    """No mapping has a smaller score [cycles, pJ or pJ cycles; of ``"pareto"`` the EDP]."""
    covered: int
    """Mappings of the space, legal or not: all of them are ruled out or found when the status is optimal."""
    rows: int
    """Combinations of chains whose cost was computed."""
    classes: int
    """Classes of loop orders, over all variants."""
    pruned: int
    """Those that bounds ruled out before any combination was priced."""
    space: str
    """Axes with units, keep sets and the rule for ragged tiles: what the proof is about."""
    accounting: str
    """Its name and switches."""
    cpu_s: float
    wall_s: float

    @property
    def score(self) -> float:
        """Of the best mapping."""
        return self.best.score(self.objective)

    @property
    def gap(self) -> float:
        """How far the best may be above the optimum, relative to the bound; 0 when proved."""
        return self.score / self.lower_bound - 1.0 if self.lower_bound > 0 else np.inf

    def claim(self) -> str:
        """Return what holds, in words."""
        where = f"{self.covered:,} mappings, accounting {self.accounting}"
        if self.status == "optimal":
            return f"optimal ({self.objective}) among {where}: {self.rows:,} rows, {self.classes} order classes"
        return f"stopped ({self.objective}) among {where}: at most {self.gap:.2%} above the optimum"
