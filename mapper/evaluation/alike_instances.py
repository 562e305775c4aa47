"""Instances of a program that are alike: what one of them costs, the others cost as well.

Thousands of heads or sequences run one program at other addresses. Once the caches have settled, most of them send the
same requests with the same outcomes, and then take the same time. So each is put through the caches, but only those
are simulated and estimated whose like was not seen before.

Of very many instances not even that is done. Once the caches have settled, so that two spans of `SPAN` instances cost
the same, those ahead are taken to be like the last span, but for as many at the end as fill the L2 anew: what comes
next finds in the caches what it would find there.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from hwconfigs import HardwareSpec
from mapper.evaluation.aggregate import Part
from simulator.machine import PreparedProgram
from simulator.memory.recurrences import BEATS, CODE, DIRTY, PLACE, PORT, ROWS, SIZE
from simulator.report import Report

SPAN = 1024
"""Instances that stand for those ahead."""

MANY = 4 * SPAN
"""More instances than that are not all put through the caches."""

SETTLED = 0.002
"""Relative difference of what two spans cost that says that the caches have settled. A span of 1,024 instances has a
spread of a thirtieth of that of one instance."""

FILLINGS = 2
"""How often the instances at the end fetch as many lines as the L2 holds: victims are random, so that e^-2 of the
lines that were there before stay."""


class Costed(Protocol):
    """What an instance costs."""

    @property
    def simulation(self) -> Report:
        """By the simulation."""


One = TypeVar("One", bound=Costed)


def settled(results: Sequence[Costed]) -> bool:
    """Return whether the last two spans of some instances cost the same: cycles, and lines fetched."""
    if len(results) < 2 * SPAN or len(results) % SPAN:
        return False
    before, latest = (_cost(results[-at : len(results) - at + SPAN]) for at in (2 * SPAN, SPAN))
    return all(abs(one - other) <= SETTLED * max(one, other) for one, other in zip(before, latest, strict=True))


def _cost(results: Sequence[Costed]) -> tuple[int, int]:
    reports = [result.simulation for result in results]
    return sum(report.cycles for report in reports), sum(_fetches(report) for report in reports)


def _fetches(report: Report) -> int:
    return report.counts["dram", "read_byte"] + report.counts["dram", "write_byte"]


def passed_over(results: Sequence[Costed], count: int, spec: HardwareSpec) -> int:
    """Return how many of ``count`` instances, behind those of which results are there, need not be put through caches.

    Parameters
    ----------
    results
        Settled (`settled`).
    count
        Instances in all.
    """
    if spec.l2 is None:
        last = 0
    else:
        filled = sum(result.simulation.counts["l2", "fill"] for result in results[-SPAN:]) / SPAN
        last = math.ceil(FILLINGS * spec.l2.capacity_bytes / (filled * spec.line_bytes)) if filled else SPAN
    return max(0, count - len(results) - min(last, MANY))


def like_the_last(results: Sequence[One], number: int) -> list[tuple[One, int]]:
    """Return what a number of instances cost that are like the last span, each with how many cost the same."""
    each, more = divmod(number, SPAN)
    return [(result, each + (place < more)) for place, result in enumerate(results[-SPAN:])]


def like_note(number: int, count: int) -> str:
    """Say that a number of instances of ``count`` were taken to be like others; empty if none was."""
    if not number:
        return ""
    return f"{number:,} of {count:,} instances are taken to be like the {SPAN:,} before them, where the caches settled"


def likeness(prepared: PreparedProgram) -> bytes | None:
    """Return what two programs share that differ in addresses alone and take the same time; None if they are long.

    Equal are their counts, every request's size and outcome, and the times of their works in the memory, of which
    conflicts inside the sets of the L2 are a part. Left out is how much of the L2 is dirty, which those times show.
    """
    traffic = prepared.traffic
    if not traffic.is_short:
        return None
    told = hashlib.sha256(repr(sorted(prepared.counts.items())).encode())
    told.update(prepared.memory_times.all().tobytes())
    for table in traffic.tables():
        told.update(table[(BEATS, SIZE, ROWS, PORT), :].tobytes())
        told.update((table[CODE] % DIRTY).tobytes())
        told.update(table[PLACE:].tobytes())
    return told.digest()


def parts(reports: Iterable[tuple[Report, int]]) -> list[Part]:
    """Return reports, each with how often it stands among those given, in the order in which they are first met."""
    counted: dict[int, tuple[Report, int]] = {}
    for report, times in reports:
        counted[id(report)] = report, counted.get(id(report), (report, 0))[1] + times
    return [Part(report, times) for report, times in counted.values()]
