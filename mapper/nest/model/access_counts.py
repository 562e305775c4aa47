"""Accesses of every memory by tensor: reads, fills and updates as integers, in total and per instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from mapper.nest.model.accounting import Accounting
from mapper.nest.model.batch import NestBatch
from mapper.nest.model.capacity import tile_words
from mapper.nest.model.cost import GUARD, Plan, evaluate, plan_of, steps
from mapper.nest.model.hoisting import hoisting_of
from mapper.nest.model.problem import TENSORS
from mapper.nest.model.tile_counts import Real, ceil_div
from mapper.nest.model.transfers import Kind, Transfer, canonical, flows
from mapper.nest.model.visit_columns import VisitColumns
from simulator.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Accesses:
    """What one tensor does in one memory; a column entry per mapping. [words]"""

    tile: Ints
    """Words of the tensor in one instance, without double buffering or rounding."""
    instances: Ints
    """Instances that are used at once."""
    total: Mapping[Kind, Ints]
    """read, fill and update over all instances."""
    busiest: Mapping[Kind, Ints]
    """The same of the instance that has most to do; with perfect factors of every one."""
    energy_pj: Floats


@dataclass(frozen=True, slots=True)
class AccessCounts:
    """Counts of a batch."""

    accesses: Mapping[tuple[str, str], Accesses]
    """By (memory, tensor), for tensors that are kept."""
    macs: int
    steps: Ints
    """Cycles in which the array computes."""
    cycles: Ints
    level_cycles: Mapping[str, Ints]
    """Cycles by memory if it alone limited the array."""
    used_macs: Ints
    """Multipliers in use at once."""
    utilisation: Floats
    """Multiplications by those that the array could have done in ``cycles``."""


def count_accesses(batch: NestBatch, accounting: Accounting) -> AccessCounts:
    """Count every access of every mapping of ``batch``; the same formulas that `evaluate` prices."""
    plan = plan_of(batch.problem, batch.hierarchy, batch.skeleton, accounting)
    visits = VisitColumns(batch, even=accounting.ragged == "perfect")
    counter = _Counter(batch, visits, accounting)
    machine, depth = batch.hierarchy, len(batch.skeleton.levels)
    cycles = evaluate(batch, accounting).cycles
    accesses = {
        (shape.memory, tensor): _accesses(batch, visits, level, tensor, counter)
        for level, shape in enumerate(batch.skeleton.levels)
        for tensor in TENSORS
        if tensor in shape.kept
    }
    computing = _whole(steps(visits, plan, accounting), len(batch))
    return AccessCounts(
        accesses,
        batch.problem.macs,
        computing,
        cycles,
        _level_cycles(batch, visits, computing, plan),
        _whole(_fanout(visits, depth), len(batch)),
        batch.problem.macs / (machine.macs * cycles),
    )


class _Counter:
    """Words of transfers, each worked out once."""

    def __init__(self, batch: NestBatch, visits: VisitColumns, accounting: Accounting) -> None:
        self._batch, self._visits = batch, visits
        self.spatial = tuple(shape.spatial for shape in batch.skeleton.levels)
        kept = tuple(shape.kept for shape in batch.skeleton.levels)
        self.flows = flows(batch.problem, batch.hierarchy, kept, self.spatial, accounting)
        self._words: dict[Transfer, Real] = {}

    def words(self, transfer: Transfer) -> Real:
        name = canonical(transfer, self._batch.problem, self.spatial)
        if name not in self._words:
            scale, column = self._visits.words(hoisting_of(self._batch.problem, self._batch.skeleton, name))
            self._words[name] = scale * column
        return self._words[name]


def _accesses(batch: NestBatch, visits: VisitColumns, level: int, tensor: str, counter: _Counter) -> Accesses:
    memory = batch.hierarchy.memories[level]
    total: dict[Kind, Real] = {"read": 0.0, "fill": 0.0, "update": 0.0}
    busiest = dict(total)
    for flow in counter.flows:
        if flow.level == level and flow.tensor == tensor:
            total[flow.kind] = total[flow.kind] + counter.words(flow.transfer) * flow.weight
            only = replace(flow.transfer, busiest=memory.instances > 1)
            busiest[flow.kind] = busiest[flow.kind] + counter.words(only) * flow.weight
    # Instances of one memory cost the same, so energy follows from the sum over them.
    pj = total["read"] * memory.read_pj + (total["fill"] + total["update"]) * memory.write_pj
    sizes = {dim: visits.tile(level, dim) for dim in batch.problem.relevant(tensor)}
    rows = len(batch)
    return Accesses(
        _whole(tile_words(batch.problem.tensor(tensor), sizes), rows),
        _whole(_fanout(visits, level), rows),
        {kind: _whole(words, rows) for kind, words in total.items()},
        {kind: _whole(words, rows) for kind, words in busiest.items()},
        np.broadcast_to(np.asarray(pj, np.float64), (rows,)),
    )


def _fanout(visits: VisitColumns, level: int) -> Real:
    """Instances of ``level`` in use: parts of the spatial loops outside it."""
    parts = [
        np.minimum(float(loop.parts), ceil_div(outside, step))
        for loop, step, outside in zip(visits.loops, visits.steps, visits.outside, strict=True)
        if loop.parts and loop.level < level
    ]
    return prod(parts, start=1.0)


def _level_cycles(batch: NestBatch, visits: VisitColumns, computing: Ints, plan: Plan) -> dict[str, Ints]:
    cycles = {level.memory: computing for level in batch.skeleton.levels}
    words = {transfer: visits.words(hoisting) for transfer, hoisting in plan.hoistings}
    for port in plan.coefficients.ports:
        memory = batch.hierarchy.memories[port.level].name
        load = np.ceil(port.load.of(words) * (1.0 - GUARD))
        cycles[memory] = np.maximum(cycles[memory], _whole(load, len(batch)))
    return cycles


def _whole(values: Real, rows: int) -> Ints:
    return np.broadcast_to(np.asarray(values), (rows,)).astype(np.int64)
