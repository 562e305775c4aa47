"""The recurrences of the memory path, as written and compiled, against a plain model that takes request by request."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hwconfigs
from simulator.memory import recurrences
from simulator.memory.compiled import is_compiled
from simulator.memory.path import idle_ports, limits_of
from simulator.memory.ports import Limits, record_of
from simulator.memory.recurrences import DIRTY, MISS, ROW_STATES, SHARES, VALID_WAY
from tests.simulator.memory.forms import FORMS, form_of
from tests.simulator.memory.plain_path import PlainPath, Request

BANKS, CHANNELS = 2, 2
SPEC = hwconfigs.load(
    "gemmini",
    {
        "dram.pages": {"channels": CHANNELS, "banks": BANKS, "page": 1024, "burst": 32}
        | {"t_burst": 2.5, "t_cl": 7.5, "t_rcd": 8.25, "t_rp": 9, "t_ras": 30, "t_rc": 41, "window": 3}
    },
)
CACHED = Limits(
    32, 64, 27, 1, 3, 48, 30, 0.125, 0.4, 20, 2, 16, 9, 2, 9.0, 20.0, 8, 20, limits_of(hwconfigs.load("gemmini")).pages
)
MISS_ENTRIES = 1
UNCACHED = CACHED._replace(sets=0, hit=0, burst=0, release=0, release_ack=0)
PAGED = [limits._replace(pages=limits_of(SPEC).pages) for limits in (CACHED, UNCACHED)]

requests = st.lists(
    st.tuples(
        st.integers(0, 100),
        st.integers(1, 4),
        st.sampled_from([16, 32, 64]),
        st.builds(
            lambda bits, ways, dirty: bits + (bits & MISS) * (ways * VALID_WAY + dirty * DIRTY),
            st.integers(0, 7),
            st.integers(0, 8),
            st.integers(0, SHARES),
        ),
        st.integers(1, 5),
        st.integers(1, 6),
        st.integers(0, ROW_STATES * BANKS * CHANNELS - 1),
    ),
    min_size=1,
    max_size=24,
)
commands = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(0, 300),
        requests,
        st.sampled_from([1, 2]),
        st.sampled_from([0, -1, 1]),
    ),
    min_size=1,
    max_size=12,
)
"""Per command: write, cycles since the one before, requests, cycles per row (for a write: times
30), outcome bits that may be set."""


@pytest.fixture(params=FORMS)
def module(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    with form_of(recurrences, request.param) as module:
        yield module


@pytest.mark.parametrize("limits", [CACHED, UNCACHED, *PAGED], ids=["cache", "no cache", "pages", "pages, no cache"])
@given(stream=commands)
@settings(derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equals_the_plain_model(
    module: ModuleType, limits: Limits, stream: list[tuple[bool, int, list[Request], int, int]]
) -> None:
    """Every result of every command, and all that is carried from one to the next."""
    plain = PlainPath(limits, 16, MISS_ENTRIES)
    ports = idle_ports(SPEC, limits)._replace(mshrs=np.zeros(MISS_ENTRIES, dtype=np.int64))
    arguments = record_of(limits) if is_compiled(module.read) else (limits,), tuple(ports)
    log = np.zeros((2, 64), dtype=np.int64)
    now = 0
    for write, later, wanted, per_row, bits in stream:
        now += later
        masked = [
            (line, max(1, size // limits.bus_bytes), size, code & bits, *rest) for line, _, size, code, *rest in wanted
        ]
        table = np.array(masked, dtype=np.int64).T.copy()
        if write:
            assert tuple(module.write(*arguments, table, 0, len(masked), now, 30 * per_row)) == plain.write(
                now, masked, 30 * per_row
            )
        else:
            hits_only = not any(request[3] for request in masked)
            before = plain.dram_busy, plain.held_by_slots
            outcome = module.read(*arguments, table, 0, len(masked), now, per_row, hits_only, log)
            rows = sorted(zip(*log[:, : len(masked)].tolist(), strict=True))
            assert (*outcome[:2], rows) == plain.read(now, masked, per_row)
            assert outcome[2:] == (math.ceil(plain.dram_busy - before[0]), plain.held_by_slots - before[1])
            assert (np.diff(log[0, : len(masked)]) >= 0).all()
        assert list(ports.cycles[:5]) == [
            plain.next_request,
            plain.bus_free,
            plain.scaler,
            plain.held_by_bus,
            plain.held_by_slots,
        ]
        fetching = ports.fetching[: ports.cycles[recurrences.FETCHES]].tolist()
        assert {key: int(ports.fetched[key]) for key in fetching} == plain.pending
        assert ports.dram.tolist() == [plain.dram_free, plain.dram_busy, plain.written_back, plain.evictions]
        assert [sorted(heap.tolist()) for heap in ports[:3]] == [
            sorted(heap) for heap in (plain.slots, plain.write_slots, plain.mshrs)
        ]


@pytest.mark.parametrize("mixed", [False, True])
def test_a_slot_turns_before_it_takes_the_next_hit(module: ModuleType, mixed: bool) -> None:
    """One slot: two requests of one beat that hit at 27. The first beat is in at 28, and the slot free 5 cycles later.

    The second request then leaves at 33, its beat is in at 61. Without the turn it would leave at 28.
    """
    limits = CACHED._replace(slot_turn=5, burst=0)
    ports = idle_ports(SPEC, limits)._replace(slots=np.zeros(1, dtype=np.int64))
    table = np.array([(line, 1, 16, 0, 1, 1, 0) for line in (0, 1)], dtype=np.int64).T.copy()
    log = np.zeros((2, 2), dtype=np.int64)
    arguments = record_of(limits) if is_compiled(module.read) else (limits,), tuple(ports)
    module.read(*arguments, table, 0, 2, 0, 1, not mixed, log)
    assert log[0].tolist() == [28, 61]


@pytest.mark.parametrize(("ways", "charged"), [(8, [1, 1, 1, 1]), (4, [1, 0, 1, 0]), (2, [0, 1, 0, 0]), (0, [0] * 4)])
def test_an_acknowledgement_is_charged_as_often_as_a_line_is_evicted(ways: int, charged: list[int]) -> None:
    """Sets of 8 ways, half an eviction ahead: 4 valid ways make one of two fetches evict, and only that one pays."""
    limits = CACHED._replace(ways=8, release_ack=20)
    dram = idle_ports(SPEC, limits).dram
    delays = [recurrences.acknowledge_delay(limits, dram, ways * VALID_WAY, True) for _ in range(4)]
    assert delays == [20 * one for one in charged]
    assert recurrences.acknowledge_delay(limits, dram, 8 * VALID_WAY, False) == 0
