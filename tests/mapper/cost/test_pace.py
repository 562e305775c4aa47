"""The pace of a mapping: closed forms go on as stretches of its loops on the machine do."""

from __future__ import annotations

import math

import pytest

from hwconfigs import load
from mapper.cost.estimate import estimate
from mapper.cost.pace import (
    FEWEST_LOOPS,
    FILLING,
    MOST_COMMANDS,
    MOST_LOOPS,
    Elapsed,
    Pace,
    Sample,
    Stretch,
    sample,
    sample_size,
    spread,
)
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import contiguous
from mapper.mapspace.hardware_loops import MapSpace
from simulator.checks.validate import check
from simulator.machine import count, simulate
from simulator.memory.request_stream import MemoryState
from simulator.program import Fence
from tests.mapper.tiny import prices

SLOW = {"array.size": 4, "scratchpad.capacity": 1024, "accumulator.capacity": 512, "dram.latency": 300}


def loop_of(tiles: tuple[int, int, int], order: str = "mnk", *, halves: bool = True) -> HardwareLoop:
    return HardwareLoop(*tiles, order=order, double_buffered=halves)


def test_the_rest_goes_on_at_the_pace_of_the_stretches() -> None:
    """A machine slower than closed forms (150 cycles for 100), and one that overlaps half of the waits (75)."""

    def until(loops: int) -> Elapsed:
        return Elapsed(50.0 * loops, 25.0 * loops)

    whole, first, stretches = Elapsed(1000.0, 500.0), range(2), (Stretch(4, 5, 6), Stretch(8, 10, 11))
    assert Sample(first, 120, stretches, (80, 70)).cycles(whole, until, 0.0) == 120 + 900 * 1.5
    assert Sample(first, 120, stretches, (35, 40)).cycles(whole, until, 0.0) == 120 + 450 + 450 * 0.5
    assert Sample(first, 120, stretches, (35, 40)).cycles(whole, until, 2000.0) == 2000.0
    assert Sample(range(4), 321).cycles(whole, until, 2000.0) == 321.0


def test_samples_are_bounded_by_loops_and_commands() -> None:
    assert sample_size(loop_of((1, 1, 1)), 10**6) == MOST_LOOPS
    assert sample_size(loop_of((1, 1, 1)), 5) == 5
    # 512 pairs, 3 x 64 blocks to move: seventeen of such loops are worth their commands, of longer ones two.
    assert sample_size(loop_of((8, 8, 8)), 100) == MOST_COMMANDS // (512 + 3 * 64) >= FEWEST_LOOPS
    assert sample_size(loop_of((16, 16, 16)), 100) == 0


def test_a_short_mapping_is_simulated_whole() -> None:
    spec, problem, loop = load("gemmini", SLOW), contiguous(12, 20, 9), loop_of((2, 2, 1))
    program, memory = lower_matmul(problem, loop, spec), MemoryState(spec)
    count(program, spec, memory)  # warm caches, which a sample leaves as they are
    simulated = simulate(program, spec, memory=memory.copy(), exact=True)
    sampled = sample(loop, problem, spec, memory)
    assert sampled is not None and not sampled.stretches
    assert sampled.first_cycles == simulated.cycles
    assert estimate(loop, problem, spec, prices(spec), memory, pace=Pace()).cycles == simulated.cycles


def test_some_loops_have_no_fence_and_find_tiles_on_chip() -> None:
    spec, problem = load("gemmini", SLOW), contiguous(12, 20, 9)
    loop = MapSpace(problem, spec).holding(loop_of((2, 2, 1), "nmk"))
    whole = lower_matmul(problem, loop, spec)
    begun, later = (lower_matmul(problem, loop, spec, part=part) for part in (range(3), range(5, 8)))
    assert begun.items == whole.items[:4]  # the call of the library, and three loops
    assert later.items == whole.items[6:9]
    assert not any(isinstance(item, Fence) for item in (*begun.items, *later.items))
    check(later, spec)


@pytest.mark.parametrize("trips", [(40, 5, 7), (3, 90, 2), (1, 2, 1000)])
def test_stretches_are_spread_over_the_loops_ahead(trips: tuple[int, int, int]) -> None:
    """None begins before the last one ended, none ends behind the mapping, and whole inner periods are in each."""
    loops, size = math.prod(trips), MOST_LOOPS
    found = list(spread(range(12, loops), size - 12, trips))
    ends = [12, *(one.end for one in found)]
    assert all(end <= one.begin and one.first == one.begin - FILLING for end, one in zip(ends, found, strict=False))
    assert ends[-1] <= loops
    assert sum(len(one.loops) + len(one.filling) for one in found) <= size - 12
    inner = trips[2] if trips[2] < 10 else 1
    assert all(len(range(one.begin, one.end)) % inner == 0 for one in found)


def test_a_stretch_finds_the_caches_that_the_loops_before_it_leave() -> None:
    """B is swept twice: 100 loops fetch it from DRAM, and 100 find it in the L2."""
    spec, problem, loop = load("gemmini", SLOW), contiguous(16, 8, 800), loop_of((2, 2, 2), "mnk")
    sampled = sample(loop, problem, spec, MemoryState(spec))
    assert sampled is not None
    first, last = sampled.stretches[0], sampled.stretches[-1]
    assert first.end <= 100 <= last.first and len(first.loops) == len(last.loops)
    assert sampled.cycles_found[0] > 1.1 * sampled.cycles_found[-1]


@pytest.mark.parametrize("order", ["mnk", "nkm", "kmn"])
def test_many_loops_follow_the_machine_that_closed_forms_miss(order: str) -> None:
    """216 loops of which 72 are simulated; closed forms are 44 to 52 % off on this machine."""
    spec = load("gemmini", SLOW | {"l2": None, "dram.bytes_per_cycle": 64})
    problem, loop = contiguous(24, 48, 48), loop_of((1, 2, 2), order)
    simulated = simulate(lower_matmul(problem, loop, spec), spec, exact=True).cycles
    pace = Pace()
    assert estimate(loop, problem, spec, prices(spec), pace=pace).cycles == pytest.approx(simulated, rel=0.05)
    assert pace.ratio is not None
    # Whoever differs in addresses alone goes on at the same pace.
    assert estimate(loop, problem, spec, prices(spec), pace=pace).cycles == pytest.approx(simulated, rel=0.05)
