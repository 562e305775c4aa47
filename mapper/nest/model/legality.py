"""Rules that a loop nest must keep whatever it costs: steps that shrink, copies where they may be, a wide enough array.

Capacities are the accounting's business; see `mapper.nest.model.capacity`.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from mapper.errors import MappingError, Violation
from mapper.nest.model.batch import NestBatch
from mapper.nest.model.problem import TENSORS


def require_legal(batch: NestBatch) -> None:
    """Raise a `MappingError` with all violations of the first row that has any."""
    broken = [*shape_violations(batch), *step_violations(batch)]
    if broken:
        raise MappingError(f"no legal loop nest for {batch.problem.name} on {batch.hierarchy.name}", broken)


def shape_violations(batch: NestBatch) -> Iterator[Violation]:
    """Yield what is wrong with the skeleton: for every row the same."""
    machine, levels = batch.hierarchy, batch.skeleton.levels
    for memory, level in zip(machine.memories, levels, strict=True):
        for dim in {*level.order, *(loop.dim for loop in level.spatial)}:
            batch.problem.size(dim)
        for decision, names, allowed in (
            ("keeps", level.kept, memory.keeps),
            ("double buffering", level.double_buffered, level.kept),
        ):
            alien = sorted(names - allowed)
            if alien:
                yield Violation(
                    f"{decision} {', '.join(alien)}",
                    memory.name,
                    len(alien),
                    0,
                    "tensors",
                    f"allowed: {_list(allowed)}",
                )
    for tensor in TENSORS:
        if not any(tensor in level.kept for level in levels):
            yield Violation(f"a copy of {tensor}", machine.name, 1, 0, "memories", "let the outermost memory keep it")
    used = 1
    for memory, level in zip(machine.memories, levels, strict=True):
        if used > memory.instances:
            hint = "spread inside the innermost memory that is shared"
            yield Violation("spatial loops outside", memory.name, used, memory.instances, "instances", hint)
        used *= prod(loop.size for loop in level.spatial)
    for axis, bound in (("rows", machine.rows), ("cols", machine.cols)):
        loops = [loop for level in levels for loop in level.spatial if loop.axis == axis]
        used = prod(loop.size for loop in loops)
        if used > bound:
            text = " x ".join(f"{loop.dim}={loop.size}" for loop in loops)
            yield Violation(f"spatial {text}", f"array {axis}", used, bound, axis, "spread less")


def step_violations(batch: NestBatch) -> Iterator[Violation]:
    """Yield what is wrong with the tiles, for the first row that has an error."""
    extent = {dim: np.int64(size) for dim, size in batch.problem.dims}
    for level, tiles in zip(batch.skeleton.levels, batch.tiles, strict=True):
        for dim, tile in zip(level.order, tiles, strict=True):
            column, outside = np.broadcast_arrays(np.asarray(tile), extent[dim])
            if (column < 1).any():
                yield Violation(f"a step over {dim} of at least 1", level.memory, 1, int(column.min()), "elements")
            larger = np.flatnonzero(column > outside)
            if len(larger):
                row = larger[0]
                yield Violation(
                    f"tile of {dim}", level.memory, int(column.flat[row]), int(outside.flat[row]), "elements",
                    "a tile is at most as large as what it is cut from",
                )  # fmt: skip
            extent[dim] = np.maximum(column, 1)
        for loop in level.spatial:
            extent[loop.dim] = -(-extent[loop.dim] // loop.size)
    for dim, left in extent.items():
        if (np.asarray(left) > 1).any():
            hint = f"add a loop over {dim} with tile 1, or spread it over the array"
            yield Violation(f"{dim} at the multipliers", "array", int(np.max(left)), 1, "elements", hint)


def _list(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
