"""For one skeleton: which loops count for which transfer, worked out once and not for every batch.

A tensor's tile is moved at one place of the nest: outside the innermost run of loops that leave it in place. Whether a
loop over a relevant dimension has one trip, and so leaves it in place too, depends on the tiles; hence a transfer has
stages, from few counted loops to many, and every mapping takes the last stage one of whose ``loops`` makes trips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from mapper.nest.model.batch import Skeleton
from mapper.nest.model.problem import NestProblem
from mapper.nest.model.transfers import Transfer
from workloads.iteration_space import Axis

Path: TypeAlias = tuple[str, tuple[tuple[int, bool], ...]]
"""A dimension and its loops outer to inner: (loop, whether its trips count)."""


@dataclass(frozen=True, slots=True)
class NestLoop:
    """One loop of a skeleton."""

    level: int
    dim: str
    parts: int
    """Instances that a spatial loop spreads over; 0 for a temporal loop."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Visits of the mappings whose tile moves with at least one of ``loops``."""

    loops: tuple[int, ...]
    """Empty for the first stage, which holds if no later one does."""
    position: int
    """Loops before this one count for irrelevant dimensions."""
    paths: tuple[Path, ...]
    """Per irrelevant dimension that has a loop which counts."""


@dataclass(frozen=True, slots=True)
class Hoisting:
    """How the words of one transfer are counted."""

    stages: tuple[Stage, ...]
    elements: float
    """Product of plain axes that are covered as a whole."""
    covered: tuple[Path, ...]
    """Plain axes of which the busiest instance covers a part."""
    halos: tuple[tuple[Axis, Path, Path], ...]
    """Sliding axes, with the tiles of both dimensions."""


@lru_cache(maxsize=8192)
def loops_of(skeleton: Skeleton) -> tuple[NestLoop, ...]:
    """Return all loops, outer to inner; at each level the temporal ones, then the spatial ones."""
    loops: list[NestLoop] = []
    for index, level in enumerate(skeleton.levels):
        loops += [NestLoop(index, dim, 0) for dim in level.order]
        loops += [NestLoop(index, loop.dim, loop.size) for loop in level.spatial]
    return tuple(loops)


@lru_cache(maxsize=8192)
def step_paths(problem: NestProblem, skeleton: Skeleton) -> tuple[Path, ...]:
    """Return all loops of each dimension; trips of temporal ones count: the steps of the array."""
    loops = loops_of(skeleton)
    return tuple(
        (dim, tuple((index, not loop.parts) for index, loop in enumerate(loops) if loop.dim == dim))
        for dim in problem.names
    )


def hoisting_of(problem: NestProblem, skeleton: Skeleton, transfer: Transfer) -> Hoisting:
    """Return which loops count for one transfer."""
    loops, tensor = loops_of(skeleton), problem.tensor(transfer.tensor)
    elements, covered, halos = 1.0, list[Path](), []
    for axis in tensor.axes:
        paths = [_relevant(loops, transfer, dim) for dim in axis.dims]
        if not axis.is_plain:
            halos.append((axis, paths[0], paths[1]))
        elif all(counted for _, counted in paths[0][1]):
            elements *= problem.size(axis.dims[0])
        else:
            covered.append(paths[0])
    return Hoisting(tuple(_stages(problem, skeleton, transfer)), elements, tuple(covered), tuple(halos))


def _stages(problem: NestProblem, skeleton: Skeleton, transfer: Transfer) -> list[Stage]:
    loops, irrelevant = loops_of(skeleton), problem.irrelevant(transfer.tensor)
    dims = [dim for dim in problem.names if dim in irrelevant]

    def stage(position: int, moving: Sequence[int]) -> Stage:
        paths = tuple(path for dim in dims if (path := _irrelevant(loops, transfer, dim, position))[1])
        return Stage(tuple(moving), position, paths)

    if transfer.distinct:  # no temporal loop counts: what a copy ever holds
        return [stage(0, ())]
    if transfer.child == len(skeleton.levels):
        return [stage(len(loops), ())]
    # From the outside in: every irrelevant loop counts if a relevant loop further inside makes trips, because the tile
    # is then replaced in between and must come again. So a run of relevant loops behind an irrelevant one begins a
    # stage, which counts all loops up to that irrelevant one.
    stages = [stage(0, ())]
    position, moving = 0, list[int]()
    for index, loop in enumerate(loops):
        if loop.parts or loop.level >= transfer.child:
            continue
        if loop.dim not in irrelevant:
            moving += [index] if position else []
            continue
        if moving:
            stages.append(stage(position, moving))
        position, moving = index + 1, []
    if moving:
        stages.append(stage(position, moving))
    return stages


def _irrelevant(loops: Sequence[NestLoop], transfer: Transfer, dim: str, position: int) -> Path:
    """Tiles of an irrelevant dimension outside the inner copy, counted up to the hoisting position."""
    cuts = [
        (index, (loop.level < transfer.spread and not transfer.busiest) if loop.parts else index < position)
        for index, loop in enumerate(loops)
        if loop.dim == dim and loop.level < transfer.child
    ]
    while cuts and not cuts[-1][1]:  # inner loops that do not count change no number of tiles
        cuts.pop()
    return dim, tuple(cuts)


def _relevant(loops: Sequence[NestLoop], transfer: Transfer, dim: str) -> Path:
    """Tiles of a relevant dimension outside the inner copy: every one is moved."""
    cuts = (
        (index, not (loop.parts and transfer.busiest and loop.level < transfer.spread))
        for index, loop in enumerate(loops)
        if loop.dim == dim and loop.level < transfer.child
    )
    return dim, tuple(cuts)
