"""The last word by simulation: the best few mappings by the estimate, each simulated on a cold machine.

The estimate ranks a space, the simulation settles the order of the first. Mappings that lower to the same program count
once. For energy the two fidelities agree except for what the caches in front of DRAM fetch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.energy import priced
from mapper.cost.estimate import estimate
from mapper.cost.objective import Objective, objective_value
from mapper.errors import MappingError
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.search.exact.hardware_loops import Proved, ranked
from simulator.machine import simulate
from simulator.report import Report

COUNT = 8

Progress = Callable[[int, int], object]
"""Called after each simulation with the number done and the number of all."""


@dataclass(frozen=True, slots=True)
class Finalist:
    """One of the best mappings by the estimate, and what the simulation says about it."""

    place: int
    """By the estimate that the search used; 1 is the best."""
    mapping: LoopNest
    loop: HardwareLoop
    searched_cycles: float
    """What the search took it to cost: it knows the caches by reuse distances."""
    searched_energy_pj: float
    estimate: Report
    """With its requests replayed through cold caches."""
    simulation: Report

    def value(self, objective: Objective) -> float:
        """Return what the simulation says of an objective [cycles, pJ, or their product]."""
        return objective_value(objective, float(self.simulation.cycles), self.simulation.energy_pj)


@dataclass(frozen=True, slots=True)
class Finalists:
    """Finalists in the order of the simulation; the first one wins."""

    rows: tuple[Finalist, ...]
    objective: Objective
    proved: Proved
    """The search that they come from."""

    @property
    def winner(self) -> Finalist:
        """The best by simulation."""
        return self.rows[0]

    @property
    def gain(self) -> float:
        """How much better the winner simulates than the best by the estimate [fraction]."""
        (first,) = (row for row in self.rows if row.place == 1)
        return 1.0 - self.winner.value(self.objective) / first.value(self.objective)


def finalists(
    problem: MatmulProblem,
    spec: HardwareSpec,
    energy: EnergyModel,
    objective: Objective = "latency",
    count: int = COUNT,
    progress: Progress | None = None,
) -> Finalists:
    """Simulate the ``count`` best mappings by the estimate, or all that there are; pick the winner by simulation.

    Ties go to the better place by the estimate.

    Raises
    ------
    MappingError
        When there is no mapping, ``count`` is not positive, or as `mapper.search.exact.hardware_loops.search`.
    """
    if count < 1:
        raise MappingError(f"{count} finalists; at least 1 is needed")
    proved, best = ranked(problem, spec, energy, objective, count)
    rows: list[Finalist] = []
    for place, member in enumerate(best, start=1):
        program = lower_matmul(problem, member.loop, spec)
        simulated = priced(simulate(program, spec, exact=True), energy)
        expected = estimate(member.loop, problem, spec, energy, program=program, moved=simulated.counts)
        rows.append(
            Finalist(
                place,
                member.mapping,
                member.loop,
                member.cycles,
                member.energy_pj,
                expected,
                simulated,
            )
        )
        if progress is not None:
            progress(place, len(best))
    rows.sort(key=lambda row: (row.value(objective), row.place))
    return Finalists(tuple(rows), objective, proved)
