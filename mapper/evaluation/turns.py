"""Two groups one after the other, or in turns? Every way is simulated on copies of the caches, and the best runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mapper.cost.objective import Goal, objective_value
from mapper.errors import MappingError
from mapper.evaluation.evaluate import Evaluation, Evaluator
from mapper.graph.fusion_group import FusionGroup
from mapper.graph.interleaving import Interleaving
from mapper.lowering.repeated_program import MatmulInstance, RepeatedProgram

Turn = tuple[FusionGroup, MatmulInstance]
"""A program, and the group whose part it is."""


class TurnsCost(NamedTuple):
    """What two groups take on the machine."""

    cycles: int
    energy_pj: float
    dram_bytes: int


@dataclass(frozen=True, slots=True)
class TurnsChoice:
    """How two groups run, and what that is worth."""

    how: Interleaving
    spent: TurnsCost
    apart: TurnsCost | None = None
    """Of the same groups one after the other; None if that was not tried."""


def run_pair(
    evaluator: Evaluator,
    groups: tuple[FusionGroup, FusionGroup],
    lower: Callable[[FusionGroup], Iterable[RepeatedProgram]],
    ways: Mapping[Interleaving, Callable[[], Iterable[Turn]]],
    goal: Goal,
) -> tuple[tuple[Evaluation, ...], TurnsChoice | None]:
    """Run two groups in the best way; return what each costs, and the way if it is in turns.

    Parameters
    ----------
    evaluator
        The caches before them; advanced.
    groups
        The one that makes a tensor, and the one that reads it.
    lower
        Returns the programs of a group that runs alone.
    ways
        The programs of both in turns, by how they take them.
    goal
        What is minimised.
    """
    winner = evaluator.copied()
    apart = tuple(winner.run(group, lower(group)) for group in groups)
    best, chosen = apart, None
    for how, turns in ways.items():
        copy = evaluator.copied()
        try:
            tried = copy.run_in_turns(groups, turns())
        except MappingError:
            # What stays in the scratchpad may leave too little for tiles.
            continue
        if _value(goal, tried) < _value(goal, best):
            best, winner, chosen = tried, copy, how
    evaluator.take_over(winner)
    if chosen is None:
        return best, None
    return best, TurnsChoice(chosen, _spent(best), _spent(apart))


def run_given(
    evaluator: Evaluator, groups: tuple[FusionGroup, FusionGroup], turns: Iterable[Turn], how: Interleaving
) -> tuple[tuple[Evaluation, ...], TurnsChoice]:
    """Run two groups in the one way that is asked for; return what each costs."""
    evaluations = evaluator.run_in_turns(groups, turns)
    return evaluations, TurnsChoice(how, _spent(evaluations))


def _value(goal: Goal, evaluations: Sequence[Evaluation]) -> float:
    cycles, energy_pj, _ = _spent(evaluations)
    return objective_value(goal, float(cycles), energy_pj)


def _spent(evaluations: Sequence[Evaluation]) -> TurnsCost:
    reports = [evaluation.simulation for evaluation in evaluations]
    return TurnsCost(
        sum(report.cycles for report in reports),
        sum(report.energy_pj for report in reports),
        sum(report.dram_bytes for report in reports),
    )
