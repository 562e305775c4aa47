"""Set-associative cache tags with random replacement: which accesses hit, and what they evict.

Outcomes depend only on the order of accesses, never on their timing, so an estimate and a simulation that replay
the same stream see the same traffic. The victim is random among *all* ways: Gemmini's L2 does not prefer an invalid
way, so that even a half-empty cache evicts [1]_. "Random" is a hash of the set and of how many fills it has had:
reproducible.

.. [1] rocket-chip inclusive cache as generated for the measured SoC; project notes on calibration, section 1.7.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwconfigs import CacheSpec
from simulator.arrays import Bools, Ints
from simulator.memory import cache_replay
from simulator.memory.cache_replay import mixed
from simulator.memory.recurrences import DIRTY, FETCH, MISS, SHARES, VALID_WAY

FRACTIONS = 1024
"""Steps in which the fill of a cold cache is given."""

_INVALID, _FOREIGN = -1, -2
"""Tags of an empty way, and of a line of somebody else: valid, never hit. Lines are numbered from 0."""

_BITS = (MISS, FETCH, VALID_WAY, DIRTY, SHARES)


class Replayed(NamedTuple):
    """What accesses did to a cache, in lines."""

    fetched: int
    dirtied: int
    """Turned dirty: each is written back once, whenever that is."""


class CacheState:
    """Tags and dirty bits of one cache; ``replay`` advances them.

    Parameters
    ----------
    spec
        Size and ways.
    empty
        Start as after reset. Otherwise the cache is cold, not empty: full of clean lines of other programs, as on a
        machine that has run before, so that every fill evicts.
    foreign
        Fraction of the lines of a cold cache that are others'; the rest is empty.
    dirty
        Fraction of those that have to be written back.
    """

    def __init__(self, spec: CacheSpec, *, empty: bool = False, foreign: float = 1.0, dirty: float = 0.0) -> None:
        self.spec = spec
        self.sets = max(1, spec.capacity_bytes // (spec.line_bytes * spec.ways))
        self._tags = np.full((self.sets, spec.ways), _INVALID if empty else _FOREIGN, dtype=np.int64)
        if not empty and foreign < 1.0:
            ways = np.arange(self.sets * spec.ways, dtype=np.int64)
            kept = _victim(ways, ways, FRACTIONS).reshape(self.sets, spec.ways) < round(foreign * FRACTIONS)
            self._tags[~kept] = _INVALID
        self._dirty = np.zeros((self.sets, spec.ways), dtype=bool)
        if dirty > 0.0:
            chosen = _victim(np.arange(self._tags.size, dtype=np.int64) + 1, np.ones(1, dtype=np.int64), FRACTIONS)
            self._dirty = (self._tags != _INVALID) & (chosen.reshape(self._tags.shape) < round(dirty * FRACTIONS))
        self._fills = np.zeros(self.sets, dtype=np.int64)

    def copy(self) -> CacheState:
        """An independent cache in the same state."""
        twin = CacheState.__new__(CacheState)
        twin.spec, twin.sets = self.spec, self.sets
        twin._tags = self._tags.copy()
        twin._dirty = self._dirty.copy()
        twin._fills = self._fills.copy()
        return twin

    def contents(self) -> tuple[Ints, Bools, Ints]:
        """Return all that decides later outcomes: tags, dirty bits, and how many fills each set has had."""
        return self._tags, self._dirty, self._fills

    def resident_lines(self) -> int:
        """Lines that belong to the programs run so far."""
        return int((self._tags >= 0).sum())

    def valid_share(self) -> float:
        """Share of all lines that hold anything, so that a fill of their place evicts."""
        return float((self._tags != _INVALID).mean())

    def dirty_share(self) -> float:
        """Share of all lines that are dirty."""
        return float(self._dirty.mean())

    def holds(self, lines: Ints) -> Bools:
        """Whether each line is in the cache."""
        held: Bools = (self._tags[lines % self.sets] == lines[:, None]).any(axis=1)
        return held

    def replay(self, places: Ints, codes: Ints, starts: Ints, writes: Bools, unit: int = 1) -> Replayed:
        """Run accesses through the tags, in order.

        Parameters
        ----------
        places
            Address of each access, or its line; becomes its line.
        codes
            Whether a write of it would cover its whole line, so that a miss needs no fetch; becomes its outcome, the
            bits of a request that are named in ``simulator.memory.recurrences``.
        starts
            Where each group of accesses starts, and the end.
        writes
            Whether each group writes.
        unit
            Places per line.
        """
        with np.errstate(over="ignore"):
            found = cache_replay.replay(
                self._tags, self._dirty, self._fills, places, codes, starts, writes, unit, _BITS
            )
        return Replayed(*map(int, found))


def _victim(sets: Ints, fills: Ints, ways: int) -> Ints:
    """Way that each fill replaces."""
    words = np.asarray(mixed(sets.astype(np.uint64), fills.astype(np.uint64)))
    return (words % np.uint64(ways)).astype(np.int64)
