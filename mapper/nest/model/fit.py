"""Why one mapping does not fit: capacities that it exceeds, and tiles that do not divide where they must."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from mapper.errors import Violation
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.batch import NestBatch
from mapper.nest.model.capacity import MemoryShape
from mapper.nest.model.cost import divides, evaluate, plan_of
from mapper.nest.model.visit_columns import VisitColumns


def violations(batch: NestBatch, accounting: Accounting, row: int = 0) -> tuple[Violation, ...]:
    """Return the broken inequalities of one row of a legal batch; empty exactly where `evaluate` calls it valid."""
    single = batch.take(np.array([row]))
    visits = VisitColumns(single)
    rests = _rests(single, visits, accounting) if accounting.ragged == "perfect" else ()
    return (*_capacities(single, visits, accounting), *rests)


def _capacities(single: NestBatch, visits: VisitColumns, accounting: Accounting) -> Iterator[Violation]:
    machine = single.hierarchy
    footprint = evaluate(single, accounting).footprint
    shapes: dict[str, list[MemoryShape]] = defaultdict(list)
    for shape in plan_of(single.problem, machine, single.skeleton, accounting).memories:
        shapes[machine.memories[shape.level].physical].append(shape)
    for memory_name, sharing in shapes.items():
        memories = [machine.memories[shape.level] for shape in sharing]
        demand, entries = sum(int(footprint[memory.name][0]) for memory in memories), memories[0].entries or 0
        if demand > entries:
            tensors = " and ".join(tile.tensor.name for shape in sharing for tile in shape.tiles)
            sizes = " ".join(
                f"{dim}={visits.tile(shape.level, dim):.0f}" for shape in sharing for dim, _, _ in shape.sources
            )
            yield Violation(f"tile of {tensors} ({sizes})", memory_name, demand, entries, "words", "take smaller tiles")


def _rests(single: NestBatch, visits: VisitColumns, accounting: Accounting) -> Iterator[Violation]:
    hint = f"{accounting.name} takes perfect factors only"
    for loop, step, outside in zip(visits.loops, visits.steps, visits.outside, strict=True):
        if not divides(loop, step, outside):
            size, unit = int(float(outside)), loop.parts or int(float(step))
            rule = f"{loop.dim}={size} in {unit} parts" if loop.parts else f"{loop.dim}={size} in steps of {unit}"
            memory = single.hierarchy.names[loop.level]
            yield Violation(rule, memory, size % unit, 0, "elements in a smaller last tile", hint)
