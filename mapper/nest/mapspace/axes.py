"""What of a nest is free, in how many ways, and which column of a member's row says which.

A member is a row of integers ("genes"), for L levels with temporal loops:

    order of level 0 .. L-1 | variant | T1 of every dimension | .. | T(L-1) of every dimension

An order is a position in the level's list, a variant (keep sets, spatial loops, buffering) a position in the list of
variants, a tile a number of elements. Which rows fit the memories is `mapper.nest.mapspace.level_capacity`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from mapper.errors import MappingError
from mapper.nest.mapspace.constraints import FREE, Constraints
from mapper.nest.mapspace.tile_grid import Grid
from mapper.nest.mapspace.tile_lattice import TileLattice
from mapper.nest.mapspace.tile_sampler import Steps
from mapper.nest.mapspace.variants import Unrolling, Variant, bufferings, keep_sets, spatial_level, spreads
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem
from simulator.arrays import Rows


@dataclass(frozen=True, slots=True)
class AxisSize:
    """One axis of a mapspace and how many choices it has."""

    name: str
    size: int
    text: str


class NestAxes:
    """The axes of a mapspace; parameters and errors as of `mapper.nest.mapspace.nest_space.NestSpace`."""

    def __init__(
        self,
        problem: NestProblem,
        hierarchy: Hierarchy,
        accounting: Accounting,
        constraints: Constraints | None = None,
        *,
        perfect: bool | None = None,
        units: Mapping[str, int] | None = None,
        most_units: int | None = None,
        spatial: Unrolling = "full",
        bypass: Sequence[str] = (),
    ) -> None:
        self.problem, self.hierarchy, self.accounting = problem, hierarchy, accounting
        self.constraints = FREE if constraints is None else constraints
        self.perfect = accounting.ragged == "perfect" if perfect is None else perfect
        self.spatial = spatial
        self.dims = problem.names
        self.levels = spatial_level(hierarchy) + 1
        """Levels with temporal loops."""
        self._check(bypass)
        self._lattice = TileLattice(
            problem, hierarchy, self.constraints, self.levels, self.perfect, units or {}, most_units
        )
        self.variants = self._variants(dict.fromkeys(bypass, True))
        self.orders = tuple(
            self.constraints.rule(memory.name).order.of(self.dims) for memory in hierarchy.memories[: self.levels]
        )
        """Allowed loop orders per level, dimensions outer to inner."""
        self._lattice.require_chains(self.variants)

    def _check(self, bypass: Sequence[str]) -> None:
        self.constraints.check(self.problem, self.hierarchy)
        for name in bypass:
            self.hierarchy.index(name)
        for memory in self.hierarchy.memories[self.levels :]:
            rule = self.constraints.rule(memory.name)
            if rule.tile or rule.factor or rule.order.any or rule.order.never:
                raise MappingError(f"constraints: {memory.name} has no loops of its own in this mapspace")

    def _variants(self, bypass: Mapping[str, bool]) -> tuple[Variant, ...]:
        variants = [
            Variant(kept, spread, doubled)
            for kept in keep_sets(self.hierarchy, self.constraints, bypass)
            for spread in spreads(self.problem, self.hierarchy, self.constraints, self.spatial, self.perfect)
            for doubled in bufferings(self.hierarchy, self.accounting, self.constraints, kept)
        ]
        if not variants:
            raise MappingError(
                "constraints: keep and double_buffer leave no common choice: only kept tensors have copies"
            )
        return tuple(variants)

    def grid(self, variant: Variant, dim: str) -> Grid:
        """Return the sizes that the tiles of a dimension may have under a variant."""
        return self._lattice.grid(variant, dim)

    def steps(self, variant: Variant, dim: str) -> Steps:
        """Return the same sizes with what may follow what, for counts and draws."""
        return self._lattice.steps(variant, dim)

    @property
    def genes(self) -> int:
        """Columns of a row."""
        return self.levels + 1 + (self.levels - 1) * len(self.dims)

    def gene(self, level: int, dim: int) -> int:
        """Return the column of the tile that level ``level`` hands inward, of the dimension at position ``dim``."""
        return self.levels + 1 + level * len(self.dims) + dim

    @cached_property
    def order_tables(self) -> tuple[Rows, ...]:
        """Per level (orders, dimensions): positions of the dimensions, outer to inner."""
        position = {dim: index for index, dim in enumerate(self.dims)}
        return tuple(np.array([[position[dim] for dim in order] for order in orders]) for orders in self.orders)

    @cached_property
    def order_count(self) -> int:
        """Combinations of loop orders."""
        return prod(len(orders) for orders in self.orders)

    @cached_property
    def total(self) -> int:
        """Members, whether or not the memories hold them. Exact."""
        tiles = sum(prod(self._lattice.chains(variant, dim) for dim in self.dims) for variant in self.variants)
        return tiles * self.order_count

    def sizes(self) -> tuple[AxisSize, ...]:
        """Return the size of every axis; with several variants, tile chains are those of the first."""
        first = self.variants[0]
        kinds = (
            "perfect factors" if self.perfect else "tiles of any size, loaded at one loop position (static hoisting)"
        )
        chains = [self._lattice.chains(first, dim) for dim in self.dims]
        tiles = ", ".join(
            f"{dim} {count:,} (units of {self.grid(first, dim).unit})"
            for dim, count in zip(self.dims, chains, strict=True)
        )
        orders = " x ".join(f"{len(allowed):,}" for allowed in self.orders)
        unbuffered = {(variant.kept, variant.spatial) for variant in self.variants}
        return (
            AxisSize("tiles", prod(chains), f"{kinds}: {tiles}"),
            AxisSize("orders", self.order_count, f"{orders} of {self.levels} levels"),
            AxisSize("spatial", len({variant.spatial for variant in self.variants}), f"{self.spatial} array"),
            AxisSize("bypass", len({variant.kept for variant in self.variants}), self._keep_text()),
            AxisSize("buffering", max(1, len(self.variants) // len(unbuffered)), "sets of second copies"),
        )

    def _keep_text(self) -> str:
        """What each memory keeps; what it may keep, where that is a choice."""
        parts = []
        for level, memory in enumerate(self.hierarchy.memories):
            sets = {variant.kept[level] for variant in self.variants}
            names = ", ".join(sorted(frozenset().union(*sets))) or "nothing"
            parts.append(f"{memory.name} {'any of ' if len(sets) > 1 else ''}{names}")
        return "keep sets: " + "; ".join(parts)

    def describe(self) -> str:
        """Return the axes, their sizes and the product as text."""
        sizes = self.sizes()
        lines = [f"{axis.name:<10}{axis.size:>24,}  {axis.text}" for axis in sizes]
        is_product = prod(axis.size for axis in sizes) == self.total
        return "\n".join([*lines, f"{'product' if is_product else 'members':<10}{self.total:>24,}"])
