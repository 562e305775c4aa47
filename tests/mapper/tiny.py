"""Small random problems and legal mappings for them, shared by the tests of the mapper."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

import hwconfigs
from hwconfigs import EnergyModel, HardwareSpec
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem, contiguous
from mapper.mapspace.batch import ORDERS
from mapper.mapspace.hardware_loops import HELD_TILES, MapSpace
from simulator.program import Matrix

MACHINES = ("tiny_4x4", "gemmini", "gemmini_chip", "gemmini_ibert")


def machine(name: str) -> HardwareSpec:
    """Return a shipped machine."""
    return hwconfigs.load(name)


def prices(spec: HardwareSpec) -> EnergyModel:
    """Return the machine's own energy model."""
    return hwconfigs.load_energy(spec.energy).bind(spec)


@st.composite
def problems(draw: st.DrawFn, spec: HardwareSpec, blocks: int = 4) -> MatmulProblem:
    """Draw a problem of a few array blocks, ragged, at odd addresses and strides now and then."""
    size = st.integers(1, blocks * spec.array.rows)
    problem = contiguous(
        draw(size),
        draw(size),
        draw(size),
        bias=draw(st.booleans()),
        b_axes=draw(st.sampled_from([("k", "n"), ("n", "k")])),
        c_full=draw(st.booleans()),
        activation=draw(st.sampled_from(["none", "relu"])),
    )
    if not draw(st.booleans()):
        return problem
    shift, gap = draw(st.integers(0, 63)), draw(st.integers(0, 40))
    return replace(problem, a=moved(problem.a, shift, gap), b=moved(problem.b, 0, gap), c=moved(problem.c, 4 * gap, 0))


def moved(matrix: Matrix, shift: int, gap: int) -> Matrix:
    """Return a matrix far away from all others, ``shift`` bytes off a page and with ``gap`` bytes between its rows."""
    return Matrix(matrix.address * 1024 + shift, matrix.row_stride_bytes + gap)


@st.composite
def legal_loops(draw: st.DrawFn, problem: MatmulProblem, spec: HardwareSpec) -> HardwareLoop:
    """Draw a mapping that fits."""
    space = MapSpace(problem, spec)
    m, k, n = space.blocks
    double_buffered = draw(st.booleans())
    scratchpad, accumulator = space.capacity_blocks(double_buffered)
    tile_m = draw(st.integers(1, min(m, accumulator, scratchpad - 1)))
    tile_n = draw(st.integers(1, min(n, accumulator // tile_m, scratchpad - tile_m)))
    tile_k = draw(st.integers(1, min(k, scratchpad // (tile_m + tile_n))))
    trips_m, trips_k, trips_n = -(-m // tile_m), -(-k // tile_k), -(-n // tile_n)
    can_hold = double_buffered and spec.front_end.keeps_operands
    held = {
        name
        for name, tiles in (("input", trips_m * trips_k), ("weight", trips_k * trips_n))
        if can_hold and tiles <= HELD_TILES and draw(st.booleans())
    }
    order = draw(st.sampled_from(ORDERS))
    return HardwareLoop(tile_m, tile_k, tile_n, order, double_buffered, frozenset(held))
