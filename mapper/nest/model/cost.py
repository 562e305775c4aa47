"""Cycles and energy of a batch of mappings.

Both are linear in the words that cross between neighbouring copies: `Coefficients` hold that map for one choice of keep
sets and spatial loops, `evaluate` applies it to columns. Cycles are the larger of the array's steps and the load of
the busiest port, rounded up: no latency, no fill, no interference between ports.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from mapper.nest.model.accounting import Accounting
from mapper.nest.model.batch import NestBatch, Skeleton
from mapper.nest.model.capacity import MemoryShape, footprint, memory_shape
from mapper.nest.model.hierarchy import Hierarchy, Memory
from mapper.nest.model.hoisting import Hoisting, NestLoop, hoisting_of
from mapper.nest.model.problem import NestProblem
from mapper.nest.model.tile_counts import Real, as_number, larger
from mapper.nest.model.transfers import Flow, Kept, Kind, Spread, Transfer, canonical, flows, pairs
from mapper.nest.model.visit_columns import Mask, Term, VisitColumns
from simulator.arrays import Bools, Floats, Ints

GUARD = 1e-12
"""Relative. Loads are sums of quotients; one that is a whole number of cycles must not round up to the next."""

_KINDS: Mapping[str, frozenset[Kind]] = {
    "read": frozenset({"read"}),
    "write": frozenset({"fill", "update"}),
    "shared": frozenset({"read", "fill", "update"}),
}


@dataclass(frozen=True, slots=True)
class Linear:
    """constant + sum of coefficient x words of a transfer."""

    terms: tuple[tuple[Transfer, float], ...]
    constant: float = 0.0

    @classmethod
    def collected(cls, terms: Sequence[tuple[Transfer, float]], constant: float = 0.0) -> Linear:
        """Return the sum with one term per transfer, in the order of ``terms``."""
        total: dict[Transfer, float] = {}
        for transfer, factor in terms:
            total[transfer] = total.get(transfer, 0.0) + factor
        return cls(tuple((transfer, factor) for transfer, factor in total.items() if factor != 0.0), constant)

    def of(self, words: Mapping[Transfer, Term]) -> Real:
        """Return the value for words of transfers, each a constant times a column.

        Added in one order, so that a value that is known for all rows gives the same bits as a column of it.
        """
        total: Real = 0.0
        for transfer, factor in self.terms:
            scale, values = words[transfer]
            term = values * (factor * scale)
            total = np.add(total, term, out=term) if isinstance(term, np.ndarray) else total + term
        return total + self.constant if self.constant else total


@dataclass(frozen=True, slots=True)
class Port:
    """Cycles that one port of the busiest instance of a memory needs."""

    level: int
    """The first level of its physical memory."""
    kind: str
    """read, write or shared."""
    load: Linear


@dataclass(frozen=True, slots=True)
class SerialTransfers:
    """Cycles of transfers of ``tensor`` to and from ``level``: added to the array's steps unless the tile is whole."""

    level: int
    tensor: str
    load: Linear


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Energy and port loads as functions of the words moved."""

    transfers: tuple[Transfer, ...]
    """Every transfer that occurs."""
    energy_pj: Linear
    ports: tuple[Port, ...]
    serial: tuple[SerialTransfers, ...]
    """Of all tensors in memories with one instance; those that are double-buffered do not count."""

    @classmethod
    def of(
        cls, problem: NestProblem, hierarchy: Hierarchy, kept: Kept, spatial: Spread, accounting: Accounting
    ) -> Coefficients:
        """Return the coefficients for one choice of keep sets and spatial loops, per level outermost first.

        All are at least zero except those of ``distinct`` transfers, which do not depend on tiles and orders as long as
        no irrelevant dimension of the output is spread over instances of its own copy.
        """
        return _coefficients(problem, hierarchy, kept, spatial, accounting)


@lru_cache(maxsize=4096)
def _coefficients(
    problem: NestProblem, hierarchy: Hierarchy, kept: Kept, spatial: Spread, accounting: Accounting
) -> Coefficients:
    every = flows(problem, hierarchy, kept, spatial, accounting)
    merged = [replace(flow, transfer=canonical(flow.transfer, problem, spatial)) for flow in every]
    terms = [(flow.transfer, flow.weight * _access_pj(hierarchy.memories[flow.level], flow.kind)) for flow in merged]
    energy = Linear.collected(terms, problem.macs * hierarchy.mac_pj)
    ports = tuple(_ports(hierarchy, every, problem, spatial))
    serial = tuple(_serial(hierarchy, kept, merged)) if accounting.serial_transfers else ()
    linear = [energy, *(port.load for port in ports), *(item.load for item in serial)]
    transfers = tuple(dict.fromkeys(transfer for line in linear for transfer, _ in line.terms))
    return Coefficients(transfers, energy, ports, serial)


def _access_pj(memory: Memory, kind: Kind) -> float:
    """Energy of one access. [pJ]"""
    return memory.read_pj if kind == "read" else memory.write_pj


def _ports(hierarchy: Hierarchy, every: Sequence[Flow], problem: NestProblem, spatial: Spread) -> list[Port]:
    """Levels of one physical memory share its ports; the first of them stands for all."""
    ports = []
    owners = [memory.physical for memory in hierarchy.memories]
    for level, memory in enumerate(hierarchy.memories):
        if level != owners.index(memory.physical):
            continue
        shared = memory.shared_rate
        for kind, rate in memory.ports:
            if kind != "shared" and shared is not None and shared <= rate:
                continue  # the shared limit is reached first
            terms = [
                (canonical(replace(flow.transfer, busiest=memory.instances > 1), problem, spatial), flow.weight / rate)
                for flow in every
                if owners[flow.level] == memory.physical and flow.kind in _KINDS[kind]
            ]
            if terms:
                ports.append(Port(level, kind, Linear.collected(terms)))
    return ports


def _serial(hierarchy: Hierarchy, kept: Kept, every: Sequence[Flow]) -> list[SerialTransfers]:
    """What the outer copy does for the inner one takes the time of its port."""
    serial = []
    for tensor, parent, child in pairs(kept):
        if parent is None or child == len(kept) or hierarchy.memories[child].instances > 1:
            continue
        memory = hierarchy.memories[parent]
        rates = {"read": memory.shared_rate or memory.read_rate, "update": memory.shared_rate or memory.write_rate}
        terms = []
        for flow in every:
            rate = rates.get(flow.kind)
            if flow.level == parent and flow.tensor == tensor and flow.pair == (parent, child) and rate:
                terms.append((flow.transfer, flow.weight / rate))
        if terms:
            serial.append(SerialTransfers(child, tensor, Linear.collected(terms)))
    return serial


@dataclass(frozen=True, slots=True)
class NestCosts:
    """Costs of a batch, one entry per mapping."""

    cycles: Ints
    energy_pj: Floats
    footprint: Mapping[str, Floats]
    """Words in one instance of each bounded memory."""
    valid: Bools
    """Whether every tile fits (and divides, if the accounting wants perfect factors)."""

    @property
    def edp(self) -> Floats:
        """Energy times delay [pJ cycles]."""
        return self.energy_pj * self.cycles

    def __len__(self) -> int:
        return len(self.cycles)


@dataclass(frozen=True, slots=True)
class Plan:
    """What all batches with one skeleton have in common."""

    coefficients: Coefficients
    hoistings: tuple[tuple[Transfer, Hoisting], ...]
    """Of every transfer that the coefficients name."""
    serial: tuple[SerialTransfers, ...]
    """Transfers that do not overlap with computing."""
    stationary: tuple[tuple[str, Hoisting], ...]
    """Tensors in the innermost memory, if changing them takes a least time."""
    memories: tuple[MemoryShape, ...]
    """Bounded memories that keep something."""


@lru_cache(maxsize=8192)
def plan_of(problem: NestProblem, hierarchy: Hierarchy, skeleton: Skeleton, accounting: Accounting) -> Plan:
    """Return what all batches with a skeleton have in common."""
    levels = skeleton.levels
    kept, spatial = tuple(level.kept for level in levels), tuple(level.spatial for level in levels)
    coefficients = Coefficients.of(problem, hierarchy, kept, spatial, accounting)
    serial = tuple(item for item in coefficients.serial if item.tensor not in levels[item.level].double_buffered)
    loads = [*(port.load for port in coefficients.ports), *(item.load for item in serial)]
    transfers = dict.fromkeys(transfer for line in (coefficients.energy_pj, *loads) for transfer, _ in line.terms)
    innermost = len(levels) - 1
    stationary = tuple(
        (tensor, hoisting_of(problem, skeleton, Transfer(tensor, innermost, 0)))
        for tensor, outer, child in pairs(kept)
        if accounting.min_pair_cycles and outer is not None and child == innermost
    )
    bounded = (level for level, memory in enumerate(hierarchy.memories) if memory.entries is not None and kept[level])
    return Plan(
        coefficients,
        tuple((transfer, hoisting_of(problem, skeleton, transfer)) for transfer in transfers),
        serial,
        stationary,
        tuple(memory_shape(problem, hierarchy, skeleton, level, accounting) for level in bounded),
    )


def evaluate(batch: NestBatch, accounting: Accounting) -> NestCosts:
    """Return the costs of every mapping of ``batch``.

    A column per mapping, no loop over mappings; one mapping is a batch of one and gives the same bits.
    """
    plan = plan_of(batch.problem, batch.hierarchy, batch.skeleton, accounting)
    visits = VisitColumns(batch, even=accounting.ragged == "perfect")
    moved = {transfer: visits.words(hoisting) for transfer, hoisting in plan.hoistings}
    valid: Mask = _divides(visits) if accounting.ragged == "perfect" else True
    footprints = {shape.level: footprint(visits, shape) for shape in plan.memories}
    valid = valid & _fits(batch.hierarchy, footprints)
    return NestCosts(
        _full(_cycles(visits, plan, moved, accounting), len(batch)).astype(np.int64),
        _full(plan.coefficients.energy_pj.of(moved), len(batch)),
        {batch.hierarchy.names[level]: _full(words, len(batch)) for level, words in footprints.items()},
        np.broadcast_to(np.asarray(valid), (len(batch),)),
    )


def _fits(hierarchy: Hierarchy, footprints: Mapping[int, Real]) -> Mask:
    """Whether every physical memory holds the tiles of all levels that are part of it."""
    totals: dict[str, Real] = {}
    for level, words in footprints.items():
        physical = hierarchy.memories[level].physical
        totals[physical] = words + totals[physical] if physical in totals else words
    entries = {memory.physical: float(memory.entries or 0) for memory in hierarchy.memories}
    fits: Mask = True
    for physical, words in totals.items():
        fits = fits & (words <= entries[physical])
    return fits


def _cycles(visits: VisitColumns, plan: Plan, words: Mapping[Transfer, Term], accounting: Accounting) -> Real:
    """Steps of the array and transfers that wait for it, or the load of the busiest port. [cycles]"""
    cycles = steps(visits, plan, accounting)
    for item in plan.serial:
        cycles = cycles + as_number(visits.is_cut(item.level, item.tensor)) * item.load.of(words)
    busiest: Real = 0.0
    for port in plan.coefficients.ports:
        load = port.load.of(words)
        busiest = load if isinstance(busiest, float) and busiest == 0.0 else larger(busiest, load)
    longest = larger(cycles, busiest * (1.0 - GUARD))
    return np.ceil(longest, out=longest) if isinstance(longest, np.ndarray) else float(math.ceil(longest))


def steps(visits: VisitColumns, plan: Plan, accounting: Accounting) -> Real:
    """Return the cycles in which the array computes, with waits for the next tile where the accounting says so."""
    longest = visits.array_steps()
    for tensor, hoisting in plan.stationary:
        longest = larger(longest, visits.paired_steps(hoisting, tensor, accounting.min_pair_cycles))
    return longest


def _divides(visits: VisitColumns) -> Mask:
    """Whether every tile divides the one outside, and spatial loops use all their parts."""
    every: Mask = True
    for loop, step, outside in zip(visits.loops, visits.steps, visits.outside, strict=True):
        if loop.parts or not (isinstance(step, float) and step == 1.0):
            every = every & divides(loop, step, outside)
    return every


def divides(loop: NestLoop, step: Real, outside: Real) -> Mask:
    """Return whether the tiles of one loop cover the one outside without a rest."""
    if loop.parts:
        return outside == step * loop.parts
    ratio = outside / step
    return ratio == np.floor(ratio)


def _full(value: Real, rows: int) -> Floats:
    return value if isinstance(value, np.ndarray) and value.shape == (rows,) else np.full(rows, value)
