"""Passing over steady loops: the same counts, nearly the same time, and nothing passed over where nothing is steady."""

from __future__ import annotations

from typing import Any

import pytest

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.lowering.gemmini_library import Product, Tiling, tiled
from simulator import machine
from simulator.fast_forward.steady_state import FastForward
from simulator.machine import simulate
from simulator.program import Fence, MatmulLoop, Matrix, Program

TOLERANCE = 0.01
"""Largest relative difference from the exact run."""


def program(m: int, k: int, n: int, tiling: Tiling, spec: HardwareSpec) -> Program:
    page = 4096
    a = 0x8000_0000
    b = a + -(-m * k // page) * page
    c = b + -(-k * n // page) * page
    product = Product(m, k, n, Matrix(a, k), Matrix(b, n), Matrix(c, n))
    return Program(f"{m}x{k}x{n}", (*tiled(product, tiling, spec), Fence()))


@pytest.mark.parametrize(
    ("m", "k", "n", "tiling"),
    [
        (512, 768, 768, Tiling(8, 4, 24)),
        (512, 768, 768, Tiling(5, 5, 48)),
        (128, 768, 1536, Tiling(5, 5, 48)),
        (1, 768, 1536, Tiling(1, 9, 48)),
        (197, 768, 768, Tiling(7, 4, 24)),
        (256, 256, 256, Tiling(2, 2, 2)),
        (512, 3072, 768, Tiling(4, 8, 8)),
        (512, 64, 512, Tiling(4, 3, 4)),
        (330, 1000, 500, Tiling(6, 5, 9)),
    ],
)
def test_time_is_kept_and_counts_are_equal(m: int, k: int, n: int, tiling: Tiling) -> None:
    spec = hwconfigs.load("gemmini")
    exact = simulate(program(m, k, n, tiling, spec), spec, exact=True)
    quick = simulate(program(m, k, n, tiling, spec), spec)
    assert quick.counts == exact.counts
    assert quick.cycles == pytest.approx(exact.cycles, rel=TOLERANCE)
    for unit, time in quick.units.items():
        assert time.total_cycles == quick.cycles, unit
        assert min(time.busy_cycles, time.idle_cycles, *time.stall_cycles.values(), 0) == 0, unit
        assert time.busy_cycles == pytest.approx(exact.units[unit].busy_cycles, rel=0.03, abs=200), unit


def simulated_loops(steady: Program, spec: HardwareSpec, monkeypatch: pytest.MonkeyPatch) -> int:
    """Loops that are simulated in the default mode."""
    runs: list[FastForward] = []

    class Recorded(FastForward):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            runs.append(self)

    monkeypatch.setattr(machine, "FastForward", Recorded)
    simulate(steady, spec)
    return sum(isinstance(item, MatmulLoop) for item in steady.items) - runs[0].loops_passed_over


@pytest.mark.parametrize("m", [512, 1024, 2048])
def test_whole_tiles_are_passed_over(m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """8, 16, 32 tiles of 24 steps along k: the first few and the last are simulated, in part."""
    spec = hwconfigs.load("gemmini_ibert")
    tiles = program(m, 3072, 256, Tiling(8, 8, 8), spec)
    assert simulated_loops(tiles, spec, monkeypatch) <= 100


def test_a_single_loop_is_never_passed_over() -> None:
    spec = hwconfigs.load("gemmini")
    single = program(64, 64, 64, Tiling(4, 4, 4), spec)
    assert simulate(single, spec).cycles == simulate(single, spec, exact=True).cycles


def test_spans_cover_every_loop() -> None:
    spec = hwconfigs.load("gemmini")
    steady = program(512, 768, 768, Tiling(8, 4, 24), spec)
    loops = sum(span.unit == "execute" for span in simulate(steady, spec, spans=True).spans)
    assert loops == len(steady.items) - 1
