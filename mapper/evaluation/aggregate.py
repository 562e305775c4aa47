"""Reports put together: programs to groups, groups to rows of operators, operators of a block to a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mapper.graph.fusion_group import FusionGroup
from simulator.bottleneck import bound_of
from simulator.report import Action, Counts, Level, Report, Span, UnitTime, total_units


@dataclass(frozen=True, slots=True)
class Part:
    """A report and how often it counts."""

    report: Report
    times: int = 1


def group_report(name: str, parts: Sequence[Part], repeat: int, peak_bytes: Mapping[str, int]) -> Report:
    """Sum the programs of one group.

    Parameters
    ----------
    name
        Of the report.
    parts
        At least one.
    repeat
        Instances of the leading operator.
    peak_bytes
        Largest use of the on-chip memories.
    """
    first = parts[0].report
    units = total_units({unit: time * part.times for unit, time in part.report.units.items()} for part in parts)
    whole = replace(
        first,
        name=name,
        cycles=sum(part.report.cycles * part.times for part in parts),
        counts=sum((part.report.counts * part.times for part in parts), Counts()),
        units=units,
        energy_pj_by_action=_energy((part.report, part.times) for part in parts),
        peak_bytes=dict(peak_bytes),
        repeat=repeat,
        spans=_in_sequence(parts),
        levels=_levels_in_sequence(parts),
    )
    return replace(whole, bound=bound_of(whole))


def group_rows(group: FusionGroup, whole: Report) -> tuple[Report, ...]:
    """Return a report for each operator of a group: the leading one has all costs, its epilogue none.

    Parameters
    ----------
    group
        What ran.
    whole
        Its report, called like the leading operator.
    """
    idle = {unit: UnitTime(0, {}, 0) for unit in whole.units}
    free = replace(
        whole,
        cycles=0,
        counts=Counts(),
        units=idle,
        bound="store",
        energy_pj_by_action={},
        peak_bytes={},
        spans=(),
        levels=(),
    )
    return (whole, *(replace(free, name=op.name, repeat=op.repeat) for op in group.epilogue))


def repeated(report: Report, times: int) -> Report:
    """Return the report of an operator that several equal layers run, in a model whose layers differ."""
    if times == 1:
        return report
    return group_report(report.name, [Part(report, times)], times * report.repeat, report.peak_bytes)


def model_report(name: str, operators: Sequence[Report], blocks: int) -> Report:
    """Return the report of a whole model: the operators of one block, ``blocks`` times."""
    parts = [Part(report, blocks) for report in operators]
    whole = group_report(name, parts, blocks, _peaks(operators))
    once = [Part(report) for report in operators]
    by_op = tuple(replace(report, spans=(), levels=()) for report in operators)
    whole = replace(whole, by_op=by_op, spans=_in_sequence(once), levels=_levels_in_sequence(once))
    return replace(whole, bound=bound_of(whole))


def _energy(parts: Iterable[tuple[Report, int]]) -> dict[Action, float]:
    total: dict[Action, float] = {}
    for report, times in parts:
        for action, value in report.energy_pj_by_action.items():
            total[action] = total.get(action, 0.0) + value * times
    return dict(sorted(total.items()))


def _peaks(reports: Iterable[Report]) -> dict[str, int]:
    peaks: dict[str, int] = {}
    for report in reports:
        for memory, size in report.peak_bytes.items():
            peaks[memory] = max(size, peaks.get(memory, 0))
    return peaks


def _in_sequence(parts: Iterable[Part]) -> tuple[Span, ...]:
    """Place the spans of the parts one after another; a part that counts several times is shown once, at the first."""
    spans: list[Span] = []
    start = works = 0
    for part in parts:
        spans += [span.later(start, works) for span in part.report.spans]
        start += part.report.cycles * part.times
        works += max((span.work for span in part.report.spans if span.work is not None), default=-1) + 1
    return tuple(spans)


def _levels_in_sequence(parts: Iterable[Part]) -> tuple[Level, ...]:
    """Place the levels of the parts as `_in_sequence` does the spans; levels that change nothing are left out."""
    levels: list[Level] = []
    last: dict[tuple[str, str], int] = {}
    start = 0
    for part in parts:
        for level in part.report.levels:
            if last.get((level.memory, level.tensor), 0) != level.size_bytes:
                last[level.memory, level.tensor] = level.size_bytes
                levels.append(level.later(start))
        start += part.report.cycles * part.times
    return tuple(levels)
