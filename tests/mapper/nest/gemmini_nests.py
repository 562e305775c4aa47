"""Gemmini's hierarchy and random columns of tiles on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import hwconfigs
from mapper.mapping.loop_nest import SpatialLoop
from mapper.nest.model.batch import Column, LevelShape, NestBatch, Skeleton
from mapper.nest.model.hierarchy import Hierarchy, Memory
from mapper.nest.model.problem import NestProblem

ALL = frozenset({"input", "weight", "output"})
OPERANDS, OUTPUT, WEIGHT = frozenset({"input", "weight"}), frozenset({"output"}), frozenset({"weight"})
SPREAD = (SpatialLoop("k", 16, "rows"), SpatialLoop("n", 16, "cols"))


def gemmini() -> Hierarchy:
    """DRAM, scratchpad, accumulator, array; without the L2."""
    spec = hwconfigs.load("gemmini")
    machine = Hierarchy.of(spec, hwconfigs.load_energy(spec.energy).bind(spec))
    return replace(machine, memories=tuple(memory for memory in machine.memories if memory.name != "l2"))


def flat(scratchpad: int = 262144, accumulator: int = 16384) -> Hierarchy:
    """The machine and energies of the peers' comparison: pJ per byte 64, 2 and 1, accumulator words of 4 bytes."""
    memories = (
        Memory("dram", ALL, None, 8, shared_rate=16.0, read_pj=64.0, write_pj=64.0),
        Memory("scratchpad", ALL, scratchpad, 8, 32.0, 16.0, read_pj=2.0, write_pj=2.0),
        Memory("accumulator", OUTPUT, accumulator, 32, 16.0, 16.0, read_pj=4.0, write_pj=4.0),
        Memory("array", WEIGHT, 1, 8, instances=256, read_pj=0.05, write_pj=0.05),
    )
    return Hierarchy("flat", memories, 16, 16, 0.2)


def skeleton(orders: Sequence[str] = ("mkn", "mkn", "mkn"), *, double: bool = False) -> Skeleton:
    """Weights stationary; loops at DRAM, scratchpad and accumulator."""
    nobody: frozenset[str] = frozenset()
    return Skeleton(
        (
            LevelShape("dram", tuple(orders[0]), ALL),
            LevelShape("scratchpad", tuple(orders[1]), OPERANDS, (), OPERANDS if double else nobody),
            LevelShape("accumulator", tuple(orders[2]), OUTPUT, SPREAD, OUTPUT if double else nobody),
            LevelShape("array", (), WEIGHT),
        )
    )


def batch(
    problem: NestProblem, machine: Hierarchy, shape: Skeleton, outer: dict[str, Column], inner: dict[str, Column]
) -> NestBatch:
    """Scratchpad tiles ``outer``, accumulator tiles ``inner``, then single rows and blocks of the array."""
    array: dict[str, Column] = {"m": 1, "k": min(16, problem.size("k")), "n": min(16, problem.size("n"))}
    steps = (outer, inner, array)
    tiles = tuple(tuple(steps[level][dim] for dim in shape.levels[level].order) for level in range(3))
    rows = max(len(column) for level in tiles for column in level if isinstance(column, np.ndarray))
    return NestBatch(problem, machine, shape, (*tiles, ()), rows)


def random_tiles(
    rng: np.random.Generator, problem: NestProblem, rows: int
) -> tuple[dict[str, Column], dict[str, Column]]:
    """Ragged tiles: any rows of m, multiples of 16 in k and n."""
    outer: dict[str, Column] = {}
    inner: dict[str, Column] = {}
    for dim, unit in (("m", 1), ("k", 16), ("n", 16)):
        size = problem.size(dim)
        first = rng.integers(1, -(-size // unit) + 1, rows)
        second = rng.integers(1, first + 1)
        outer[dim], inner[dim] = np.minimum(first * unit, size), np.minimum(second * unit, size)
    return outer, inner


def single_nest(problem: NestProblem, machine: Hierarchy, shape: Skeleton, outer: str, inner: str) -> NestBatch:
    """A batch of one from tiles like "m=128 k=768 n=64"."""
    columns = [
        {dim: np.array([int(size)], np.int64) for dim, size in (item.split("=") for item in text.split())}
        for text in (outer, inner)
    ]
    return batch(problem, machine, shape, dict(columns[0]), dict(columns[1]))
