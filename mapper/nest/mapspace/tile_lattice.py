"""Sizes that the tiles of each dimension may have, and which may follow which: units, perfect factors, constraints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mapper.errors import MappingError
from mapper.nest.mapspace.constraints import Constraints, LevelRule
from mapper.nest.mapspace.divisions import divisors
from mapper.nest.mapspace.tile_grid import Grid
from mapper.nest.mapspace.tile_sampler import Steps
from mapper.nest.mapspace.variants import Variant
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem
from simulator.arrays import Bools, Ints

LARGEST_GRID = 16_384
"""Units of a dimension with tiles of any size; break points of so many take seconds, and grow with the square."""

COARSER = 4
"""Units that are chosen automatically grow by this factor."""

FIRST_STEP = 16
"""Elements of the first unit beyond 1, of dimensions that the array does not take."""


class TileLattice:
    """The tiles of a mapspace.

    Parameters
    ----------
    problem, hierarchy, constraints
        As of the space.
    levels
        Levels with temporal loops.
    perfect
        Whether every tile divides the one outside it.
    units
        Granularity by dimension [elements]; a missing one is what the array takes at once.
    most_units
        If given, missing units are coarser where a dimension would have more units than this.
    """

    def __init__(
        self,
        problem: NestProblem,
        hierarchy: Hierarchy,
        constraints: Constraints,
        levels: int,
        perfect: bool,
        units: Mapping[str, int],
        most_units: int | None = None,
    ) -> None:
        self.problem, self.constraints, self.levels = problem, constraints, levels
        self.perfect, self.units = perfect, dict(units)
        self.most_units = most_units
        self._rules = [constraints.rule(memory.name) for memory in hierarchy.memories[:levels]]
        self._grids: dict[tuple[int, str], Grid] = {}
        self._steps: dict[tuple[int, str], Steps] = {}
        self._chains: dict[tuple[int, str], int] = {}
        for dim, unit in units.items():
            problem.size(dim)
            if unit < 1:
                raise MappingError(f"unit of {dim}: must be at least 1 element, not {unit}")

    def grid(self, variant: Variant, dim: str) -> Grid:
        """Return the sizes of a dimension's tiles under a choice of spatial loops."""
        key = variant.array_tile(dim), dim
        if key not in self._grids:
            self._grids[key] = self._make_grid(*key)
        return self._grids[key]

    def steps(self, variant: Variant, dim: str) -> Steps:
        """Return the same sizes with what may follow what."""
        key = variant.array_tile(dim), dim
        if key not in self._steps:
            self._steps[key] = self._make_steps(self.grid(variant, dim))
        return self._steps[key]

    def chains(self, variant: Variant, dim: str) -> int:
        """Return the number of chains of tiles of a dimension, whether or not they fit."""
        key = variant.array_tile(dim), dim
        if key not in self._chains:
            grid = self.grid(variant, dim)
            if self.levels == 1:
                allowed = grid.allowed[0] if grid.allowed else None
                self._chains[key] = int(allowed is None or grid.units in allowed)
            else:
                self._chains[key] = self.steps(variant, dim).chains()
        return self._chains[key]

    def require_chains(self, choices: tuple[Variant, ...]) -> None:
        """Raise a `MappingError` that names the constraints of a dimension which none of its chains meets."""
        for dim in self.problem.names:
            if any(self.chains(variant, dim) for variant in choices):
                continue
            kind = "perfect factors" if self.perfect else f"tiles in units of {self.grid(choices[0], dim).unit}"
            about = " and ".join(self.constraints.about(dim)) or "the machine"
            raise MappingError(
                f"constraints: contradictory: no {kind} of {dim}={self.problem.size(dim)} meet {about}; "
                "a tile is at most as large as the one outside it, and trips multiply to the dimension"
            )

    def _make_grid(self, array: int, dim: str) -> Grid:
        size = self.problem.size(dim)
        unit = array if self.perfect else self.units.get(dim) or self._default_unit(size, array)
        if array % unit and unit % array:
            raise MappingError(f"unit of {dim}: {unit} must divide or be a multiple of {array}, what the array takes")
        if self.perfect and size % array:
            raise MappingError(f"{dim}={size}: the array takes {array} at once, which does not divide it")
        plain = Grid(size, unit, array, self.perfect)
        if not self.perfect and plain.units > LARGEST_GRID:
            raise MappingError(
                f"{dim}={size}: {plain.units:,} sizes of tiles in units of {unit}, more than {LARGEST_GRID:,}; "
                "take coarser units or perfect factors"
            )
        if not any(dim in rule.tile or dim in rule.factor for rule in self._rules):
            return plain
        return replace(plain, allowed=self._allowed(plain, dim), trips=self._trips(plain, dim))

    def _allowed(self, grid: Grid, dim: str) -> tuple[tuple[int, ...] | None, ...]:
        """Per level of a tile: sizes that constraints leave [units], None for all."""
        values = _sizes(grid)
        elements = grid.elements(values)
        masks = [rule.tile[dim].allow(elements) if dim in rule.tile else None for rule in self._rules[:-1]]
        innermost = _innermost_mask(self._rules[-1], dim, elements, grid.array)
        if innermost is not None:
            # The innermost loops walk the last tile in steps of the array's own, so their constraints are that tile's.
            last = masks[-1] if masks else None
            masks = [*masks[:-1], innermost if last is None else last & innermost]
        return tuple(None if mask is None else tuple(values[mask].tolist()) for mask in masks)

    def _trips(self, grid: Grid, dim: str) -> tuple[tuple[int, ...] | None, ...]:
        """Per level: trips that constraints leave, None for all; those of the innermost are in the last tile."""
        # Trips between tiles are at most the units, and divisors of them if factors are perfect: the sizes once more.
        counts = _sizes(grid)
        by_level = [
            tuple(counts[rule.factor[dim].allow(counts)].tolist()) if dim in rule.factor else None
            for rule in self._rules[:-1]
        ]
        return (*by_level, None)

    def _default_unit(self, size: int, array: int) -> int:
        """What the array takes at once, or the least of 16, 64, .. elements or 4, 16, .. arrays that is coarse enough.

        A dimension that the array takes one element of goes on with 16 elements.
        """
        unit = array
        while self.most_units is not None and -(-size // unit) > self.most_units:
            unit = FIRST_STEP if unit == 1 else unit * COARSER
        return unit

    def _make_steps(self, grid: Grid) -> Steps:
        values = _sizes(grid)
        masks: list[Bools] = []
        relations: list[Bools | None] = []
        for level in range(self.levels - 1):
            allowed = grid.allowed[level] if grid.allowed else None
            trips = grid.trips[level] if grid.trips else None
            masks.append(np.isin(values, values if allowed is None else np.array(allowed, np.int64)))
            relation = values[:, None] % values[None, :] == 0 if self.perfect else None
            if trips is not None:
                count = -(-values[:, None] // values[None, :])
                follows = (values[None, :] <= values[:, None]) & np.isin(count, np.array(trips, np.int64))
                relation = follows if relation is None else relation & follows
            relations.append(relation)
        return Steps(values, tuple(masks), tuple(relations))


def _sizes(grid: Grid) -> Ints:
    return np.array(divisors(grid.units) if grid.perfect else range(1, grid.units + 1), np.int64)


def _innermost_mask(rule: LevelRule, dim: str, elements: Ints, array: int) -> Bools | None:
    """What constraints on the loops around the array leave of the tile that they walk."""
    good = np.ones(len(elements), bool)
    if dim in rule.tile:
        good &= rule.tile[dim].allow(np.minimum(elements, array))
    if dim in rule.factor:
        good &= rule.factor[dim].allow(-(-elements // array))
    return None if good.all() else good
