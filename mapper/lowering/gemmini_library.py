"""Gemmini's own library: its tile search and its loop over tiles, as the mapping policy ``gemmini_auto``.

tiled_matmul_auto starts from a square tile and grows J, I, K in turn, one block each per round, while half of each
memory holds the tile. Loops run i, j, k outermost to innermost; every hardware loop reloads A and B, except on machines
whose library keeps an operand of few tiles (`mapper.mapspace.hardware_loops.HELD_TILES`). Source:
ucb-bar/gemmini-rocc-tests as described in the timing notes, section 5.1, and the calibration notes, section 1.1 (core
cycles of the search).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwconfigs import HardwareSpec
from mapper.mapping.loop_nest import OPERAND_AXES
from mapper.mapping.matmul_problem import is_transposed
from mapper.mapspace.hardware_loops import HELD_TILES
from simulator.frontend.loop_unroller import blocks
from simulator.program import Activation, Fence, HostTask, Item, MatmulLoop, Matrix, Program
from simulator.tile_footprint import accumulator_blocks, scratchpad_blocks
from workloads.ops.matrices import MatrixAxes


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tile in array blocks, and the rounds the search took (0: given)."""

    i: int
    j: int
    k: int
    rounds: int = 0


def auto_tiling(m: int, k: int, n: int, spec: HardwareSpec, *, whole_rows: bool = False) -> Tiling:
    """The library's greedy tile.

    Parameters
    ----------
    m, k, n
        Problem [elements].
    spec
        The machine.
    whole_rows
        A row-wise activation is fused: all of n in one tile, only I and K grow.
    """
    dim = spec.array.rows
    scratchpad, accumulator = spec.scratchpad.rows // 2, spec.accumulator.rows // 2
    most = blocks(m, dim), blocks(n, dim), blocks(k, dim)
    side = math.isqrt(accumulator // dim)
    depth = max(1, scratchpad // 2 // dim // side)
    tile = [min(most[0], side), min(most[1], side), min(most[2], depth)]
    order = [1, 0, 2]
    if whole_rows:
        tile, order = [1, most[1], 1], [0, 2]
    rounds, grown = 0, True
    while grown:
        grown, rounds = False, rounds + 1
        for axis in order:
            larger = tile.copy()
            larger[axis] += 1
            i, j, inner = larger
            fits = dim * scratchpad_blocks(i, inner, j) <= scratchpad and dim * accumulator_blocks(i, j) <= accumulator
            if fits and larger[axis] <= most[axis]:
                tile, grown = larger, True
    return Tiling(tile[0], tile[1], tile[2], rounds)


@dataclass(frozen=True, slots=True)
class Product:
    """A library call: C = A B (+ D), with row strides in bytes."""

    m: int
    k: int
    n: int
    a: Matrix
    b: Matrix
    c: Matrix
    d: Matrix | None = None
    b_axes: MatrixAxes = OPERAND_AXES["weight"]
    c_full: bool = False
    activation: Activation = "none"


def call_cycles(tiling: Tiling, spec: HardwareSpec) -> int:
    """Core cycles of a library call before its first hardware loop."""
    return round(spec.host.call_cycles + spec.host.search_round_cycles * tiling.rounds)


def tiled(product: Product, tiling: Tiling, spec: HardwareSpec) -> tuple[MatmulLoop, ...]:
    """The hardware loops of a call, in order."""
    dim = spec.array.rows
    step_m, step_k, step_n = tiling.i * dim, tiling.k * dim, tiling.j * dim
    tiles_m, tiles_k, tiles_n = (
        blocks(size, step) for size, step in ((product.m, step_m), (product.k, step_k), (product.n, step_n))
    )
    keep = spec.front_end.keeps_operands
    keep_a, keep_b = keep and tiles_m * tiles_k <= HELD_TILES, keep and tiles_n * tiles_k <= HELD_TILES
    wide = spec.array.sum_bytes
    element = wide if product.c_full else 1
    loops: list[MatmulLoop] = []
    for i in range(tiles_m):
        for j in range(tiles_n):
            for k in range(tiles_k):
                m0, n0, k0 = i * step_m, j * step_n, k * step_k
                b_row, b_col = ({"m": m0, "k": k0, "n": n0}[dim] for dim in product.b_axes)
                last = k == tiles_k - 1
                bias = product.d
                loops.append(
                    MatmulLoop(
                        m=min(step_m, product.m - m0),
                        k=min(step_k, product.k - k0),
                        n=min(step_n, product.n - n0),
                        a=None if keep_a and j > 0 else product.a.part(m0, k0),
                        b=None if keep_b and i > 0 else product.b.part(b_row, b_col),
                        c=product.c.part(m0, n0, element) if last else None,
                        d=bias.part(m0, n0, wide) if bias is not None and k == 0 else None,
                        accumulate=k > 0,
                        b_transposed=is_transposed(product.b_axes),
                        c_full=product.c_full,
                        activation=product.activation if last else "none",
                        a_half=(i * tiles_k + k) % 2 if keep_a else None,
                        b_half=(j * tiles_k + k) % 2 if keep_b else None,
                    )
                )
    return tuple(loops)


def library_call(product: Product, tiling: Tiling, spec: HardwareSpec, software_cycles: int) -> Program:
    """A timed library call: software, hardware loops, fence."""
    items: list[Item] = [HostTask("library call", software_cycles)] if software_cycles else []
    items += [*tiled(product, tiling, spec), Fence()]
    return Program(f"{product.m}x{product.k}x{product.n}", tuple(items))
