"""Hardware loop -> Program: the hardware loops of one matmul, in the mapping's order.

    call overhead                      library code before the first loop
    loop_ws  for each DRAM tile        operands, or "kept" when they stay on chip
    fence                              the host waits for the last write

Partial sums of a tile stay in the accumulator while the k loop runs without another tile in between; otherwise they
leave as int32 and come back as D. Bias and residual enter with the first k tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hwconfigs import HardwareSpec
from mapper.lowering.host import call_overhead
from mapper.mapping.hardware_loop import HardwareLoop, spills
from mapper.mapping.loop_nest import DIMS
from mapper.mapping.matmul_problem import INT32_BYTES, MatmulProblem
from mapper.mapspace.hardware_loops import check
from simulator.arrays import Bools, Ints
from simulator.loop_columns import MATRICES, LoopColumns, LoopItems, numbered
from simulator.program import EVERYTHING_ON_CHIP, Fence, MatmulLoop, Matrix, Program


def lower_matmul(
    problem: MatmulProblem, loop: HardwareLoop, spec: HardwareSpec, *, part: range | None = None
) -> Program:
    """Return the program of one matmul.

    Parameters
    ----------
    problem, loop, spec
        What runs where.
    part
        Hardware loops that are wanted alone, without the fence: the first ones with the call of the library, others
        behind the loops before them, whose tiles they find on chip. None: all.

    Raises
    ------
    MappingError
        When the mapping does not fit.
    """
    check(loop, problem, spec)
    loops = _Visits(problem, loop, spec.array.rows).loops()
    items = LoopItems(
        () if part is not None and part.start else (call_overhead(spec),),
        loops if part is None else loops.part(part),
        (Fence(),) if part is None else (),
    )
    kept = problem.a_kept
    found = () if kept is None else (kept.rows(problem.m, problem.k, spec.array.rows),)
    preloaded = EVERYTHING_ON_CHIP if part is not None and part.start else ()
    return Program(problem.name, items, problem.regions, preloaded, found)


class _Place(NamedTuple):
    """Where in DRAM the tiles of a matrix lie."""

    where: Bools
    """Visits whose loop loads or stores it there."""
    row_stride_bytes: int
    address: Ints
    """Of each visit [bytes]."""


class _Visits:
    """Tiles in the order of the DRAM loops, as columns.

    Parameters
    ----------
    problem, loop
        What is tiled how.
    side
        Rows of the array.
    """

    def __init__(self, problem: MatmulProblem, loop: HardwareLoop, side: int) -> None:
        self._problem, self._loop, self._side = problem, loop, side
        self._step = {name: blocks * side for name, blocks in zip(DIMS, loop.tiles, strict=True)}
        number = {name: -(-problem.dims[name] // self._step[name]) for name in DIMS}
        visits = np.indices([number[name] for name in loop.order], dtype=np.int64).reshape(len(DIMS), -1)
        self._index = dict(zip(loop.order, visits, strict=True))
        self._start = {name: self._index[name] * self._step[name] for name in DIMS}
        self._is_first, self._is_last = self._index["k"] == 0, self._index["k"] == number["k"] - 1
        self._spill = spills(loop.order, number["m"], number["k"], number["n"]) > 0
        self._tile = {
            "input": self._index["m"] * number["k"] + self._index["k"],
            "weight": self._index["k"] * number["n"] + self._index["n"],
        }
        # Tiles that are held are loaded where they are first needed, all others whenever they are.
        always = np.ones(visits.shape[1], dtype=bool)
        self._fresh = {name: _firsts(tile) if name in loop.held else always for name, tile in self._tile.items()}

    def loops(self) -> LoopColumns:
        """Return the hardware loop of each visit."""
        places = self._places()
        code: Ints = np.zeros(1, dtype=np.int64)
        for column in self._columns():
            code = code * (int(column.max()) + 1) + column
        first, kind = numbered(code)
        addresses = np.zeros((len(MATRICES), len(kind)), dtype=np.int64)
        for name, of_matrix in places.items():
            for place in of_matrix:
                np.copyto(addresses[MATRICES.index(name)], place.address, where=place.where)
        return LoopColumns(tuple(self._at_zero(visit, places) for visit in first.tolist()), kind, addresses)

    def _columns(self) -> Iterator[Ints | Bools]:
        """Yield what tells loops apart but for their addresses."""
        problem, index = self._problem, self._index
        for name in DIMS:
            yield self._start[name] + self._step[name] > problem.dims[name]
        yield self._is_first
        yield self._is_last
        for name in sorted(self._loop.held):
            yield self._fresh[name]
            yield self._tile[name]
        if problem.a_kept is not None:
            yield self._tile["input"]
        if problem.c_kept is not None:
            yield index["m"]
            yield index["n"]

    def _places(self) -> dict[str, list[_Place]]:
        """Return where each matrix of the loops lies, by attribute of `MatmulLoop`."""
        problem, start, bias = self._problem, self._start, self._problem.bias_address
        first, last, residual = self._is_first, self._is_last, problem.residual
        row, col = (start[name] for name in problem.b_axes)
        sums = problem.partial
        partial = _part(sums, start["m"], start["n"] * INT32_BYTES)
        places: dict[str, list[_Place]] = {name: [] for name in MATRICES}
        if problem.a_kept is None:
            a = _part(problem.a, start["m"], start["k"])
            places["a"].append(_Place(self._fresh["input"], problem.a.row_stride_bytes, a))
        # Tiles begin with array blocks, whose rows are whole bytes.
        b = _part(problem.b, row, (col * problem.b_bits // 8).astype(np.int64))
        places["b"].append(_Place(self._fresh["weight"], problem.b.row_stride_bytes, b))
        if bias is not None:
            places["d"].append(_Place(first, 0, bias + INT32_BYTES * start["n"]))
        if residual is not None:
            added = _part(residual, start["m"], start["n"])
            places["residual"].append(_Place(first, residual.row_stride_bytes, added))
        if problem.c_kept is None:
            c = _part(problem.c, start["m"], start["n"] * problem.c_bytes)
            places["c"].append(_Place(last, problem.c.row_stride_bytes, c))
        if self._spill:
            places["d"].append(_Place(~first, sums.row_stride_bytes, partial))
            places["c"].append(_Place(~last, sums.row_stride_bytes, partial))
        return places

    def _at_zero(self, visit: int, places: Mapping[str, Sequence[_Place]]) -> MatmulLoop:
        """Return the loop of a visit, with its matrices at address 0."""
        problem, held, side = self._problem, self._loop.held, self._side
        start = {name: int(self._start[name][visit]) for name in DIMS}
        m, k, n = (min(self._step[name], problem.dims[name] - start[name]) for name in DIMS)
        first, last = bool(self._is_first[visit]), bool(self._is_last[visit])
        matrices = {
            name: next((Matrix(0, place.row_stride_bytes) for place in of_matrix if place.where[visit]), None)
            for name, of_matrix in places.items()
        }
        kept, left = problem.a_kept, problem.c_kept
        return MatmulLoop(
            m=m,
            k=k,
            n=n,
            **matrices,
            # Spilled sums come back as D, which starts the accumulation anew.
            accumulate=not first and not self._spill,
            b_transposed=problem.transposes_b,
            b_bits=problem.b_bits,
            c_full=problem.c_full or not last,
            activation=problem.activation if last else "none",
            # At most two tiles of an operand are held: their numbers are the halves that hold them.
            a_half=int(self._tile["input"][visit]) if "input" in held else None,
            b_half=int(self._tile["weight"][visit]) if "weight" in held else None,
            whole_memory=not self._loop.double_buffered,
            a_kept=None if kept is None else kept.part(start["m"] // side, start["k"] // side, side),
            c_kept=None if left is None or not last else left.part(start["m"] // side, start["n"] // side, side),
            reserved_rows=problem.reserved_rows,
        )


def _part(matrix: Matrix, row: Ints, col_bytes: Ints) -> Ints:
    """Return the addresses of elements of a matrix."""
    return matrix.address + row * matrix.row_stride_bytes + col_bytes


def _firsts(numbers: Ints) -> Bools:
    """Return where each number stands for the first time."""
    found = np.zeros(len(numbers), dtype=bool)
    found[np.unique(numbers, return_index=True)[1]] = True
    return found
