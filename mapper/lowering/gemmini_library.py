"""Gemmini's own library: its tile search and its loop over tiles, which the strategy ``gemmini_auto`` runs, and what it
fuses.

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
from hwconfigs.kernels import kernel_named
from mapper.graph.fusion_cuts import Cut
from mapper.graph.fusion_group import executed
from mapper.graph.fusion_rules import obstacles
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.loop_nest import OPERAND_AXES
from mapper.mapping.matmul_problem import is_transposed
from mapper.mapspace.hardware_loops import HELD_TILES, MapSpace
from simulator.frontend.loop_unroller import blocks
from simulator.program import Activation, Fence, HostTask, Item, MatmulLoop, Matrix, Program
from simulator.tile_footprint import accumulator_blocks, scratchpad_blocks
from workloads import Operator, OpGraph
from workloads.ops import Matmul
from workloads.ops.matrices import MatrixAxes


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tile in array blocks, and the rounds that the search took (0: the tile was given)."""

    i: int
    j: int
    k: int
    rounds: int = 0


def auto_tiling(
    m: int, k: int, n: int, spec: HardwareSpec, *, whole_rows: bool = False, whole_memory: bool = False
) -> Tiling:
    """Return the library's greedy tile.

    Parameters
    ----------
    m, k, n
        Problem [elements].
    spec
        The machine.
    whole_rows
        A row-wise activation is fused: all of n in one tile, only I and K grow.
    whole_memory
        A tile may fill both halves of the memories, which the library never does.
    """
    block, parts = spec.array.rows, 1 if whole_memory else 2
    scratchpad, accumulator = spec.scratchpad.rows // parts, spec.accumulator.rows // parts
    most = blocks(m, block), blocks(n, block), blocks(k, block)
    side = math.isqrt(accumulator // block)
    depth = max(1, scratchpad // 2 // block // side)
    tile = [min(most[0], side), min(most[1], side), min(most[2], depth)]
    order = [1, 0, 2]
    if whole_rows:
        tile, order = [1, most[1], 1], [0, 2]
    rounds, grown = 0, True
    # The last round, in which no dimension can grow, costs core cycles like the others.
    while grown:
        grown, rounds = False, rounds + 1
        for axis in order:
            larger = tile.copy()
            larger[axis] += 1
            i, j, depth = larger
            inputs_fit = block * scratchpad_blocks(i, depth, j) <= scratchpad
            if inputs_fit and block * accumulator_blocks(i, j) <= accumulator and larger[axis] <= most[axis]:
                tile, grown = larger, True
    return Tiling(tile[0], tile[1], tile[2], rounds)


def library_cut(graph: OpGraph, spec: HardwareSpec) -> Cut:
    """Return the groups that the library runs by hand: a matmul with its activation, an addition with its ReLU.

    Whole rows of softmax or LayerNorm are fused where the tile that it starts from fits halves of the memories.
    """
    cut: list[tuple[str, ...]] = []
    taken: set[str] = set()
    for op in graph.operators:
        if op.name in taken:
            continue
        readers = graph.consumers(op.name)
        members = (op, *readers) if len(readers) == 1 and _library_fuses(op, readers[0], graph, spec) else (op,)
        taken.update(member.name for member in members)
        cut.append(tuple(member.name for member in members))
    return tuple(cut)


def _library_fuses(op: Operator, reader: Operator, graph: OpGraph, spec: HardwareSpec) -> bool:
    """Whether the library has a call for both operators."""
    if not kernel_named(reader.kind).is_activation or obstacles((op, reader), graph, spec):
        return False
    if not kernel_named(reader.kind).whole_rows:
        return True
    across = blocks(reader.dims["cols"], spec.array.cols)
    halves = spec.scratchpad.rows // 2 // spec.array.rows, spec.accumulator.rows // 2 // spec.array.rows
    fits = scratchpad_blocks(1, 1, across) <= halves[0] and accumulator_blocks(1, across) <= halves[1]
    return isinstance(executed(op), Matmul) and fits


def library_loop(space: MapSpace) -> HardwareLoop:
    """Return the mapping that the library would run for a problem; it need not fit a machine with small memories."""
    problem = space.problem
    tiling = auto_tiling(problem.m, problem.k, problem.n, space.spec, whole_rows=problem.whole_rows)
    return space.holding(HardwareLoop(tiling.i, tiling.k, tiling.j, "mnk"))


@dataclass(frozen=True, slots=True)
class Product:
    """Operands of a library call, C = A B (+ D), with row strides in bytes."""

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


def tiled(product: Product, tiling: Tiling, spec: HardwareSpec) -> tuple[MatmulLoop, ...]:
    """Return the hardware loops of a call, in order."""
    block = spec.array.rows
    tiles_m, tiles_n, tiles_k = (
        range(blocks(size, tile * block))
        for size, tile in ((product.m, tiling.i), (product.n, tiling.j), (product.k, tiling.k))
    )
    keep = spec.front_end.keeps_operands
    kept = (
        keep and len(tiles_m) * len(tiles_k) <= HELD_TILES,
        keep and len(tiles_n) * len(tiles_k) <= HELD_TILES,
    )
    return tuple(
        _loop(product, tiling, spec, (i, j, k), kept, len(tiles_k)) for i in tiles_m for j in tiles_n for k in tiles_k
    )


def _loop(
    product: Product,
    tiling: Tiling,
    spec: HardwareSpec,
    index: tuple[int, int, int],
    kept: tuple[bool, bool],
    tiles_k: int,
) -> MatmulLoop:
    """Return the hardware loop of tile (i, j, k); ``kept`` says whether A and B stay on chip between loops."""
    i, j, k = index
    step_m, step_n, step_k = (tile * spec.array.rows for tile in (tiling.i, tiling.j, tiling.k))
    m0, n0, k0 = i * step_m, j * step_n, k * step_k
    keep_a, keep_b = kept
    wide = spec.array.sum_bytes
    bias, last = product.d if k == 0 else None, k == tiles_k - 1
    b_row, b_col = ({"m": m0, "k": k0, "n": n0}[dim] for dim in product.b_axes)
    return MatmulLoop(
        m=min(step_m, product.m - m0),
        k=min(step_k, product.k - k0),
        n=min(step_n, product.n - n0),
        a=None if keep_a and j > 0 else product.a.part(m0, k0),
        b=None if keep_b and i > 0 else product.b.part(b_row, b_col),
        c=product.c.part(m0, n0, wide if product.c_full else 1) if last else None,
        d=None if bias is None else bias.part(m0, n0, wide),
        accumulate=k > 0,
        b_transposed=is_transposed(product.b_axes),
        c_full=product.c_full,
        activation=product.activation if last else "none",
        # Two tiles of a kept operand lie in the two halves, by their parity, so that each is found again.
        a_half=(i * tiles_k + k) % 2 if keep_a else None,
        b_half=(j * tiles_k + k) % 2 if keep_b else None,
    )


def library_call(product: Product, tiling: Tiling, spec: HardwareSpec, software_cycles: int) -> Program:
    """Return a timed library call: core cycles of its software, hardware loops, fence."""
    items: list[Item] = [HostTask("library call", software_cycles)] if software_cycles else []
    items += [*tiled(product, tiling, spec), Fence()]
    return Program(f"{product.m}x{product.k}x{product.n}", tuple(items))
