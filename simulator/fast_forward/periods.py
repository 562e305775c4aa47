"""Where a sequence repeats itself: inner loops with short periods, tiles with long ones.

A A A B  A A A B  A A A B  C C ...      period 1 inside the runs of A, period 4 over three tiles
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.arrays import Bools, Ints

LONGEST_PERIOD = 512
"""Longest repeating sequence that is looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Period:
    """Stretches in which every element equals the one ``length`` before it."""

    length: int
    behind: Ints
    """Per position: elements just before it that do so."""
    ahead: Ints
    """Per position: elements from it on that do so."""


def periods(numbers: Sequence[int]) -> list[Period]:
    """Periods of a sequence, from short to long; only those under which more of it repeats than under any shorter."""
    sequence = np.array(numbers, dtype=np.int64)
    chosen: list[Period] = []
    most = 0
    for length in range(1, min(LONGEST_PERIOD, len(sequence) // 2) + 1):
        same = sequence[length:] == sequence[:-length]
        repeated = int(np.count_nonzero(same)) + length
        if repeated <= most:
            continue
        most = repeated
        chosen.append(_period(length, same))
        if same.all():
            break
    return chosen


def _period(length: int, same: Bools) -> Period:
    """Runs of ``same``, which starts at position ``length``, seen from both ends."""
    whole = np.concatenate([np.zeros(length, dtype=bool), same, np.zeros(1, dtype=bool)])
    position = np.arange(len(whole), dtype=np.int64)
    ahead = np.minimum.accumulate(np.where(whole, len(whole), position)[::-1])[::-1] - position
    last_break = np.maximum.accumulate(np.where(whole, -1, position))
    behind = np.concatenate([[0], (position - last_break)[:-1]])
    return Period(length, behind, ahead)
