"""Traffic in chunks: the same as in one piece, whatever is kept and in whatever order it is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.lowering.gemmini_library import Product, Tiling, tiled
from simulator.machine import prepare, program_steps
from simulator.memory import command_stream, traffic
from simulator.memory.request_stream import MemoryState
from simulator.memory.traffic import Traffic, trace
from simulator.program import Fence, HostTask, Matrix, Program, Region

machines = st.tuples(st.sampled_from([1, 2, 3, 4, 8]), st.integers(1, 40), st.booleans())
"""Ways, sets and whether there is a last-level cache."""


def machine(ways: int, sets: int, llc: bool) -> HardwareSpec:
    spec = hwconfigs.load("gemmini")
    changes: dict[str, object] = {"l2.ways": ways, "l2.capacity_bytes": ways * sets * 64}
    if llc:
        changes["llc"] = {"capacity_bytes": 4 * ways * sets * 64, "ways": 2 * ways, "line_bytes": 64, "hit_cycles": 10}
    return hwconfigs.override(spec, changes)


def program(spec: HardwareSpec, shift: int) -> Program:
    a, b, c = (page * 0x10_0000 + shift for page in (1, 2, 3))
    product = Product(64, 128, 48, Matrix(a, 128), Matrix(b, 48), Matrix(c, 48))
    return Program("product", (*tiled(product, Tiling(1, 2, 4), spec), Fence()))


def works(found: Traffic, order: list[int]) -> dict[int, tuple[list[list[int]], list[int]]]:
    """Requests of the loads and stores of works, asked for in some order."""
    rows = {}
    for work in order:
        pair = (found.loads[work], found.stores[work])
        columns = [part.table[:, part.starts[0] : part.starts[-1]].tolist() for part in pair]
        rows[work] = (columns[0] + columns[1], [part.misses for part in pair])
    return rows


@given(cache=machines, shift=st.integers(0, 63), chunk=st.integers(1, 600), order=st.randoms(use_true_random=False))
@settings(derandomize=True, deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_chunks_make_no_difference(
    monkeypatch: pytest.MonkeyPatch, cache: tuple[int, int, bool], shift: int, chunk: int, order: object
) -> None:
    spec = machine(*cache)
    steps = program_steps(program(spec, shift), spec)
    whole, memory = MemoryState(spec), MemoryState(spec)
    expected = trace(steps, spec, whole)
    asked = list(range(len(expected.loads)))
    with monkeypatch.context() as patch:
        patch.setattr(traffic, "CHUNK_SEGMENTS", chunk)
        patch.setattr(traffic, "KEPT_REQUESTS", 1)
        cut = trace(steps, spec, memory)
        order.shuffle(asked)  # type: ignore[attr-defined]
        assert works(cut, asked) == works(expected, asked)
    assert cut.counts == expected.counts
    # The same program once more meets the same tags.
    assert trace(steps, spec, memory).counts == trace(steps, spec, whole).counts


def test_memory_times_found_on_the_way_are_those_found_later(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = machine(4, 32, llc=False)
    later = prepare(program(spec, 0), spec, MemoryState(spec)).memory_times.all()
    monkeypatch.setattr(traffic, "CHUNK_SEGMENTS", 100)
    monkeypatch.setattr(traffic, "KEPT_REQUESTS", 1)
    prepared = prepare(program(spec, 0), spec, MemoryState(spec), timed=True)
    assert not prepared.traffic.is_kept
    assert (prepared.memory_times.all() == later).all()


def test_what_the_host_reads_and_writes_is_cut_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,001 lines read and 500 written: no chunk lists more than 100 requests, and the caches end as in one piece."""
    spec = machine(4, 8, llc=True)
    regions = (Region("x", 0x1020, 64 * 1000),), (Region("y", 0x40000, 64 * 500),)
    steps = program_steps(Program("host", (HostTask("gelu", 1000, 1, *regions),)), spec)
    whole, memory = MemoryState(spec), MemoryState(spec)
    expected = trace(steps, spec, whole)
    monkeypatch.setattr(traffic, "CHUNK_SEGMENTS", 100)
    monkeypatch.setattr(command_stream, "MOST_LINES", 100)
    cut = trace(steps, spec, memory)
    assert cut.counts == expected.counts
    assert memory.fingerprint() == whole.fingerprint()
    assert max(table.shape[1] for table in cut.tables()) <= 100 < max(table.shape[1] for table in expected.tables())
    assert cut.requests(np.arange(16)).sum() == 1001 + 500
