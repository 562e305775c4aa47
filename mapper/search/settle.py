"""What a search found settled on the machine: who may win is simulated, and the best, or the front, is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from mapper.cost.objective import objective_value
from mapper.mapping.hardware_loop import HardwareLoop, hardware_loop_of
from mapper.nest.bounds.pareto import staircase
from mapper.search.contenders import Contender
from mapper.search.contest import Contest
from mapper.search.finalists import Finalist, Finalists
from mapper.search.mapping_result import FrontPoint, MappingResult, SearchInterrupted, SimulatedFront
from simulator.report import Report


class Trial(Protocol):
    """Tries mappings of one matmul in the caches as they are, which stay so."""

    def __call__(self, loop: HardwareLoop) -> tuple[Callable[[], Report], Report]:
        """Simulate a stretch of a mapping; return what estimates it in the same caches, and the simulation."""

    def confirmed(self, loop: HardwareLoop) -> Report:
        """Return the default simulation of a mapping that was tried."""

    def dynamic_pj(self, loop: HardwareLoop) -> float:
        """Count a mapping's actions and price them [pJ]."""

    def least_cycles(self) -> float:
        """Return cycles that no mapping stays below in these caches."""


def settled(result: MappingResult, trial: Trial) -> MappingResult:
    """Return a search's result with the mapping that wins on the machine.

    A result without contenders, such as a mapping that was given, is returned as it is.

    Raises
    ------
    SearchInterrupted
        When the user ended it; it carries the result of the search.
    """
    if result.contenders is None:
        return result
    contest = Contest(result.contenders, trial.dynamic_pj, trial.least_cycles())
    reports: dict[HardwareLoop, tuple[Callable[[], Report], Report]] = {}
    try:
        _hold(contest, trial, reports)
    except KeyboardInterrupt:
        statement = f"{result.statement}; not settled by simulation: interrupted"
        raise SearchInterrupted(replace(result, statement=statement, interrupted=True)) from None
    final = _finalists(contest, result, reports)
    winner = final.winner
    return replace(
        result,
        mapping=winner.mapping,
        statement=f"{result.statement}; {final.statement()}",
        estimated=FrontPoint(winner.mapping, winner.searched_cycles, winner.searched_energy_pj),
        finalists=final,
        contenders=None,
    )


def _hold(contest: Contest, trial: Trial, reports: dict[HardwareLoop, tuple[Callable[[], Report], Report]]) -> None:
    """Simulate stretches of whom the contest asks for, and its winner as runs are.

    A winner that its stretch has flattered hands on to the next best, or to one that may win against that.
    """
    confirmed: set[HardwareLoop] = set()
    while True:
        while (contender := contest.next()) is not None:
            _, simulated = reports[contender.loop] = trial(contender.loop)
            contest.tell(contender, simulated.cycles, simulated.energy_pj, simulated.dram_bytes)
        loop = contest.winner.contender.loop
        if loop in confirmed:
            return
        confirmed.add(loop)
        simulated = trial.confirmed(loop)
        reports[loop] = reports[loop][0], simulated
        contest.correct(simulated.cycles, simulated.energy_pj, simulated.dram_bytes)


def _finalists(
    contest: Contest, result: MappingResult, reports: dict[HardwareLoop, tuple[Callable[[], Report], Report]]
) -> Finalists:
    contenders, winner = result.contenders, contest.winner
    assert contenders is not None
    objective = contenders.objective
    places = contest.places()

    def finalist(contender: Contender) -> Finalist:
        loop = contender.loop
        return Finalist(
            places[loop],
            contenders.space.nest(loop),
            loop,
            contender.cycles,
            contender.energy_pj,
            *reports[loop],
        )

    losers = sorted(
        (row for row in contest.simulated if row is not winner),
        key=lambda row: (row.value(objective), places[row.contender.loop]),
    )
    rows = tuple(finalist(row.contender) for row in (winner, *losers))
    return Finalists(rows, objective, contenders.proved, len(places))


class _Remembered:
    """Trials of which none is repeated."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._reports: dict[HardwareLoop, tuple[Callable[[], Report], Report]] = {}
        self._confirmed: set[HardwareLoop] = set()

    def __call__(self, loop: HardwareLoop) -> tuple[Callable[[], Report], Report]:
        if loop not in self._reports:
            self._reports[loop] = self._trial(loop)
        return self._reports[loop]

    def confirmed(self, loop: HardwareLoop) -> Report:
        estimator, report = self(loop)
        if loop not in self._confirmed:
            self._confirmed.add(loop)
            report = self._trial.confirmed(loop)
            self._reports[loop] = estimator, report
        return report

    def best(self, loops: Sequence[HardwareLoop]) -> list[int]:
        """Return which mappings no other one beats, all of them simulated as runs are.

        A stretch may flatter a mapping; those that it has kept from the front come back once that is known.
        """
        while True:
            rows = _best(self(loop)[1] for loop in loops)
            new = [loops[row] for row in rows if loops[row] not in self._confirmed]
            if not new:
                return rows
            for loop in new:
                self.confirmed(loop)

    def dynamic_pj(self, loop: HardwareLoop) -> float:
        if loop not in self._reports:
            return self._trial.dynamic_pj(loop)
        _, report = self._reports[loop]
        return report.energy_pj - report.static_pj

    def least_cycles(self) -> float:
        return self._trial.least_cycles()


def settled_front(result: MappingResult, singles: Iterable[MappingResult], trial: Trial) -> MappingResult:
    """Return a front by simulation: its mappings, and those simulated for single objectives, that no other one beats.

    Parameters
    ----------
    result
        The front by the estimate.
    singles
        Results of searches of the same matmul for single objectives, to be settled.
    trial
        As of `settled`.
    """
    tried = _Remembered(trial)
    points = {hardware_loop_of(point.mapping): point for point in result.front}
    of_estimate = set(points)
    for single in singles:
        final = settled(single, tried).finalists
        for row in final.rows if final is not None else ():
            points.setdefault(row.loop, FrontPoint(row.mapping, row.searched_cycles, row.searched_energy_pj))
    loops, kept = list(points), tried.best(list(points))
    simulated = [tried(loop)[1] for loop in loops]
    front = tuple(
        FrontPoint(points[loops[row]].mapping, float(simulated[row].cycles), simulated[row].energy_pj) for row in kept
    )
    least = min(range(len(kept)), key=lambda place: objective_value("pareto", *front[place][1:]))
    estimates = tuple((points[loops[row]].cycles, points[loops[row]].energy_pj) for row in kept)
    dropped = len(of_estimate) - len(of_estimate & {loops[row] for row in kept})
    return replace(
        result,
        mapping=front[least].mapping,
        estimated=points[loops[kept[least]]],
        front=front,
        front_simulated=SimulatedFront(estimates, len(loops), dropped),
    )


def _best(reports: Iterable[Report]) -> list[int]:
    """Return which reports no other one beats in cycles and energy."""
    cycles, energy_pj = zip(*((float(report.cycles), report.energy_pj) for report in reports), strict=True)
    rows: list[int] = staircase(np.array(cycles), np.array(energy_pj)).tolist()
    return rows
