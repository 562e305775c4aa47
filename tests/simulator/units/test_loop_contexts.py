"""A loop whose rows are normalised keeps its context until its read-out is handed over."""

from __future__ import annotations

import pytest

import hwconfigs
from hwconfigs import HardwareSpec
from hwconfigs.kernels import kernel_named
from mapper.lowering.gemmini_library import Product, Tiling, library_call
from simulator.machine import simulate
from simulator.program import Matrix, Program
from simulator.units.normaliser import readout_cycles

MACHINE = hwconfigs.load("gemmini_ibert_v071", {"accumulator.capacity": "64 KiB"})
ROWS, COLS, DEPTH = 128, 256, 64


def product(activation: str, spec: HardwareSpec, tile_k: int = 4, rows: int = ROWS) -> Program:
    matrices = (Matrix(0x100000, DEPTH), Matrix(0x200000, COLS), Matrix(0x300000, COLS))
    return library_call(
        Product(rows, DEPTH, COLS, *matrices, activation=activation), Tiling(1, COLS // 16, tile_k), spec, 0
    )


def period(activation: str, spec: HardwareSpec, tile_k: int = 4) -> float:
    """Cycles per tile, far from the ends."""
    few, many = (
        simulate(product(activation, spec, tile_k, rows), spec, exact=True).cycles for rows in (ROWS, 2 * ROWS)
    )
    return (many - few) / (ROWS / 16)


@pytest.mark.parametrize(("activation", "measured"), [("softmax", 1940), ("layernorm", 2066)])
def test_a_tile_takes_its_measured_period(activation: str, measured: int) -> None:
    """Neither the products of a tile nor its read-out take so long: traced on the RTL of v0.7.1."""
    own = readout_cycles(16, COLS, kernel_named(activation), MACHINE, issued=False)
    assert own < 0.8 * measured
    assert period(activation, MACHINE) == pytest.approx(measured, rel=0.06)


def test_more_contexts_hide_more_of_the_read_outs() -> None:
    four = hwconfigs.override(MACHINE, {"front_end.loops_in_flight": 4})
    assert period("softmax", four) < 0.9 * period("softmax", MACHINE)


def test_one_context_hides_nothing() -> None:
    one = hwconfigs.override(MACHINE, {"front_end.loops_in_flight": 1})
    own = readout_cycles(16, COLS, kernel_named("softmax"), MACHINE, issued=False)
    assert period("softmax", one) > period("softmax", MACHINE) + 0.3 * own


def test_a_loop_without_output_waits_behind_the_read_out() -> None:
    """With two loops per tile only half of one overlaps a read-out."""
    whole, halves = (period("softmax", MACHINE, tile_k) for tile_k in (4, 2))
    assert halves > 1.1 * whole


@pytest.mark.parametrize("contexts", [1, 2, 3, 4])
@pytest.mark.parametrize("activation", ["softmax", "layernorm"])
def test_passing_loops_over_changes_little(activation: str, contexts: int) -> None:
    spec = hwconfigs.override(MACHINE, {"front_end.loops_in_flight": contexts})
    long = product(activation, spec, rows=8 * ROWS)
    assert simulate(long, spec).cycles == pytest.approx(simulate(long, spec, exact=True).cycles, rel=0.01)
