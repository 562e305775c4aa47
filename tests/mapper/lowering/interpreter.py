"""Runs a matmul program on bytes with plain numpy: an oracle for the lowering that knows nothing of time.

Scratchpad halves and accumulator are dictionaries of whole tiles; a tile that was not loaded, or was overwritten, is
an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mapper.mapping.matmul_problem import MatmulProblem
from simulator.program import MatmulLoop, Matrix, Program

Array = np.ndarray[Any, Any]


@dataclass
class Interpreter:
    """State of memory and of the chip between loops."""

    memory: Array
    sums: Array | None = None
    tiles: dict[tuple[str, int], Array] = field(default_factory=dict)
    loads: dict[str, int] = field(default_factory=lambda: {"a": 0, "b": 0})
    loops: int = 0

    def run(self, program: Program) -> None:
        """Execute all hardware loops."""
        for item in program.items:
            if isinstance(item, MatmulLoop):
                self._loop(item)

    def _loop(self, loop: MatmulLoop) -> None:
        half = 0 if loop.whole_memory else self.loops % 2
        self.loops += 1
        a = self._operand("a", loop.a, loop.a_half, half, (loop.m, loop.k))
        shape = (loop.n, loop.k) if loop.b_transposed else (loop.k, loop.n)
        b = self._operand("b", loop.b, loop.b_half, half, shape)
        product = a @ (b.T if loop.b_transposed else b)
        if loop.accumulate:
            assert self.sums is not None and loop.d is None
            product = product + self.sums
        if loop.d is not None:
            product = product + self.window(loop.d, (loop.m, loop.n), 4)
        self.sums = None if loop.c is not None else product
        if loop.c is not None:
            self._store(loop, product)

    def _operand(self, name: str, source: Matrix | None, fixed: int | None, half: int, shape: tuple[int, int]) -> Array:
        place = name, half if fixed is None else fixed
        if source is not None:
            self.tiles[place] = self.window(source, shape, 1).astype(np.int64)
            self.loads[name] += shape[0] * shape[1]
        tile = self.tiles[place]
        assert tile.shape == shape, f"the kept {name} tile is {tile.shape}, not {shape}"
        return tile

    def _store(self, loop: MatmulLoop, product: Array) -> None:
        assert loop.c is not None
        result = np.maximum(product, 0) if loop.activation == "relu" else product
        if loop.c_full:
            self.window(loop.c, product.shape, 4)[...] = result
        else:
            self.window(loop.c, product.shape, 1)[...] = result.astype(np.int8)

    def window(self, matrix: Matrix, shape: tuple[int, ...], element_bytes: int) -> Array:
        """Return a writable view of a matrix in memory; stride 0 repeats one row."""
        kind = np.int8 if element_bytes == 1 else np.int32
        raw = self.memory[matrix.address :]
        flat = raw[: len(raw) // element_bytes * element_bytes].view(kind)
        return np.lib.stride_tricks.as_strided(flat, shape, (matrix.row_stride_bytes, element_bytes))


def execute(problem: MatmulProblem, program: Program, seed: int) -> tuple[Array, Array, Interpreter]:
    """Run ``program`` on random operands; return its C, the true C, and the machine's state."""
    ends = [region.address + region.size_bytes for region in problem.regions]
    bias = problem.bias_address or 0
    partial = problem.partial.address + problem.m * problem.partial.row_stride_bytes
    chip = Interpreter(np.zeros(max(*ends, bias + 4 * problem.n, partial) + 64, dtype=np.int8))
    random = np.random.default_rng(seed)
    a = chip.window(problem.a, (problem.m, problem.k), 1)
    b = chip.window(problem.b, (problem.b_rows, problem.b_cols), 1)
    a[...] = random.integers(-3, 4, a.shape)
    b[...] = random.integers(-3, 4, b.shape)
    expected = a.astype(np.int64) @ (b.T if problem.b_axes == ("n", "k") else b).astype(np.int64)
    if problem.bias_address is not None:
        row = chip.window(Matrix(problem.bias_address, 0), (1, problem.n), 4)
        row[...] = random.integers(-50, 50, row.shape)
        expected = expected + row
    chip.run(program)
    if problem.activation == "relu":
        expected = np.maximum(expected, 0)
    element = 4 if problem.c_full else 1
    if element == 1:
        expected = expected.astype(np.int8)
    return chip.window(problem.c, (problem.m, problem.n), element), expected, chip
