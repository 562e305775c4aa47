"""Whether one mapping fits, and what is too large if it does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from mapper.errors import MappingError, Violation
from mapper.mapping.loop_nest import LoopNest
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.batch import NestBatch, batch_of
from mapper.nest.model.capacity import MemoryShape
from mapper.nest.model.cost import NestCosts, divides, evaluate, plan_of
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem
from mapper.nest.model.visit_columns import Walk


def violations(batch: NestBatch, accounting: Accounting, row: int = 0) -> tuple[Violation, ...]:
    """Capacities that one row exceeds, and tiles that do not divide if they must; empty exactly if it is valid."""
    one = NestBatch.of([batch.mapping(row)], batch.problem, batch.hierarchy)
    walk = Walk(one)
    rests = _rests(one, walk, accounting) if accounting.ragged == "perfect" else ()
    return (*_capacities(one, walk, accounting), *rests)


def _capacities(one: NestBatch, walk: Walk, accounting: Accounting) -> Iterator[Violation]:
    taken = evaluate(one, accounting).footprint
    shapes: dict[str, list[MemoryShape]] = defaultdict(list)
    for shape in plan_of(one.problem, one.hierarchy, one.skeleton, accounting).memories:
        shapes[one.hierarchy.memories[shape.level].place].append(shape)
    for place, parts in shapes.items():
        memories = [one.hierarchy.memories[shape.level] for shape in parts]
        demand, entries = sum(int(taken[memory.name][0]) for memory in memories), memories[0].entries or 0
        if demand > entries:
            tiles = " and ".join(tile.tensor.name for shape in parts for tile in shape.tiles)
            sizes = " ".join(
                f"{dim}={walk.tile(shape.level, dim):.0f}" for shape in parts for dim, _, _ in shape.sources
            )
            yield Violation(f"tile of {tiles} ({sizes})", place, demand, entries, "words", "take smaller tiles")


def _rests(one: NestBatch, walk: Walk, accounting: Accounting) -> Iterator[Violation]:
    for loop, step, outside in zip(walk.places, walk.steps, walk.outside, strict=True):
        if not divides(loop, step, outside):
            unit = loop.parts or int(float(step))
            what = f"{unit} parts" if loop.parts else f"steps of {unit}"
            rule = f"{loop.dim} in {what} with a rest of {int(float(outside)) % unit} from {outside:.0f}"
            memory, hint = one.hierarchy.names[loop.level], f"{accounting.name} takes perfect factors only"
            yield Violation(rule, memory, int(float(outside)) % unit, 0, "elements", hint)


def costs_of(mapping: LoopNest, problem: NestProblem, hierarchy: Hierarchy, accounting: Accounting) -> NestCosts:
    """Costs of one mapping.

    Raises
    ------
    MappingError
        If it is for another problem or machine, is no legal nest, or does not fit; with the violations.
    """
    batch = batch_of(mapping, problem, hierarchy)
    broken = violations(batch, accounting)
    if broken:
        raise MappingError(f"the mapping of {problem.name} does not fit {hierarchy.name}", broken)
    return evaluate(batch, accounting)
