"""Uniform draws from a mapspace, and the exact number of what there is to draw.

Second copies only take room. So what fits with all the copies that some outer choices have in common contains what
fits with any of them, and one table serves them all: a draw takes one of the choices, tiles from the table, and is
taken again unless the tiles fit the choice. Every legal member is equally likely, whatever the share that is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator

from mapper.errors import MappingError
from mapper.nest.mapspace.tile_sampler import TileSampler
from mapper.nest.mapspace.variants import Choice
from simulator.arrays import Bools, Floats, Rows

if TYPE_CHECKING:
    from mapper.nest.mapspace.nest_space import NestSpace


MOST_CELLS = 20_000_000
"""Of tables for draws that are kept: 160 MB."""

MOST_DRAWS = 100_000
"""Draws without any valid mapping among them after which sampling by rejection gives up."""

LEAST_ROUND, LARGEST_ROUND = 1_000, 65_536
"""Rows that are drawn at once; a first round tells how many are kept."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Outer choices that share a table."""

    base: Choice
    """Keep sets and spatial loops of all, with the second copies that all have; one of them."""
    numbers: Rows
    """Their places in the space's list."""


class Draws:
    """Draws of one space."""

    def __init__(self, space: NestSpace) -> None:
        self.space = space
        self.groups = tuple(_groups(space.variants))
        self._samplers: dict[Choice, TileSampler] = {}

    def _sampler(self, choice: Choice) -> TileSampler:
        """The sampler of an outer choice; tables are kept as long as together they are small."""
        if choice not in self._samplers:
            if sum(sampler.cells for sampler in self._samplers.values()) > MOST_CELLS:
                self._samplers.clear()
            space = self.space
            steps = [space.steps(choice, dim) for dim in space.dims]
            self._samplers[choice] = TileSampler(steps, [space.fits(choice, level) for level in range(1, space.levels)])
        return self._samplers[choice]

    @cached_property
    def counts(self) -> tuple[float, ...]:
        """Valid tiles per outer choice; an integer where exact. A table for each: seconds to minutes if large."""
        found = []
        for variant in self.space.variants:
            sampler = self._sampler(variant)
            found.append(sampler.count if sampler.is_exact else float(sampler.count))
        return tuple(found)

    @cached_property
    def _weights(self) -> Floats:
        """What may be drawn from each group, kept or not."""
        return np.array([len(group.numbers) * float(self._sampler(group.base).count) for group in self.groups])

    def sample(self, count: int, random: Generator) -> Rows:
        """Legal members as rows, see `NestSpace.sample`."""
        space = self.space
        if not self._weights.sum():
            raise MappingError(f"no mapping of {space.problem.name} fits {space.hierarchy.name}", space.census())
        found: list[Rows] = []
        kept = tried = 0
        while kept < count:
            share = max(kept, 1) / tried if tried else 1.0
            rows = self._drawn(int(min(max((count - kept) / share, LEAST_ROUND), LARGEST_ROUND)), random)
            tried += len(rows)
            found.append(rows[self._fit(rows)])
            kept += len(found[-1])
            if tried > MOST_DRAWS and not kept:
                raise MappingError(f"none of {tried:,} mappings drawn fits {space.hierarchy.name}", space.census())
        return np.concatenate(found)[:count] if found else self._drawn(0, random)

    def _drawn(self, count: int, random: Generator) -> Rows:
        """Rows whose tiles fit at least the base of their group."""
        space = self.space
        drawn = random.choice(len(self.groups), size=count, p=self._weights / self._weights.sum())
        rows = np.empty((count, space.genes), np.int64)
        for level, orders in enumerate(space.orders):
            rows[:, level] = random.integers(0, len(orders), count)
        for number in np.unique(drawn):
            group = self.groups[int(number)]
            where = np.flatnonzero(drawn == number)
            rows[where, space.levels] = group.numbers[random.integers(0, len(group.numbers), len(where))]
            units = self._sampler(group.base).draw(len(where), random)
            for position, dim in enumerate(space.dims):
                sizes = space.grid(group.base, dim).elements(units[:, :, position])
                for level in range(space.levels - 1):
                    rows[where, space.gene(level, position)] = sizes[:, level]
        return rows

    def _fit(self, rows: Rows) -> Bools:
        """Which of the drawn rows fit their own outer choice.

        Where partial sums take more room, the kernel is asked only for rows that fit without them and not with them.
        """
        space = self.space
        good, open_ = np.ones(len(rows), bool), np.zeros(len(rows), bool)
        bases = {group.base for group in self.groups}
        one_level_each = len({memory.place for memory in space.hierarchy.memories}) == len(space.hierarchy.memories)
        for number in np.unique(rows[:, space.levels]):
            choice = space.variants[int(number)]
            where = np.flatnonzero(rows[:, space.levels] == number)
            if choice not in bases:
                good[where] = self._roomy(choice, rows[where], partial=False)
            if space.needs_kernel(choice):
                some = where[good[where]]
                open_[some] = ~self._roomy(choice, rows[some], partial=True) if one_level_each else True
        if open_.any():
            good[open_] = space.costs(rows[open_]).valid
        return good

    def _roomy(self, choice: Choice, rows: Rows, *, partial: bool) -> Bools:
        """Whether tiles fit memory by memory."""
        space = self.space
        good = np.ones(len(rows), bool)
        for level in range(1, space.levels):
            rule = space.fits(choice, level, partial=partial)
            if rule is not None:
                columns = [rows[:, space.gene(level - 1, at)] for at in range(len(space.dims))]
                units = [space.grid(choice, dim).unit for dim in space.dims]
                good &= rule[0]([-(-column // unit) for column, unit in zip(columns, units, strict=True)])
        return good


def _groups(variants: tuple[Choice, ...]) -> Iterator[_Group]:
    """Choices that differ in second copies alone, where one of them has only those that all have."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for number, variant in enumerate(variants):
        alike.setdefault((variant.kept, variant.spatial), []).append(number)
    for numbers in alike.values():
        doubled = [variants[number].doubled for number in numbers]
        common = tuple(reduce(frozenset.intersection, sets) for sets in zip(*doubled, strict=True))
        base = replace(variants[numbers[0]], doubled=common)
        if base.doubled in doubled:
            yield _Group(base, np.array(numbers, np.int64))
        else:
            yield from (_Group(variants[number], np.array([number], np.int64)) for number in numbers)
