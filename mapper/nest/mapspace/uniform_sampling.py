"""Uniform draws from a mapspace, and the exact number of what there is to draw.

Second copies only take room. So what fits with all the copies that some variants have in common contains what
fits with any of them, and one table serves them all: a draw takes one of the variants, tiles from the table, and is
taken again unless the tiles fit that variant. Every legal member is equally likely, whatever the share that is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np
from numpy.random import Generator

from mapper.errors import MappingError
from mapper.nest.mapspace.axes import NestAxes
from mapper.nest.mapspace.level_capacity import capacity_test, census, holds, needs_kernel, nothing_fits
from mapper.nest.mapspace.members import costs
from mapper.nest.mapspace.tile_sampler import TileSampler
from mapper.nest.mapspace.variants import Variant
from simulator.arrays import Bools, Floats, Rows

MOST_CELLS = 20_000_000
"""Of the tables that are kept for later draws: 160 MB."""

MOST_DRAWS = 100_000
"""Draws without any valid mapping among them after which sampling by rejection gives up."""

LEAST_ROUND, LARGEST_ROUND = 1_000, 65_536
"""Rows that are drawn at once; a first round tells how many are kept."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Variants that share a table."""

    base: Variant
    """Keep sets and spatial loops of all, with the second copies that all have; one of them."""
    numbers: Rows
    """Their positions in the list of variants."""


class UniformSampler:
    """Draws members of one mapspace."""

    def __init__(self, axes: NestAxes) -> None:
        self._axes = axes
        self._groups = tuple(_groups(axes.variants))
        self._samplers: dict[Variant, TileSampler] = {}

    def _sampler(self, variant: Variant) -> TileSampler:
        """The sampler of a variant's tiles; tables are kept as long as together they are small."""
        if variant not in self._samplers:
            if sum(sampler.cells for sampler in self._samplers.values()) > MOST_CELLS:
                self._samplers.clear()
            axes = self._axes
            steps = [axes.steps(variant, dim) for dim in axes.dims]
            fits = [capacity_test(axes, variant, level) for level in range(1, axes.levels)]
            self._samplers[variant] = TileSampler(steps, fits)
        return self._samplers[variant]

    @cached_property
    def counts(self) -> tuple[float, ...]:
        """Valid tiles per variant; an integer where exact. A table for each: seconds to minutes if large."""
        samplers = (self._sampler(variant) for variant in self._axes.variants)
        return tuple(sampler.count if sampler.is_exact else float(sampler.count) for sampler in samplers)

    @cached_property
    def _weights(self) -> Floats:
        """What may be drawn from each group, kept or not."""
        return np.array([len(group.numbers) * float(self._sampler(group.base).count) for group in self._groups])

    def sample(self, count: int, random: Generator) -> Rows:
        """Return legal members as rows, see `mapper.nest.mapspace.nest_space.NestSpace.sample`."""
        if not self._weights.sum():
            raise nothing_fits(self._axes)
        batches: list[Rows] = []
        kept = tried = 0
        while kept < count:
            # Until something is kept its share counts as one in all that was tried, so that rounds grow.
            share = max(kept, 1) / tried if tried else 1.0
            rows = self._drawn(int(min(max((count - kept) / share, LEAST_ROUND), LARGEST_ROUND)), random)
            tried += len(rows)
            batches.append(rows[self._fit(rows)])
            kept += len(batches[-1])
            if tried > MOST_DRAWS and not kept:
                machine = self._axes.hierarchy.name
                raise MappingError(f"none of {tried:,} mappings drawn fits {machine}", census(self._axes))
        return np.concatenate(batches)[:count] if batches else self._drawn(0, random)

    def _drawn(self, count: int, random: Generator) -> Rows:
        """Rows whose tiles fit at least the base of their group."""
        axes = self._axes
        group_of = random.choice(len(self._groups), size=count, p=self._weights / self._weights.sum())
        rows = np.empty((count, axes.genes), np.int64)
        for level, orders in enumerate(axes.orders):
            rows[:, level] = random.integers(0, len(orders), count)
        for number in np.unique(group_of):
            group = self._groups[int(number)]
            where = np.flatnonzero(group_of == number)
            rows[where, axes.levels] = group.numbers[random.integers(0, len(group.numbers), len(where))]
            units = self._sampler(group.base).draw(len(where), random)
            for position, dim in enumerate(axes.dims):
                sizes = axes.grid(group.base, dim).elements(units[:, :, position])
                for level in range(axes.levels - 1):
                    rows[where, axes.gene(level, position)] = sizes[:, level]
        return rows

    def _fit(self, rows: Rows) -> Bools:
        """Which of the drawn rows fit their own variant.

        Where partial sums take more room, the kernel is asked only for rows that fit without them and not with them.
        """
        axes = self._axes
        good, undecided = np.ones(len(rows), bool), np.zeros(len(rows), bool)
        bases = {group.base for group in self._groups}
        machine = axes.hierarchy
        shares_memory = len({memory.physical for memory in machine.memories}) < len(machine.memories)
        for number in np.unique(rows[:, axes.levels]):
            variant = axes.variants[int(number)]
            where = np.flatnonzero(rows[:, axes.levels] == number)
            if variant not in bases:
                good[where] = holds(axes, variant, self._units(variant, rows[where]))
            if needs_kernel(axes, variant):
                fitting = where[good[where]]
                units = self._units(variant, rows[fitting])
                undecided[fitting] = True if shares_memory else ~holds(axes, variant, units, partial=True)
        if undecided.any():
            good[undecided] = costs(axes, rows[undecided]).valid
        return good

    def _units(self, variant: Variant, rows: Rows) -> Rows:
        """(rows, levels - 1, dimensions): tiles of the rows [units]."""
        axes = self._axes
        tiles = rows[:, axes.levels + 1 :].reshape(len(rows), axes.levels - 1, len(axes.dims))
        units: Rows = -(-tiles // np.array([axes.grid(variant, dim).unit for dim in axes.dims]))
        return units


def _groups(variants: tuple[Variant, ...]) -> Iterator[_Group]:
    """Variants that differ in second copies alone, where one of them has only those that all have."""
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
