"""The last word by simulation: the mappings that were simulated before one was taken, and the one that was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from mapper.cost.objective import Objective, objective_value
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.loop_nest import LoopNest
from mapper.search.exact.hardware_loops import Proved
from simulator.report import Report


@dataclass(frozen=True)
class Finalist:
    """One of the mappings that were simulated, and what both fidelities say about it."""

    place: int
    """By the estimate that the search used, among all that might have won; 1 is the proved best."""
    mapping: LoopNest
    loop: HardwareLoop
    searched_cycles: float
    """What the search took it to cost: it knows the caches by reuse distances."""
    searched_energy_pj: float
    estimator: Callable[[], Report] = field(repr=False)
    simulation: Report

    @cached_property
    def estimate(self) -> Report:
        """With its requests replayed through the caches that the simulation found; made when it is first asked for."""
        return self.estimator()

    def value(self, objective: Objective) -> float:
        """Return what the simulation says of an objective [cycles, pJ, or their product]."""
        return objective_value(objective, float(self.simulation.cycles), self.simulation.energy_pj)


@dataclass(frozen=True, slots=True, eq=False)
class Finalists:
    """What was simulated: the winner, then the others in the order of the simulation."""

    rows: tuple[Finalist, ...]
    objective: Objective
    proved: Proved
    """The search that they come from."""
    considered: int
    """Mappings that might have won by the estimate and its error, simulated or not."""

    @property
    def winner(self) -> Finalist:
        """The best by simulation; of those as good within half a per cent, the one with the least energy."""
        return self.rows[0]

    @property
    def gain(self) -> float:
        """How much better the winner simulates than the best by the estimate [fraction]; negative within a tie."""
        (first,) = (row for row in self.rows if row.place == 1)
        return 1.0 - self.winner.value(self.objective) / first.value(self.objective)

    def statement(self) -> str:
        """Return one sentence on how the winner was settled."""
        number = f"{len(self.rows)} simulated of {self.considered} that might win"
        if self.winner.place == 1:
            return f"settled by simulation: the proved best of the estimate stays, best of {number}"
        first = next(row for row in self.rows if row.place == 1)
        changes = ", ".join(
            f"{after / before - 1.0:+.2%} {name}"
            for name, after, before in (
                ("cycles", self.winner.simulation.cycles, first.simulation.cycles),
                ("energy", self.winner.simulation.energy_pj, first.simulation.energy_pj),
            )
        )
        return f"settled by simulation: best of {number}; against the proved best of the estimate {changes}"
