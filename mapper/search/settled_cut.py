"""Fuse or not, settled by simulation: the best cut by the estimate runs beside the one without row-wise fusion.

Where the two differ, each fused group stands against the operators that it replaces, on the machine. If some of the
groups lose, a cut with the others runs as well. The best of what ran is taken, so that no run is worse for fusion in
what it minimises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from mapper.cost.objective import Goal, objective_value
from mapper.graph.fusion_cuts import Cut
from mapper.graph.fusion_group import FusionGroup
from simulator.report import Report


class CutRun(Protocol):
    """What a run of a cut says."""

    @property
    def groups(self) -> tuple[FusionGroup, ...]:
        """The groups of the cut."""

    @property
    def simulation(self) -> Report:
        """The model, with a report for each operator."""


Run = TypeVar("Run", bound=CutRun)


class Spent(NamedTuple):
    """What operators take on the machine."""

    cycles: int
    energy_pj: float
    dram_bytes: int
    beats: int
    """Of the bus between the DMA and the L2, or the DRAM without one."""


@dataclass(frozen=True, slots=True)
class GroupGain:
    """A fused group, and the operators that it replaces, on the machine."""

    operators: tuple[str, ...]
    fused: Spent
    unfused: Spent


def settled_cut(unfused: Run, proposed: Cut, objective: Goal, run: Callable[[Cut], Run]) -> Run:
    """Return the best run: of the cut without fusion, of the proposed one, or of the part of it that wins.

    Parameters
    ----------
    unfused
        The run of the cut without row-wise fusion.
    proposed
        The cut to be held against it.
    objective
        What is minimised.
    run
        Runs a cut.
    """
    plain = _names(unfused.groups)
    runs = [unfused, run(proposed)]
    gains = group_gains(runs[1].groups, runs[1].simulation, unfused)
    kept = _winners(gains, runs[1].simulation, objective)
    if kept and len(kept) < len(gains):
        runs.append(run(_cut_of(kept, plain)))
    # Of equal runs the first: without a gain nothing is fused.
    return min(runs, key=lambda one: objective_value(objective, float(one.simulation.cycles), one.simulation.energy_pj))


def group_gains(groups: Sequence[FusionGroup], simulation: Report, unfused: CutRun) -> tuple[GroupGain, ...]:
    """Return every group that another cut divides, beside what its operators take there."""
    plain = set(_names(unfused.groups))
    fused = {part.name: part for part in simulation.by_op}
    apart = {part.name: part for part in unfused.simulation.by_op}
    return tuple(
        GroupGain(names, _spent(fused[name] for name in names), _spent(apart[name] for name in names))
        for names in _names(groups)
        if names not in plain and len(names) > 1
    )


def _spent(parts: Iterable[Report]) -> Spent:
    reports = list(parts)
    return Spent(
        sum(part.cycles for part in reports),
        sum(part.energy_pj for part in reports),
        sum(part.dram_bytes for part in reports),
        sum(part.counts["dma", "read_beat"] + part.counts["dma", "write_beat"] for part in reports),
    )


def _winners(gains: Sequence[GroupGain], whole: Report, objective: Goal) -> list[GroupGain]:
    """Return the groups that are worth it; where two metrics count, each is judged beside all others of the run."""
    kept = []
    cycles, energy_pj = whole.cycles / whole.repeat, whole.energy_pj / whole.repeat
    for gain in gains:
        without = (
            cycles + gain.unfused.cycles - gain.fused.cycles,
            energy_pj + gain.unfused.energy_pj - gain.fused.energy_pj,
        )
        if objective_value(objective, *without) > objective_value(objective, cycles, energy_pj):
            kept.append(gain)
        else:
            cycles, energy_pj = without
    return kept


def _cut_of(kept: Sequence[GroupGain], plain: Sequence[tuple[str, ...]]) -> Cut:
    """Return the unfused cut with some groups fused; what such a group takes only a part of is cut apart."""
    fused = {name for gain in kept for name in gain.operators}
    rest = [tuple(name for name in names if name not in fused) for names in plain]
    return (*(gain.operators for gain in kept), *(names for names in rest if names))


def _names(groups: Iterable[FusionGroup]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(op.name for op in group.operators) for group in groups)
