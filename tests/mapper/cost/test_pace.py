"""The pace of a mapping: closed forms go on as the first loops on the machine do."""

from __future__ import annotations

import pytest

from hwconfigs import load
from mapper.cost.estimate import estimate
from mapper.cost.pace import FEWEST_LOOPS, MOST_COMMANDS, MOST_LOOPS, TRUST, Elapsed, Pace, Sample, sample, sample_size
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import contiguous
from simulator.machine import count, simulate
from simulator.memory.request_stream import MemoryState
from simulator.program import Fence
from tests.mapper.tiny import prices

SLOW = {"array.size": 4, "scratchpad.capacity": 1024, "accumulator.capacity": 512, "dram.latency": 300}


def loop_of(tiles: tuple[int, int, int], order: str = "mnk", *, halves: bool = True) -> HardwareLoop:
    return HardwareLoop(*tiles, order=order, double_buffered=halves)


def test_the_rest_goes_on_at_the_pace_of_the_second_half() -> None:
    """A machine slower than closed forms (150 cycles for 100), and one that overlaps half of the waits (75)."""
    until = {2: Elapsed(100.0, 50.0), 4: Elapsed(200.0, 100.0)}.__getitem__
    whole = Elapsed(1000.0, 500.0)
    assert Sample(2, 4, 120, 270, whole=False).cycles(whole, until, 0.0) == 270 + 800 * 1.5**TRUST
    assert Sample(2, 4, 120, 195, whole=False).cycles(whole, until, 0.0) == 195 + 400 + 400 * 0.5**TRUST
    assert Sample(2, 4, 120, 195, whole=False).cycles(whole, until, 2000.0) == 2000.0
    assert Sample(0, 4, 0, 321, whole=True).cycles(whole, until, 2000.0) == 321.0


def test_samples_are_bounded_by_loops_and_commands() -> None:
    assert sample_size(loop_of((1, 1, 1)), 10**6) == MOST_LOOPS
    assert sample_size(loop_of((1, 1, 1)), 5) == 5
    # 512 pairs, 3 x 64 blocks to move: twelve of such loops are worth their commands, and of ten times longer ones one.
    assert sample_size(loop_of((8, 8, 8)), 100) == MOST_COMMANDS // (512 + 3 * 64) >= FEWEST_LOOPS
    assert sample_size(loop_of((16, 16, 16)), 100) == 0


def test_a_short_mapping_is_simulated_whole() -> None:
    spec, problem, loop = load("gemmini", SLOW), contiguous(12, 20, 9), loop_of((2, 2, 1))
    program, memory = lower_matmul(problem, loop, spec), MemoryState(spec)
    count(program, spec, memory)  # warm caches, which a sample leaves as they are
    simulated = simulate(program, spec, memory=memory.copy(), exact=True)
    sampled = sample(loop, problem, spec, memory)
    assert sampled is not None and sampled.whole
    assert sampled.last_cycles == simulated.cycles
    assert estimate(loop, problem, spec, prices(spec), memory, pace=Pace()).cycles == simulated.cycles


def test_the_first_loops_end_without_a_fence() -> None:
    spec, problem, loop = load("gemmini", SLOW), contiguous(12, 20, 9), loop_of((2, 2, 1))
    whole, begun = lower_matmul(problem, loop, spec), lower_matmul(problem, loop, spec, first=3)
    assert begun.items == whole.items[:4]
    assert not any(isinstance(item, Fence) for item in begun.items)


@pytest.mark.parametrize("order", ["mnk", "nkm", "kmn"])
def test_many_loops_follow_the_machine_that_closed_forms_miss(order: str) -> None:
    """216 loops of which 48 are simulated; closed forms are 44 to 52 % off on this machine, at their pace 5 to 7 %."""
    spec = load("gemmini", SLOW | {"l2": None, "dram.bytes_per_cycle": 64})
    problem, loop = contiguous(24, 48, 48), loop_of((1, 2, 2), order)
    simulated = simulate(lower_matmul(problem, loop, spec), spec, exact=True).cycles
    pace = Pace()
    assert estimate(loop, problem, spec, prices(spec), pace=pace).cycles == pytest.approx(simulated, rel=0.08)
    assert pace.ratio is not None
    # Whoever differs in addresses alone goes on at the same pace.
    assert estimate(loop, problem, spec, prices(spec), pace=pace).cycles == pytest.approx(simulated, rel=0.08)
