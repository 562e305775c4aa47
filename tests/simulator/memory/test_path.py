"""Single commands through the memory path of the default machine, against Verilator measurements of its RTL.

Measured on the generated SoC asmara30/Chipyard-Generated-Files f9fb3012 with a DRAM latency of 40 cycles, one mvin
and a fence.
"""

from __future__ import annotations

import pytest

import hwconfigs
from hwconfigs import HardwareSpec, override
from simulator.machine import count, simulate
from simulator.memory.request_stream import MemoryState
from simulator.program import Fence, HostTask, Item, MatmulLoop, Matrix, Mvin, Mvout, Program, Region
from simulator.report import Report


def run(spec: HardwareSpec, memory: MemoryState, *items: Item) -> Report:
    return simulate(Program("single", items), spec, memory=memory)


# rows, columns, row stride: cold after reset, repeated.
MEASURED = [
    (1, 16, 16, 76, 32),
    (1, 16, 1024, 76, 32),
    (1, 64, 64, 82, 35),
    (1, 64, 1024, 82, 35),
    (1, 48, 48, 80, 34),
    (4, 48, 1024, 104, 49),
    (16, 64, 64, 202, 95),
    (16, 64, 1024, 202, 95),
]


@pytest.mark.parametrize(("rows", "cols", "stride", "cold", "warm"), MEASURED)
def test_one_mvin(gemmini: HardwareSpec, rows: int, cols: int, stride: int, cold: int, warm: int) -> None:
    """Exact: hits cost 31 + beats, a single missing line 31 + 40 + 11."""
    memory = MemoryState(gemmini, empty=True)
    items = (Mvin(Matrix(0x10000, stride), rows, cols, "scratchpad", 0), Fence())
    assert run(gemmini, memory, *items).cycles == cold
    assert run(gemmini, memory, *items).cycles == warm


def test_a_cold_cache_is_full_of_others_lines(gemmini: HardwareSpec) -> None:
    """Every fill evicts: 16 lines take longer than on an empty cache, but at most 16 x 3.3 and rounding."""
    items = (Mvin(Matrix(0x10000, 64), 16, 64, "scratchpad", 0), Fence())
    empty = run(gemmini, MemoryState(gemmini, empty=True), *items).cycles
    full = run(gemmini, MemoryState(gemmini), *items).cycles
    assert empty + 15 * 3 <= full <= empty + 16 * 3.3 + 1


@pytest.mark.parametrize(
    ("fill", "cols", "fenced", "late"),
    [(0.3, 16, False, True), (0.0, 16, False, False), (0.3, 64, False, False), (0.3, 16, True, False)],
    ids=["packed rows", "empty cache", "whole lines", "one line at a time"],
)
def test_requests_behind_an_evicting_line(
    gemmini: HardwareSpec, fill: float, cols: int, fenced: bool, late: bool
) -> None:
    """Of four requests to a line, three wait for it, and for the acknowledgement of what it evicts.

    Not in an empty cache, not when one request takes the line, and not when no other line is on the bus.
    """
    rows = 4 if fenced else 16
    mvins = tuple(Mvin(Matrix(0x10000 + rows * cols * i, cols), rows, cols, "scratchpad", 64 * i) for i in range(32))
    items = tuple(item for mvin in mvins for item in ((mvin, Fence()) if fenced else (mvin,)))
    cycles = []
    for acknowledged in (0, 20):
        spec = hwconfigs.override(gemmini, {"l2.release_ack": acknowledged, "dram.latency_cycles": 1})
        cycles.append(run(spec, MemoryState(spec, foreign=fill), *items).cycles)
    assert (cycles[1] >= cycles[0] + 40) if late else (cycles[1] == cycles[0])


def test_lines_are_fetched_once(gemmini: HardwareSpec) -> None:
    """16 rows of 16 bytes, packed: 16 requests to 4 lines; 4 misses, 12 hits."""
    report = run(gemmini, MemoryState(gemmini), Mvin(Matrix(0x10000, 16), 16, 16, "scratchpad", 0))
    assert report.counts["l2", "read"] == 16
    assert report.counts["l2", "fill"] == 4
    assert report.counts["dram", "read_byte"] == 4 * 64


def test_full_lines_are_written_without_a_fetch(gemmini: HardwareSpec) -> None:
    """Rows that are whole lines fetch nothing; 16-byte rows fetch their line first. Each line is written back once."""
    whole = Mvout(Matrix(0x10000, 64), 16, 64, "accumulator", 0)
    narrow = Mvout(Matrix(0x10000, 64), 16, 16, "accumulator", 0)
    assert count(Program("p", (whole,), preloaded=("accumulator",)), gemmini)["l2", "fill"] == 0
    assert count(Program("p", (narrow,), preloaded=("accumulator",)), gemmini)["l2", "fill"] == 16
    for store in (whole, narrow):
        twice = count(Program("p", (store, store), preloaded=("accumulator",)), gemmini)
        assert twice["dram", "write_byte"] == 16 * 64
        assert twice["l2", "write"] == 32


def test_requests_shorter_than_lines_never_cover_one() -> None:
    """16 rows of 64 bytes into 8 cold lines of 128: the first half of each fetches it, the second finds it."""
    spec = hwconfigs.load("gemmini", {"l2.line": "128 B"})
    store = Mvout(Matrix(0x10000, 64), 16, 64, "accumulator", 0)
    counts = count(Program("p", (store,), preloaded=("accumulator",)), spec)
    assert counts["l2", "fill"] == 8
    assert counts["dram", "read_byte"] == counts["dram", "write_byte"] == 8 * 128


def test_misses_stream_no_faster_than_dram(gemmini: HardwareSpec) -> None:
    """64 mvins of 1 KiB, all missing: 1,024 lines at 8 + 3.15 cycles at least, and within 40 % of that."""
    mvins = tuple(Mvin(Matrix(0x10000 + 1024 * i, 64), 16, 64, "scratchpad", 64 * i) for i in range(64))
    cycles = run(gemmini, MemoryState(gemmini), *mvins).cycles
    assert 1024 * 11.15 <= cycles <= 1.4 * 1024 * 11.15


def test_the_last_level_cache_answers_sooner(tools) -> None:  # type: ignore[no-untyped-def]
    """A line that only the LLC holds comes after its latency instead of DRAM's, and not from DRAM.

    DRAM opens a row for it: tRCD and CL come on top of the way there.
    """
    spec = tools.machine("firesim_dosa")
    pages = spec.dram.pages
    memory = MemoryState(spec, empty=True)
    items = (Mvin(Matrix(0x10000, 64), 1, 64, "scratchpad", 0), Fence())
    cold = run(spec, memory, *items)
    memory.l2 = MemoryState(spec, empty=True).l2
    warm = run(spec, memory, *items)
    device = pages.t_rcd_cycles + pages.t_cl_cycles
    assert cold.cycles - warm.cycles == spec.dram.latency_cycles + device - spec.llc.hit_cycles
    assert (warm.counts["llc", "read"], warm.counts["llc", "fill"], warm.counts["dram", "read_byte"]) == (1, 0, 0)


def test_host_kernels_pass_through_the_cache(gemmini: HardwareSpec) -> None:
    """A host task that reads 1,000 bytes from 0x10020 touches 17 lines; a mvin of them afterwards hits."""
    region = Region("x", 0x10020, 1000)
    mvin = Mvin(Matrix(0x10040, 64), 8, 64, "scratchpad", 0)
    counts = count(Program("p", (HostTask("gelu", 10, 1000, reads=(region,)), mvin)), gemmini)
    assert counts["l2", "fill"] == 17
    assert counts["l2", "read"] == 17 + 8
    assert counts["dma", "read_request"] == 8


def test_loads_of_the_next_loop_come_before_the_stores_of_this_one(gemmini: HardwareSpec) -> None:
    """The second loop's A is the first one's C: its reads miss, since they are replayed before the writes."""
    a, b, c = (Matrix(address, 64) for address in (0x10000, 0x11000, 0x12000))
    first = MatmulLoop(16, 64, 64, a, b, c)
    second = MatmulLoop(16, 64, 64, c, b, Matrix(0x13000, 64))
    overlapped = count(Program("p", (first, second)), gemmini)
    fenced = count(Program("p", (first, Fence(), second)), gemmini)
    assert overlapped["l2", "fill"] == 16 + 64 + 16
    assert fenced["l2", "fill"] == 16 + 64


def test_without_a_cache_every_request_is_dram_traffic(tiny: HardwareSpec) -> None:
    """Bytes 2..5 of a row are covered by one request of 8 bytes; two mvins of four such rows: 8 requests, 64 bytes."""
    mvin = Mvin(Matrix(2, 8), 4, 4, "scratchpad", 0)
    counts = count(Program("p", (mvin, mvin)), tiny)
    assert counts["dma", "read_request"] == 8
    assert counts["dram", "read_byte"] == 64


def test_without_a_cache_beats_come_no_faster_than_the_bus(gemmini: HardwareSpec) -> None:
    spec = override(gemmini, {"l2": "none", "llc": "none", "dram.bytes_per_cycle": 64})
    mvins = tuple(Mvin(Matrix(0x10000 + 1024 * i, 64), 16, 64, "scratchpad", 64 * i) for i in range(64))
    report = run(spec, MemoryState(spec), *mvins)
    assert report.cycles >= 64 * 1024 / spec.dma.bus_bytes_per_cycle
