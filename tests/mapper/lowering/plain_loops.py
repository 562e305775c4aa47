"""The hardware loops of a matmul as its definition says, one after another: the oracle of those in columns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from hwconfigs import HardwareSpec
from mapper.mapping.hardware_loop import HardwareLoop, spills
from mapper.mapping.loop_nest import DIMS
from mapper.mapping.matmul_problem import INT32_BYTES, MatmulProblem
from mapper.mapspace.hardware_loops import MapSpace
from simulator.program import MatmulLoop, Matrix


@dataclass(frozen=True, slots=True)
class TileStep:
    """One visit of the DRAM loops: index of the tile along each dimension, and its first element and size."""

    index: dict[str, int]
    start: dict[str, int]
    size: dict[str, int]


def tile_steps(problem: MatmulProblem, loop: HardwareLoop, block: int) -> Iterator[TileStep]:
    """Yield the tiles in the order of the DRAM loops; tile sizes count array blocks of ``block`` x ``block``."""
    extent = problem.dims
    step = {name: blocks * block for name, blocks in zip(DIMS, loop.tiles, strict=True)}
    trips = [range(-(-extent[name] // step[name])) for name in loop.order]
    for visit in itertools.product(*trips):
        index = dict(zip(loop.order, visit, strict=True))
        start = {name: index[name] * step[name] for name in DIMS}
        size = {name: min(step[name], extent[name] - start[name]) for name in DIMS}
        yield TileStep(index, start, size)


def plain_loops(problem: MatmulProblem, loop: HardwareLoop, spec: HardwareSpec) -> Iterator[MatmulLoop]:
    """Yield the loops of a mapping."""
    tiles_m, tiles_k, tiles_n = MapSpace(problem, spec).tile_counts(loop)
    spill = spills(loop.order, tiles_m, tiles_k, tiles_n) > 0
    loaded: dict[str, set[int]] = {"input": set(), "weight": set()}
    kept, left, side = problem.a_kept, problem.c_kept, spec.array.rows
    for step in tile_steps(problem, loop, side):
        first, last = step.index["k"] == 0, step.index["k"] == tiles_k - 1
        number = {
            "input": step.index["m"] * tiles_k + step.index["k"],
            "weight": step.index["k"] * tiles_n + step.index["n"],
        }
        fresh = {name: name not in loop.held or number[name] not in loaded[name] for name in number}
        for name in number:
            loaded[name].add(number[name])
        yield MatmulLoop(
            m=step.size["m"],
            k=step.size["k"],
            n=step.size["n"],
            a=None if kept is not None or not fresh["input"] else problem.a.part(step.start["m"], step.start["k"]),
            b=_weights(problem, step) if fresh["weight"] else None,
            c=_result(problem, step, last, spill),
            d=_addend(problem, step, first, spill),
            residual=problem.residual.part(step.start["m"], step.start["n"]) if problem.residual and first else None,
            # Spilled sums come back as D, which starts the accumulation anew.
            accumulate=not first and not spill,
            b_transposed=problem.transposes_b,
            b_bits=problem.b_bits,
            c_full=problem.c_full or not last,
            activation=problem.activation if last else "none",
            # At most two tiles of an operand are held: their numbers are the halves that hold them.
            a_half=number["input"] if "input" in loop.held else None,
            b_half=number["weight"] if "weight" in loop.held else None,
            whole_memory=not loop.double_buffered,
            a_kept=None if kept is None else kept.part(step.start["m"] // side, step.start["k"] // side, side),
            c_kept=(
                None if left is None or not last else left.part(step.start["m"] // side, step.start["n"] // side, side)
            ),
            reserved_rows=problem.reserved_rows,
        )


def _weights(problem: MatmulProblem, step: TileStep) -> Matrix:
    row, col = problem.b_axes
    # Tiles begin with array blocks, whose rows are whole bytes.
    return problem.b.part(step.start[row], int(step.start[col] * problem.b_bits // 8))


def _result(problem: MatmulProblem, step: TileStep, last: bool, spill: bool) -> Matrix | None:
    if last:
        if problem.c_kept is not None:
            return None
        return problem.c.part(step.start["m"], step.start["n"], problem.c_bytes)
    return problem.partial.part(step.start["m"], step.start["n"], INT32_BYTES) if spill else None


def _addend(problem: MatmulProblem, step: TileStep, first: bool, spill: bool) -> Matrix | None:
    if first:
        bias = problem.bias_address
        return None if bias is None else Matrix(bias + INT32_BYTES * step.start["n"], 0)
    return problem.partial.part(step.start["m"], step.start["n"], INT32_BYTES) if spill else None
