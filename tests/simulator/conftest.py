"""A small tiler of the tests' own, so that the machine is tested without the mapper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pytest

from hwconfigs import HardwareSpec, load
from simulator.functional import Dram
from simulator.program import MatmulLoop, Matrix, Program


@dataclass(frozen=True)
class Problem:
    """C = A B (+ bias), cut into hardware loops."""

    m: int
    k: int
    n: int
    tile: tuple[int, int, int]
    """Blocks of m, k, n in a tile."""
    order: str = "ijk"
    """Loops over tiles, outer to inner; partial sums are spilled to DRAM as int32 unless k is innermost."""
    b_transposed: bool = False
    bias: str = "none"
    """none, full (m x n) or row (1 x n, repeated)."""
    keep: str = ""
    """A or B stays on chip while the next loop uses the same tile."""
    relu: bool = False
    c_full: bool = False
    whole_memory: bool = False
    padding: int = 0
    """Bytes between the rows of A and of B."""


@dataclass(frozen=True)
class Layout:
    """Where the matrices lie: page-aligned, one after the other."""

    a: Matrix
    b: Matrix
    bias: Matrix
    partial: Matrix
    c: Matrix
    end: int


BASE = 0x1000


def layout(p: Problem) -> Layout:
    address = BASE
    placed = []
    sizes = (
        (p.m, p.k + p.padding),
        (p.n, p.k + p.padding) if p.b_transposed else (p.k, p.n + p.padding),
        (p.m if p.bias == "full" else 1, 4 * p.n),
        (p.m, 4 * p.n),
        (p.m, p.n * (4 if p.c_full else 1)),
    )
    for rows, stride in sizes:
        placed.append(Matrix(address, stride))
        address += -(-rows * stride // 4096) * 4096
    a, b, bias, partial, c = placed
    if p.bias == "row":
        bias = Matrix(bias.address, 0)
    return Layout(a, b, bias, partial, c, address)


def at(matrix: Matrix, row: int, col: int, element: int = 1) -> Matrix:
    return Matrix(matrix.address + row * matrix.row_stride_bytes + col * element, matrix.row_stride_bytes)


def tiled(p: Problem, dim: int) -> Program:
    """The loops of a problem on an array of ``dim`` rows."""
    where = layout(p)
    steps = [blocks * dim for blocks in p.tile]
    counts = dict(
        zip("ikj", (-(-size // step) for size, step in zip((p.m, p.k, p.n), steps, strict=True)), strict=True)
    )
    spilled = p.order[-1] != "k" and counts["k"] > 1
    loops: list[MatmulLoop] = []
    held: dict[str, tuple[int, int, int]] = {}
    for point in product(*(range(counts[axis]) for axis in p.order)):
        index = dict(zip(p.order, point, strict=True))
        i, k, j = (index[axis] * step for axis, step in zip("ikj", steps, strict=True))
        first, last = k == 0, index["k"] == counts["k"] - 1
        tiles = {"a": (i, k), "b": (k, j)}
        halves: dict[str, int | None] = {}
        fresh: dict[str, bool] = {}
        for name, tile in tiles.items():
            before = held.get(name)
            fresh[name] = p.keep != name or before is None or before[:2] != tile
            if fresh[name]:
                held[name] = (*tile, 0 if before is None or p.keep != name else 1 - before[2])
            halves[name] = held[name][2] if p.keep == name else None
        a, b = at(where.a, i, k), at(where.b, j, k) if p.b_transposed else at(where.b, k, j)
        biased = first and p.bias != "none"
        d = at(where.bias, i, j, 4) if biased else at(where.partial, i, j, 4) if spilled and not first else None
        stored = at(where.c, i, j, 4 if p.c_full else 1) if last else at(where.partial, i, j, 4) if spilled else None
        loops.append(
            MatmulLoop(
                m=min(steps[0], p.m - i),
                k=min(steps[1], p.k - k),
                n=min(steps[2], p.n - j),
                a=a if fresh["a"] else None,
                b=b if fresh["b"] else None,
                c=stored,
                d=d,
                accumulate=not first and not spilled,
                b_transposed=p.b_transposed,
                c_full=stored is not None and (p.c_full or not last),
                activation="relu" if p.relu and last else "none",
                a_half=halves["a"],
                b_half=halves["b"],
                whole_memory=p.whole_memory,
            )
        )
    return Program("tiled", tuple(loops))


def fill(p: Problem, seed: int) -> tuple[Dram, np.ndarray]:
    """Random operands in DRAM, and the result that numpy gives for them."""
    random = np.random.default_rng(seed)
    where = layout(p)
    dram = Dram(BASE, np.zeros(where.end - BASE, dtype=np.uint8))
    a = random.integers(-128, 128, (p.m, p.k))
    b = random.integers(-128, 128, (p.k, p.n))
    if not p.c_full:
        a, b = a // 32, b // 32
    dram.write(where.a, a)
    dram.write(where.b, b.T if p.b_transposed else b)
    expected = a @ b
    if p.bias != "none":
        bias = random.integers(-100, 100, (p.m if p.bias == "full" else 1, p.n))
        dram.write(where.bias, bias, 32)
        expected = expected + bias
    if p.relu:
        expected = np.maximum(expected, 0)
    return dram, expected if p.c_full else np.clip(expected, -128, 127)


def read_result(p: Problem, dram: Dram) -> np.ndarray:
    return dram.read(layout(p).c, p.m, p.n, 32 if p.c_full else 8)


@cache
def machine(name: str) -> HardwareSpec:
    """``firesim_dosa/8`` is that machine with an array of 8."""
    name, _, size = name.partition("/")
    return load(name, {"array.size": int(size)} if size else None)


@dataclass(frozen=True)
class Toolbox:
    """What tests of whole programs need."""

    problem: type[Problem] = Problem
    layout: Callable[[Problem], Layout] = layout
    tiled: Callable[[Problem, int], Program] = tiled
    fill: Callable[[Problem, int], tuple[Dram, np.ndarray]] = fill
    read_result: Callable[[Problem, Dram], np.ndarray] = read_result
    machine: Callable[[str], HardwareSpec] = machine


@pytest.fixture(scope="session")
def tools() -> Toolbox:
    return Toolbox()


@pytest.fixture(scope="session")
def tiny() -> HardwareSpec:
    return machine("tiny_4x4")


@pytest.fixture(scope="session")
def gemmini() -> HardwareSpec:
    return machine("gemmini")
