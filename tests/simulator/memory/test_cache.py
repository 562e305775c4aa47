"""The cache replay, as written and compiled, against a plain set-associative cache that takes one access at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwconfigs import CacheSpec
from simulator.memory import cache_replay
from simulator.memory.cache import CacheState, _victim
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


accesses = st.lists(st.tuples(st.integers(0, 15), st.booleans(), st.booleans()), max_size=80)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    with form_of(cache_replay, request.param):
        yield request.param


@given(requests=accesses, cut=st.integers(0, 80), empty=st.booleans())
@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_replay_equals_a_plain_cache(form: str, requests: list[tuple[int, bool, bool]], cut: int, empty: bool) -> None:
    """Hits, fetches, valid ways and dirty lines of every access, also when the stream comes in two parts."""
    plain, state = PlainCache(4, 2, empty), CacheState(SPEC, empty=empty)
    got = []
    for part in (requests[:cut], requests[cut:]):
        lines, writes, whole = (np.array([access[column] for access in part]) for column in range(3))
        outcome = state.replay(lines.astype(np.int64), writes.astype(bool), whole.astype(bool))
        flags = (outcome.hit, outcome.fetched, outcome.valid_ways, outcome.dirtied, outcome.dirty_lines)
        got += list(zip(*(flag.tolist() for flag in flags), strict=True))
    assert got == [plain.access(*access) for access in requests]
    assert state.resident_lines() == sum(isinstance(tag, int) for tags in plain.tags for tag in tags)


def test_a_copy_is_independent() -> None:
    state = CacheState(SPEC)
    line, no = np.array([5]), np.array([False])
    copy = state.copy()
    assert not copy.replay(line, no, no).hit.any()
    assert copy.replay(line, no, no).hit.all()
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
    lines, no = np.arange(64 * 8), np.zeros(64 * 8, dtype=bool)
    assert state.replay(lines, no, no).valid_ways.sum() > 0
    assert state.resident_lines() < 64 * 8
