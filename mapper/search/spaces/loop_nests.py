"""Loop nests as a space of integer rows: `mapper.nest.mapspace.nest_space.NestSpace` with moves from one nest to the
next.

A row holds the place of each level's loop order, the place of the outer choice (keep sets, spatial loops, second
copies), and the tile sizes of every dimension, level by level [elements].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator

from mapper.cost.costs import Costs
from mapper.cost.objective import Goal
from mapper.mapping.loop_nest import LoopNest
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.search.exact import loop_nests
from mapper.search.mapping_result import MappingResult
from mapper.search.options import SearchOptions
from mapper.search.proofs import prove_loop_nests
from mapper.search.space import Floor, Scope
from simulator.arrays import Bools, Ints, Rows

ATTEMPTS = 12
"""Moves that are tried for a row until one is legal; a row that none suits stays as it is."""

ROUNDING = 1.0 - 1e-9
"""Bounds and costs add the same numbers in different orders."""

REACH = 3.0
"""Largest change of a tile size by one step [factor of 2]: large enough to leave a basin, rarely used whole."""


@dataclass(frozen=True)
class LoopNests:
    """All nests of a mapspace, and what they cost."""

    nests: NestSpace

    @property
    def size(self) -> int:
        return self.nests.total

    def describe(self) -> str:
        return self.nests.describe()

    @property
    def units(self) -> dict[str, int]:
        """Steps of tile sizes by dimension, those of the first outer choice [elements]."""
        axes = self.nests.axes
        return {dim: axes.grid(axes.variants[0], dim).unit for dim in axes.dims}

    def scope(self) -> Scope:
        nests, units = self.nests, self.units
        steps = ", ".join(f"{dim} {unit}" for dim, unit in units.items())
        tiles = "perfect factors" if nests.axes.perfect else f"tiles of any size in units of {steps}"
        premises = f"holds for {tiles}, the {nests.axes.spatial} array, {nests.accounting.name} accounting"
        return Scope(f"{nests.total:,} nests", premises, {"units": units})

    def prove(self, goal: Goal, options: SearchOptions) -> MappingResult:
        """Return the proved optimum or front."""
        return prove_loop_nests(self.nests, self.scope(), goal, options)

    def sample(self, count: int, random: Generator) -> Rows:
        return self.nests.sample(count, random)

    def legal(self, rows: Rows) -> Bools:
        return self.nests.legal(rows)

    def walk(self, most: int) -> Iterator[Rows]:
        return self.nests.walk(most)

    def costs(self, rows: Rows) -> Costs:
        costs = self.nests.costs(rows)
        return Costs(costs.cycles.astype(np.float64), costs.energy_pj, costs.footprint_bytes)

    def floor(self) -> Floor:
        cycles, energy_pj = loop_nests.lower_bound(self.nests)
        return Floor(cycles, energy_pj * ROUNDING)

    def mapping(self, row: tuple[int, ...]) -> LoopNest:
        return self.nests.mapping(row)

    @cached_property
    def _sizes(self) -> dict[tuple[int, int], Ints]:
        """Tile sizes by (array tile, dimension): what a step can lead to [elements]."""
        sizes = {}
        for variant in self.nests.axes.variants:
            for position, dim in enumerate(self.nests.axes.dims):
                key = variant.array_tile(dim), position
                if key not in sizes:
                    grid, steps = self.nests.axes.grid(variant, dim), self.nests.axes.steps(variant, dim)
                    sizes[key] = np.unique(grid.elements(steps.values))
        return sizes

    @cached_property
    def _array_tiles(self) -> Ints:
        """(outer choices, dimensions): elements that the array takes at once."""
        tiles = [[variant.array_tile(dim) for dim in self.nests.axes.dims] for variant in self.nests.axes.variants]
        return np.array(tiles, dtype=np.int64)

    @property
    def _first_tile(self) -> int:
        """Column of the first tile size."""
        return self.nests.axes.levels + 1

    def neighbours(self, rows: Rows, random: Generator) -> Rows:
        """Change one or two tile sizes, or an order, or the outer choice; what is not legal is tried again."""
        new = rows.copy()
        left = np.arange(len(rows))
        for _ in range(ATTEMPTS):
            tried = self._moved(rows[left], random)
            good = self.legal(tried) & (tried != rows[left]).any(axis=1)
            new[left[good]] = tried[good]
            left = left[~good]
            if not len(left):
                break
        return new

    def _moved(self, rows: Rows, random: Generator) -> Rows:
        new = rows.copy()
        kind = random.random(len(rows))
        dims = len(self.nests.axes.dims)
        if self.nests.axes.levels > 1:
            for share in (0.75, 0.45):  # below 0.45 a second size moves as well
                chosen = np.flatnonzero(kind < share)
                level = random.integers(self.nests.axes.levels - 1, size=len(chosen))
                self._resize(new, chosen, level, random.integers(dims, size=len(chosen)), random)
        turn = np.flatnonzero((kind >= 0.75) & (kind < 0.9))
        level = random.integers(self.nests.axes.levels, size=len(turn))
        sizes = np.array([len(orders) for orders in self.nests.axes.orders])
        new[turn, level] = random.integers(0, sizes[level])
        exchanged = np.flatnonzero(kind >= 0.9)
        new[exchanged, self.nests.axes.levels] = random.integers(len(self.nests.axes.variants), size=len(exchanged))
        return new

    def _resize(self, rows: Rows, chosen: Ints, level: Ints, dim: Ints, random: Generator) -> None:
        """Move the tile of ``dim`` at ``level``, small moves most often; tiles inside shrink, tiles outside grow."""
        factor = 2.0 ** (REACH * random.random(len(chosen)) ** 3)
        up = random.random(len(chosen)) < 0.5
        column = self._first_tile + level * len(self.nests.axes.dims) + dim
        array = self._array_tiles[rows[chosen, self.nests.axes.levels], dim]
        for key, sizes in self._sizes.items():
            part = np.flatnonzero((array == key[0]) & (dim == key[1]))
            if not len(part):
                continue
            which = chosen[part], column[part]
            now = rows[which]
            at = np.searchsorted(sizes, now)
            wanted = np.where(up[part], now * factor[part], now / factor[part])
            place = np.searchsorted(sizes, wanted)
            place = np.where(up[part], np.maximum(place, at + 1), np.minimum(place, at - 1))
            rows[which] = sizes[np.clip(place, 0, len(sizes) - 1)]
        self._reorder(rows, chosen, level, dim)

    def _reorder(self, rows: Rows, chosen: Ints, level: Ints, dim: Ints) -> None:
        """With tiles of any size, tiles inside a smaller one shrink to it, and tiles outside a larger one grow."""
        if self.nests.axes.perfect:
            return  # a divisor must be found, by trying again
        dims = len(self.nests.axes.dims)
        moved = rows[chosen, self._first_tile + level * dims + dim]
        for adjusted in range(self.nests.axes.levels - 1):
            column = self._first_tile + adjusted * dims + dim
            size = rows[chosen, column]
            grown = np.maximum(size, np.where(adjusted < level, moved, 0))
            size = np.where(adjusted > level, np.minimum(size, moved), grown)
            rows[chosen, column] = size

    def crossover(self, left: Rows, right: Rows, random: Generator) -> Rows:
        """Take each order and each dimension's tiles from one of both, the outer choice from the left."""
        new = left.copy()
        open_ = np.arange(len(left))
        levels, dims = self.nests.axes.levels, len(self.nests.axes.dims)
        for _ in range(ATTEMPTS):
            mother, father = left[open_], right[open_]
            orders = random.random((len(open_), levels)) < 0.5
            tiles = np.tile(random.random((len(open_), dims)) < 0.5, levels - 1)
            stays = np.ones((len(open_), 1), dtype=bool)
            tried = np.where(np.column_stack([orders, stays, tiles]), mother, father)
            good = self.legal(tried)
            new[open_[good]] = tried[good]
            open_ = open_[~good]
            if not len(open_):
                break
        return new
