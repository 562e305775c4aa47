"""The default mode against the exact one: a small version of the benchmark on random machines, and known hard cases."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

import hwconfigs
from mapper import pipeline
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import contiguous
from simulator.machine import prepare
from simulator.memory.request_stream import MemoryState

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SEED, CASES, SECONDS = 10, 16, 0.8
FUSED_SECONDS = 0.3
DEAR = (3, 4, 5, 8, 9, 12, 13, 15)
"""Cases of three CPU seconds and more."""


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return runpy.run_path(str(BENCHMARKS / "default_against_exact.py"), run_name="benchmark")


@pytest.mark.parametrize(
    "number", [pytest.param(number, marks=[pytest.mark.slow] if number in DEAR else []) for number in range(CASES)]
)
def test_random_machines(benchmark: dict[str, Any], number: int) -> None:
    case = benchmark["draw"](SEED, number, SECONDS)
    benchmark["run"](case)
    assert case.difference <= benchmark["TOLERANCE"], case.line()


@pytest.mark.parametrize(
    "number", [pytest.param(number, marks=[] if number in (2, 3, 4) else [pytest.mark.slow]) for number in range(8)]
)
def test_fused_programs_of_random_machines(benchmark: dict[str, Any], number: int) -> None:
    case = benchmark["draw"](SEED, number, FUSED_SECONDS, fused=True)
    benchmark["run"](case)
    assert case.plan.turns or max(map(len, case.plan.cut)) > 1
    assert case.difference <= benchmark["TOLERANCE"], case.line()


def test_loops_are_passed_over_on_random_machines(benchmark: dict[str, Any]) -> None:
    case = benchmark["draw"](SEED, 1, SECONDS)
    benchmark["run"](case)
    assert case.passed_over > 0
    assert f"more than 1% off: {int(case.difference > 0.01)}" in benchmark["summary"]([case])


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        ((384, 100, 384), {"accumulator.capacity": 4096, "dram.latency": 100}),
        ((384, 100, 384), {"accumulator.capacity": 4096, "scratchpad.capacity": 65536, "dram.latency": 300}),
        (
            (128, 256, 256),
            {
                "array.size": 8, "scratchpad.capacity": 16384, "accumulator.capacity": 1024, "l2.capacity": 65536,
                "dram.latency": 200,
            },
        ),
    ],
)  # fmt: skip
def test_cold_loops_lend_no_time_to_warm_ones(shape: tuple[int, int, int], changes: dict[str, object]) -> None:
    """Bound by latency, so that the DRAM bus looks idle: what the first loops fetch, later ones find in the cache."""
    quick, exact = (pipeline.map_matmul(*shape, "gemmini", overrides=changes, exact=exact) for exact in (False, True))
    assert quick.simulation.cycles == pytest.approx(exact.simulation.cycles, rel=0.01)


def test_loops_that_pile_up_lend_no_time() -> None:
    """While the array works on loops before them, as many loops as its queues take are asked for at the host's pace."""
    changes: dict[str, object] = {
        "array.size": 4, "scratchpad.capacity": 1024, "accumulator.capacity": 131_072, "dram.latency": 15,
        "dma.max_in_flight": 64, "l2.capacity": 262_144, "l2.ways": 4, "l2.mshrs": 4,
    }  # fmt: skip
    spec, problem = hwconfigs.load("gemmini", changes), contiguous(16, 266, 80)
    prepared = prepare(lower_matmul(problem, HardwareLoop(4, 1, 12), spec), spec, MemoryState(spec), timed=True)
    exact = prepared.simulate(exact=True).cycles
    assert prepared.simulate_stretch()[0].cycles == pytest.approx(exact, rel=0.01)
    assert prepared.simulate().cycles == pytest.approx(exact, rel=0.01)


def test_loads_that_fall_back_lend_no_time() -> None:
    """Loads run ahead at first and lose some cycles in every loop, until the array has to wait for them."""
    changes: dict[str, object] = {
        "array.size": 2, "scratchpad.capacity": 16_384, "accumulator.capacity": 65_536, "dram.latency": 6,
        "dram.bandwidth": "64 B/cycle", "dma.max_in_flight": 64, "l2.capacity": 1_048_576, "l2.ways": 4, "l2.mshrs": 2,
    }  # fmt: skip
    spec = hwconfigs.load("gemmini_lean", changes)
    program = lower_matmul(contiguous(2, 768, 384), HardwareLoop(1, 8, 64), spec)
    prepared = prepare(program, spec, MemoryState(spec), timed=True)
    assert prepared.simulate().cycles == pytest.approx(prepared.simulate(exact=True).cycles, rel=0.005)


@pytest.mark.parametrize(
    ("shape", "tile", "latency", "l2"),
    [((120, 16, 80), HardwareLoop(2, 1, 1), 20, 1_048_576), ((80, 16, 48), HardwareLoop(1, 1, 1), 1, 16_384)],
    ids=["dear stores lend no time", "dear stores wait behind what is passed over"],
)
def test_what_loops_under_way_need_was_not_met(
    shape: tuple[int, int, int], tile: HardwareLoop, latency: int, l2: int
) -> None:
    """Narrow stores fetch their lines: some loops take ten times the time of others, well after they are asked for."""
    changes: dict[str, object] = {
        "array.size": 8, "scratchpad.capacity": 262_144, "accumulator.capacity": 262_144, "dram.latency": latency,
        "dram.bandwidth": "1 B/cycle", "l2.capacity": l2, "l2.ways": 8, "l2.mshrs": 15,
    }  # fmt: skip
    spec = hwconfigs.load("gemmini_ibert", changes)
    prepared = prepare(lower_matmul(contiguous(*shape), tile, spec), spec, MemoryState(spec), timed=True)
    assert prepared.simulate().cycles == pytest.approx(prepared.simulate(exact=True).cycles, rel=0.005)
