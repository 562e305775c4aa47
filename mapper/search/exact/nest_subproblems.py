"""A mapspace of loop nests taken apart for the proof: one subproblem per keep sets and spatial loops.

Within a subproblem only tiles, orders and second copies are free, and costs have one structure. Second copies are no
subproblems of their own, because the best set of them follows from the tiles (`mapper.nest.bounds.combine`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import factorial

import numpy as np

from mapper.errors import MappingError
from mapper.nest.bounds.combine import Combined
from mapper.nest.bounds.order_classes import LevelClass, OrderClass, order_classes
from mapper.nest.bounds.reuse_structure import ReuseStructure, reuse_structure
from mapper.nest.mapspace.axes import NestAxes
from mapper.nest.mapspace.tile_grid import Grid
from mapper.nest.mapspace.variants import Variant
from mapper.nest.model.assemble import assemble
from mapper.nest.model.batch import NestBatch
from mapper.nest.model.reuse_groups import COMMON
from mapper.search.exact.branch_and_bound import ClassProblem, ideal_costs
from mapper.search.exact.incumbents import Incumbent

MOST_CLASSES = 10_000
"""More than any structure has: a class's rank is its structure's number times this, plus its own."""

FEW_UNITS = 12
"""Up to this many units of a dimension, all its sizes are a first look."""

EVEN_PARTS = (1, 2, 3, 4, 5, 6, 8, 12, 16)
"""Parts of a dimension that a first look tries."""


@dataclass(frozen=True, slots=True)
class Subproblem:
    """One combination of keep sets and spatial loops."""

    axes: NestAxes
    number: int
    """Position in the space's order."""
    structure: ReuseStructure
    classes: tuple[OrderClass, ...]
    grids: Mapping[str, Grid]
    choices: tuple[frozenset[int], ...]
    """Allowed sets of second copies, as positions in ``structure.copies``."""
    doubled: tuple[tuple[frozenset[str], ...], ...]
    """The same as tensors by memory, parallel to ``choices``."""

    def ideal(self) -> Combined:
        """Return costs that no mapping of the subproblem is below."""
        return ideal_costs(self.structure, self.grids)

    def class_problem(self, rank: int, *, coarse: bool) -> ClassProblem | None:
        """Return the search of one class; with ``coarse`` over a few sizes, None if those are all there are."""
        grids = {dim: coarsened(grid) for dim, grid in self.grids.items()} if coarse else self.grids
        if coarse and all(grids[dim] is self.grids[dim] for dim in grids):
            return None
        ranked = self.number * MOST_CLASSES + rank
        return ClassProblem(self.structure, self.classes[rank], ranked, grids, self.choices)

    def batch(self, incumbent: Incumbent) -> NestBatch:
        """Return the mapping of an incumbent as a batch of one."""
        orders = [
            _order_of(self.axes.orders[level], self.structure.groups, level_class)
            for level, level_class in enumerate(incumbent.order.levels)
        ]
        tiles = {
            dim: [incumbent.grids[dim].elements(np.array([size])) for size in sizes]
            for dim, sizes in incumbent.units.items()
        }
        doubled = self.doubled[self.choices.index(incumbent.doubled)]
        structure = self.structure
        return assemble(
            structure.problem, structure.hierarchy, structure.kept, structure.spatial, orders, tiles, doubled
        )


def subproblems(axes: NestAxes) -> list[Subproblem]:
    """Return the subproblems of a mapspace in its order.

    Raises
    ------
    MappingError
        For what has no bound here (see `reuse_structure`), or constrained orders of a convolution.
    """
    alike: dict[tuple[object, ...], list[Variant]] = {}
    for variant in axes.variants:
        alike.setdefault((variant.kept, variant.spatial), []).append(variant)
    return [_subproblem(axes, number, variants) for number, variants in enumerate(alike.values())]


def _subproblem(axes: NestAxes, number: int, variants: list[Variant]) -> Subproblem:
    """The subproblem of variants that differ in second copies alone."""
    # Which copies are second ones changes no coefficient: one structure serves them all.
    first = variants[0]
    structure = reuse_structure(axes.problem, axes.hierarchy, axes.accounting, first.kept, first.spatial)
    doubled = tuple(variant.doubled for variant in variants)
    choices = tuple(
        frozenset(index for index, copy in enumerate(structure.copies) if copy.tensor in tensors[copy.level])
        for tensors in doubled
    )
    grids = {dim: axes.grid(first, dim) for dim in axes.dims}
    # Without dimensions that index every tensor there is no fourth group whose place in an order could matter.
    used_groups = COMMON + bool(structure.groups[COMMON])
    classes = order_classes(structure.levels, structure.pairs, used_groups, _group_orders(axes, structure))
    return Subproblem(axes, number, structure, classes, grids, choices, doubled)


def _group_orders(axes: NestAxes, structure: ReuseStructure) -> tuple[tuple[tuple[int, ...], ...] | None, ...] | None:
    """Allowed orders per level in terms of groups, None where all are."""
    group_of = {dim: group for group, dims in enumerate(structure.groups) for dim in dims}
    # Orders of dimensions say nothing of orders of groups where a group has several dimensions.
    one_dim_each = all(len(dims) <= 1 for dims in structure.groups)
    missing = [group for group in range(COMMON) if not structure.groups[group]]
    by_level: list[tuple[tuple[int, ...], ...] | None] = []
    for level, orders in enumerate(axes.orders):
        if len(orders) == factorial(len(axes.dims)):
            by_level.append(None)
        elif not one_dim_each:
            memory = axes.hierarchy.memories[level].name
            raise MappingError(f"{memory}.order: loop orders of a convolution cannot be constrained in a proof")
        else:
            # Groups without dimensions have no loop: they are put outermost, where their place is no choice.
            by_level.append(tuple(dict.fromkeys((*missing, *(group_of[dim] for dim in order)) for order in orders)))
    return None if all(orders is None for orders in by_level) else tuple(by_level)


@lru_cache(maxsize=4096)
def _order_of(
    orders: tuple[tuple[str, ...], ...], groups: tuple[tuple[str, ...], ...], level_class: LevelClass
) -> tuple[str, ...]:
    """The first allowed order of a level's class: of its free loops, those of the inner group are innermost."""
    group_of = {dim: group for group, dims in enumerate(groups) for dim in dims}
    for order in orders:
        free = [group_of[dim] for dim in order if group_of[dim] not in level_class.forced]
        # An order belongs to the class if, among the loops that may have several trips, the class's group is innermost.
        inner = [group for group in free if group == level_class.inner]
        if level_class.inner == -1 or not inner or free[-len(inner) :] == inner:
            return order
    raise MappingError("no allowed loop order for a class of orders")


def coarsened(grid: Grid) -> Grid:
    """Return a few sizes for a first look: even splits into few parts, and powers of four of the array's tile."""
    if grid.perfect or grid.units <= FEW_UNITS:
        return grid
    units = grid.units
    sizes = {units, 1, *(-(-units // parts) for parts in EVEN_PARTS)}
    size = grid.last
    while size < units:
        sizes.add(size)
        size *= 4
    for allowed in grid.allowed:
        # A constraint may leave none of the above: some of its own sizes, the largest among them, keep the look alive.
        sizes |= set(allowed[:: max(1, len(allowed) // 8)]) | {allowed[-1]} if allowed else set()
    return replace(grid, coarse=tuple(sorted(sizes)))
