"""What the caches hold of a matmul's matrices when it starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mapper.mapping.matmul_problem import MatmulProblem
from simulator.arrays import Floats
from simulator.memory.request_stream import MemoryState
from simulator.program import Matrix

SAMPLES = 1024
"""Places of a matrix that are looked up: shares are known to 1.6 % (one standard deviation) at worst."""

GOLDEN, PLASTIC = 0.6180339887498949, 0.7548776662466927
"""Steps of two sequences that cover the rows and the columns of a matrix evenly, and together its places."""


@dataclass(frozen=True, slots=True)
class Held:
    """Shares of the lines of A, B, C and of the partial sums that the L2 holds."""

    a: float = 0.0
    b: float = 0.0
    c: float = 0.0
    sums: float = 0.0
    dirty: float | None = None
    """Share of all lines of the L2 that are dirty; None: as a run of the same mapping leaves it."""


COLD = Held()
"""Caches full of other data."""


def held_in(memory: MemoryState, problem: MatmulProblem) -> Held:
    """Look up some places of each matrix in the L2."""
    l2 = memory.l2
    if l2 is None:
        return COLD
    number = np.arange(SAMPLES, dtype=np.float64)
    down, across = (number * GOLDEN) % 1.0, (number * PLASTIC) % 1.0

    def share(matrix: Matrix, rows: int, row_bytes: int) -> float:
        places = _floor(down * rows) * matrix.row_stride_bytes + _floor(across * row_bytes)
        return float(l2.holds((matrix.address + places) // l2.spec.line_bytes).mean())

    return Held(
        a=share(problem.a, problem.m, problem.k),
        b=share(problem.b, problem.b_rows, problem.b_row_bytes),
        c=share(problem.c, problem.m, problem.n * problem.c_bytes),
        sums=share(problem.partial, problem.m, problem.n * 4),
        dirty=l2.dirty_share(),
    )


def _floor(places: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return places.astype(np.int64)
