"""The cache replay, as written and compiled, against a plain set-associative cache that takes one access at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwconfigs import CacheSpec
from simulator.arrays import Ints
from simulator.memory import cache_replay
from simulator.memory.cache import CacheState, _victim
from simulator.memory.recurrences import DIRTY, FETCH, MISS, MOST_WAYS, SHARES, VALID_WAY
from tests.simulator.memory.forms import FORMS, form_of

SPEC = CacheSpec(capacity_bytes=4 * 2 * 64, ways=2, line_bytes=64, hit_cycles=10)
"""Four sets of two ways."""


class PlainCache:
    """One access at a time; empty ways hold None, lines of other programs "other"."""

    def __init__(self, sets: int, ways: int, empty: bool) -> None:
        self.tags: list[list[object]] = [[None if empty else "other"] * ways for _ in range(sets)]
        self.dirty = [[False] * ways for _ in range(sets)]
        self.fills = [0] * sets

    def access(self, line: int, write: bool, whole: bool) -> tuple[bool, bool, int, bool, int]:
        number = line % len(self.tags)
        tags, dirty = self.tags[number], self.dirty[number]
        if line in tags:
            way = tags.index(line)
            dirtied = write and not dirty[way]
            dirty[way] |= write
            return True, False, 0, dirtied, 0
        way = int(_victim(np.array([number]), np.array([self.fills[number]]), len(tags))[0])
        valid, held = sum(tag is not None for tag in tags), sum(map(sum, self.dirty))
        tags[way], dirty[way] = line, write
        self.fills[number] += 1
        return False, not (write and whole), valid, write, held


def fetched(state: CacheState, lines: Ints) -> int:
    """Read some lines and return how many are fetched."""
    codes, starts = np.zeros_like(lines), np.array([0, len(lines)])
    return state.replay(lines.copy(), codes, starts, np.zeros(1, dtype=bool)).fetched


accesses = st.lists(st.tuples(st.integers(0, 15), st.booleans(), st.booleans()), max_size=80)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    with form_of(cache_replay, request.param):
        yield request.param


@given(requests=accesses, cut=st.integers(0, 80), empty=st.booleans())
@settings(derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_replay_equals_a_plain_cache(form: str, requests: list[tuple[int, bool, bool]], cut: int, empty: bool) -> None:
    """Hits, fetches, valid ways and dirty lines of every access, also when the stream comes in two parts."""
    plain, state = PlainCache(4, 2, empty), CacheState(SPEC, empty=empty)
    got: list[tuple[bool, bool, int, int]] = []
    totals = (0, 0)
    for part in (requests[:cut], requests[cut:]):
        lines, writes, whole = (np.array([access[column] for access in part], dtype=np.int64) for column in range(3))
        found = state.replay(lines, whole, np.arange(len(part) + 1), writes.astype(bool))
        totals = found.fetched + totals[0], found.dirtied + totals[1]
        held = whole // DIRTY * (4 * 2) // SHARES
        flags = (whole & MISS == 0, whole & FETCH > 0, whole // VALID_WAY % MOST_WAYS, held)
        got += list(zip(*(flag.tolist() for flag in flags), strict=True))
    accessed = [plain.access(*access) for access in requests]
    assert got == [(hit, fetched, valid, held) for hit, fetched, valid, _, held in accessed]
    assert totals == (sum(access[1] for access in accessed), sum(access[3] for access in accessed))
    assert state.resident_lines() == sum(isinstance(tag, int) for tags in plain.tags for tag in tags)


def test_a_copy_is_independent() -> None:
    state = CacheState(SPEC)
    copy = state.copy()
    assert fetched(copy, np.array([5])) == 1
    assert fetched(copy, np.array([5])) == 0
    assert state.resident_lines() == 0


@pytest.mark.parametrize("ways", [2, 4, 8])
def test_victims_are_spread_over_all_ways(ways: int) -> None:
    """Random replacement: no way is chosen less than half or more than twice as often as another."""
    sets, fills = (axis.ravel() for axis in np.meshgrid(np.arange(64), np.arange(64)))
    chosen = np.bincount(_victim(sets, fills, ways), minlength=ways)
    assert chosen.max() < 2 * chosen.min()


def test_an_invalid_way_is_not_preferred() -> None:
    """Filling a set of eight empty ways with eight lines evicts some of them again: measured on the RTL."""
    spec = CacheSpec(capacity_bytes=64 * 8 * 64, ways=8, line_bytes=64, hit_cycles=10)
    state = CacheState(spec, empty=True)
    lines, codes = np.arange(64 * 8), np.zeros(64 * 8, dtype=np.int64)
    state.replay(lines, codes, np.array([0, len(lines)]), np.zeros(1, dtype=bool))
    assert (codes // VALID_WAY).any()
    assert state.resident_lines() < 64 * 8
