"""Random problems, hierarchies and mappings, small enough to walk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mapper.mapping.loop_nest import LevelMapping, LoopNest, SpatialLoop, TemporalLoop
from mapper.nest.model.hierarchy import Hierarchy, Memory
from mapper.nest.model.problem import TENSORS, NestProblem, batched_matmul, conv2d, matmul

ALL = frozenset(TENSORS)


def random_problem(rng: np.random.Generator, kind: str) -> NestProblem:
    if kind == "matmul":
        return matmul(*(int(size) for size in rng.integers(1, 8, 3)))
    if kind == "batched":
        return batched_matmul(*(int(size) for size in rng.integers(1, 5, 4)))
    sizes = [int(size) for size in rng.integers(1, 4, 7)]
    return conv2d(*sizes, stride=int(rng.integers(1, 4)), dilation=int(rng.integers(1, 4)))


def random_nest(
    rng: np.random.Generator, problem: NestProblem, levels: int, *, perfect: bool = False
) -> tuple[LoopNest, Hierarchy]:
    """A mapping with any loops at any level on a hierarchy that is just wide enough for it."""
    extent = problem.sizes
    kept = [_some(rng, TENSORS, 0.6) for _ in range(levels)]
    kept[0] |= ALL if rng.random() < 0.8 else ALL - frozenset().union(*kept[1:])
    shapes: list[LevelMapping] = []
    used = {"rows": 1, "cols": 1}
    instances = [1]
    for level in range(levels):
        temporal = []
        for dim in _order(rng, problem.names):
            tile = _tile(rng, extent[dim], perfect)
            temporal.append(TemporalLoop(dim, tile))
            extent[dim] = tile
        spatial = []
        if rng.random() < 0.35:
            for dim in _order(rng, problem.names)[:2]:
                axis = "rows" if rng.random() < 0.5 else "cols"
                size = _parts(rng, extent[dim], perfect)
                spatial.append(SpatialLoop(dim, size, axis))  # type: ignore[arg-type]
                used[axis] *= size
                extent[dim] = -(-extent[dim] // size)
        shapes.append(LevelMapping(f"m{level}", kept[level], tuple(temporal), tuple(spatial)))
        instances.append(instances[-1] * int(np.prod([loop.size for loop in spatial])))
    rest = tuple(TemporalLoop(dim, 1) for dim in rng.permutation(problem.names) if extent[dim] > 1)
    last = shapes[-1]
    if last.spatial:  # what is left cannot be walked inside the spatial loops of the last level
        shapes.append(LevelMapping(f"m{levels}", frozenset(), rest))
        kept.append(frozenset())
    else:
        shapes[-1] = LevelMapping(last.memory, last.kept, last.temporal + rest)
        instances.pop()
    machine = Hierarchy("random", _memories(rng, shapes, instances), used["rows"], used["cols"], 0.5)
    return LoopNest((problem.name,), problem.dims, machine.name, tuple(shapes)), machine


def _memories(rng: np.random.Generator, shapes: Sequence[LevelMapping], instances: Sequence[int]) -> tuple[Memory, ...]:
    """Unbounded memories of any word width, rates and energies."""
    return tuple(
        Memory(
            shape.memory,
            ALL,
            None,
            int(rng.choice([8, 32])),
            *(None if rng.random() < 0.5 else float(rng.integers(1, 9)) for _ in range(3)),
            instances=instances[level],
            read_pj=float(rng.integers(1, 50)),
            write_pj=float(rng.integers(1, 50)),
        )
        for level, shape in enumerate(shapes)
    )


def _some(rng: np.random.Generator, items: Sequence[str], share: float) -> frozenset[str]:
    return frozenset(item for item in items if rng.random() < share)


def _order(rng: np.random.Generator, dims: Sequence[str]) -> list[str]:
    """Any dimensions in any order, now and then one twice."""
    chosen = [str(dim) for dim in rng.permutation(dims) if rng.random() < 0.7]
    if chosen and rng.random() < 0.2:
        chosen.append(chosen[0])
    return chosen


def _tile(rng: np.random.Generator, extent: int, perfect: bool) -> int:
    if perfect:
        return int(rng.choice([tile for tile in range(1, extent + 1) if extent % tile == 0]))
    return int(rng.integers(1, extent + 1))


def _parts(rng: np.random.Generator, extent: int, perfect: bool) -> int:
    if perfect:
        return int(rng.choice([parts for parts in range(1, min(extent, 3) + 1) if extent % parts == 0]))
    return int(rng.integers(1, 4))
