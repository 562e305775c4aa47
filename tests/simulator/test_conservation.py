"""Nothing is lost or made on the way: arithmetic, bytes, cycles and numbers of random tiled products."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from simulator.checks.validate import check
from simulator.functional import execute
from simulator.machine import Machine, count, prepare, simulate
from simulator.memory.request_stream import MemoryState
from simulator.program import ProgramError
from simulator.units import UNIT_NAMES

MACHINES = ("tiny_4x4", "gemmini", "gemmini_chip", "firesim_dosa/8")

LIMITS = settings(max_examples=25, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])


@st.composite
def problems(draw, dim: int):  # type: ignore[no-untyped-def]
    """Arguments of a problem of a few blocks, ragged more often than not."""
    size = st.integers(1, 7 * dim)
    return {
        "m": draw(size),
        "k": draw(size),
        "n": draw(size),
        "tile": draw(st.tuples(*[st.integers(1, 4)] * 3)),
        "order": draw(st.sampled_from(["ijk", "jik", "ikj", "jki", "kij", "kji"])),
        "b_transposed": draw(st.booleans()),
        "bias": draw(st.sampled_from(["none", "full", "row"])),
        "keep": draw(st.sampled_from(["", "a", "b"])),
        "relu": draw(st.booleans()),
        "c_full": draw(st.booleans()),
        "whole_memory": draw(st.sampled_from([False, False, True])),
        "padding": draw(st.sampled_from([0, 0, 5, 16])),
    }


def arguments(data, spec):  # type: ignore[no-untyped-def]
    given_ = data.draw(problems(spec.array.rows))
    if given_["whole_memory"]:
        given_["keep"] = ""
    return given_


def fits(program, spec) -> bool:  # type: ignore[no-untyped-def]
    try:
        check(program, spec)
    except ProgramError:
        return False
    return True


@pytest.mark.parametrize("name", MACHINES)
@given(data=st.data())
@LIMITS
def test_time_and_traffic_are_conserved(tools, name: str, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    """MACs = m k n; every cycle of every unit is accounted; counts with and without time agree; no free lunch."""
    spec = tools.machine(name)
    p = tools.problem(**arguments(data, spec))
    program = tools.tiled(p, spec.array.rows)
    assume(fits(program, spec))
    report = simulate(program, spec)

    assert program.macs == report.macs == p.m * p.k * p.n
    assert report.counts == count(program, spec)
    assert set(report.units) == set(UNIT_NAMES)
    for unit, time in report.units.items():
        assert time.total_cycles == report.cycles, unit
        assert 0 <= time.busy_cycles <= report.cycles, unit
        assert min([0, time.idle_cycles, *time.stall_cycles.values()]) == 0, unit
    assert report.cycles * report.peak_macs_per_cycle >= report.macs
    bias = {"none": 0, "row": 4 * p.n, "full": 4 * p.m * p.n}[p.bias]
    assert report.counts["dram", "read_byte"] >= p.m * p.k + p.k * p.n + bias
    assert report.counts["dram", "write_byte"] >= p.m * p.n * (4 if p.c_full else 1)
    bytes_moved = report.counts["dram", "read_byte"] + (report.counts["dram", "write_byte"] if spec.l2 is None else 0)
    assert report.cycles * spec.dram.bytes_per_cycle >= bytes_moved or spec.llc is not None
    assert report.cycles >= report.counts["dma", "read_beat"]


@pytest.mark.parametrize("name", MACHINES)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
@LIMITS
def test_numbers_are_those_of_numpy(tools, name: str, data: st.DataObject, seed: int) -> None:  # type: ignore[no-untyped-def]
    """Orders, ragged tiles, transposes, biases, spilled and accumulated sums, kept operands: the same integers."""
    spec = tools.machine(name)
    p = tools.problem(**arguments(data, spec))
    program = tools.tiled(p, spec.array.rows)
    assume(fits(program, spec))
    dram, expected = tools.fill(p, seed)
    np.testing.assert_array_equal(tools.read_result(p, execute(program, dram, spec)), expected)


@given(data=st.data())
@LIMITS
def test_a_warm_cache_never_moves_more(tools, gemmini, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    """Problems far smaller than the L2: the second run reads no more bytes from DRAM than the first, and the L2 sees
    the same accesses."""
    p = tools.problem(**arguments(data, gemmini))
    program = tools.tiled(p, gemmini.array.rows)
    assume(fits(program, gemmini))
    memory = MemoryState(gemmini)
    cold = simulate(program, gemmini, memory=memory).counts
    warm = simulate(program, gemmini, memory=memory).counts
    assert warm["dram", "read_byte"] <= cold["dram", "read_byte"]
    for action in ("read", "write"):
        assert warm["l2", action] == cold["l2", action]


@given(data=st.data())
@LIMITS
def test_two_runs_in_one_process_agree(tools, tiny, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    p = tools.problem(**arguments(data, tiny))
    program = tools.tiled(p, tiny.array.rows)
    assume(fits(program, tiny))
    assert simulate(program, tiny, spans=True) == simulate(program, tiny, spans=True)


@given(data=st.data())
@LIMITS
def test_no_cycle_is_booked_twice(tools, tiny, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    """Busy and stall cycles as the units book them fit the run, before ``CycleAccount.total`` cuts them to it."""
    p = tools.problem(**arguments(data, tiny))
    program = tools.tiled(p, tiny.array.rows)
    assume(fits(program, tiny))
    machine = Machine(prepare(program, tiny, MemoryState(tiny)), spans=None, tolerances=None)
    cycles = machine.run()
    for unit, account in machine.accounts.items():
        assert account.busy + sum(account.stalls.values()) <= cycles, unit
