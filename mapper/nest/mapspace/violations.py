"""What keeps one loop nest out of a mapspace: rules of nests, capacities, constraints."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mapper.errors import MappingError, Violation
from mapper.mapping.loop_nest import LoopNest
from mapper.nest.mapspace.axes import NestAxes
from mapper.nest.mapspace.constraints import LevelRule, Sizes
from mapper.nest.model import fit
from mapper.nest.model.batch import LevelShape, NestBatch
from mapper.nest.model.from_mapping import batch_of


def violations(axes: NestAxes, mapping: LoopNest) -> list[Violation]:
    """Return the broken inequalities of a loop nest; none for a legal member."""
    try:
        batch = batch_of(mapping, axes.problem, axes.hierarchy)
    except MappingError as error:
        if not error.violations:
            raise
        return list(error.violations)
    return [*fit.violations(batch, axes.accounting), *_constraint_violations(axes, batch)]


def _constraint_violations(axes: NestAxes, batch: NestBatch) -> Iterator[Violation]:
    outside = {dim: axes.problem.size(dim) for dim in axes.dims}
    for shape, tiles in zip(batch.skeleton.levels, batch.tiles, strict=True):
        rule = axes.constraints.rule(shape.memory)
        for dim, tile in zip(shape.order, tiles, strict=True):
            size = int(np.asarray(tile).flat[0])
            yield from _size_violations(rule, f"tile.{dim}", rule.tile.get(dim), size, "elements")
            yield from _size_violations(rule, f"factor.{dim}", rule.factor.get(dim), -(-outside[dim] // size), "trips")
            outside[dim] = size
        yield from _choice_violations(axes, rule, shape)


def _size_violations(rule: LevelRule, key: str, sizes: Sizes | None, value: int, unit: str) -> Iterator[Violation]:
    if sizes is not None and not sizes.allow(np.array([value]))[0]:
        bound = sizes.most or (sizes.any or (0,))[0]
        yield Violation(f"constraint {key}{sizes}", rule.memory, value, bound, unit)


def _choice_violations(axes: NestAxes, rule: LevelRule, shape: LevelShape) -> Iterator[Violation]:
    """Constraints on the loop order and the sets of tensors of one level."""
    if shape.order and shape.order not in rule.order.of(axes.dims):
        text = f"constraint order {list(rule.order.any or ())} for {''.join(shape.order)}"
        yield Violation(text, shape.memory, 1, 0, "orders")
    if not rule.keep.allow(shape.kept):
        yield Violation(f"constraint keep for {sorted(shape.kept)}", shape.memory, 1, 0, "sets")
    if not rule.double_buffer.allow(shape.double_buffered):
        text = f"constraint double_buffer for {sorted(shape.double_buffered)}"
        yield Violation(text, shape.memory, 1, 0, "sets")
