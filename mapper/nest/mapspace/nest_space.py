"""The mapspace of a problem on a machine: its axes and their sizes, what is legal in it, and draws from it.

A member is a row of integers: the position of each level's loop order, the position of the outer choice (keep sets,
spatial loops, buffering), and the tile sizes T1 .. T(L-1) of every dimension, level by level. Rows are legal if every
tile is cut from the one outside it, the memories hold what they keep, and all constraints are met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.random import Generator

from mapper.errors import MappingError, Violation
from mapper.mapping.loop_nest import LoopNest
from mapper.nest.bounds.chain_tables import Grid
from mapper.nest.mapspace import members
from mapper.nest.mapspace.constraints import FREE, Constraints
from mapper.nest.mapspace.members import MemberCosts
from mapper.nest.mapspace.tile_lattice import Lattice
from mapper.nest.mapspace.tile_sampler import Steps
from mapper.nest.mapspace.uniform_sampling import Draws
from mapper.nest.mapspace.variants import Choice, Unrolling, bufferings, keep_sets, spatial_level, spreads
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.capacity import block_sizes, tile_words
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem
from mapper.nest.model.transfers import partial_words
from simulator.arrays import Bools, Floats, Rows


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the space and how many choices it has."""

    name: str
    size: int
    text: str


class NestSpace:
    """All loop nests of a problem on a hierarchy that constraints leave.

    Parameters
    ----------
    problem, hierarchy, accounting
        What runs where, and what counts how. An accounting with ``ragged="perfect"`` has perfect factors only.
    constraints
        What is left; free by default.
    perfect
        Whether every tile divides the one outside it.
    units
        Granularity of the tiles by dimension [elements]; by default what the array takes at once, and 1 for dimensions
        that are not spread.
    most_units
        Where a dimension would have more units than this, those that are not given are coarser: 16, 64, .. elements.
    spatial
        ``"full"``: each axis of the array takes as much of its dimension as it can; ``"free"``: any part.
    bypass
        Memories that any tensor they may keep may also pass by. Elsewhere every memory keeps what it may.

    Raises
    ------
    MappingError
        For constraints that name something unknown, contradict each other, or leave no chain of tiles.
    """

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
        self._check(bypass)
        self.lattice = Lattice(problem, hierarchy, self.constraints, self.levels, self.perfect, units or {}, most_units)
        self.variants = self._variants(dict.fromkeys(bypass, True))
        self.orders = tuple(
            self.constraints.rule(memory.name).order.of(self.dims) for memory in hierarchy.memories[: self.levels]
        )
        self.lattice.require_chains(self.variants)

    def _check(self, bypass: Sequence[str]) -> None:
        self.constraints.check(self.problem, self.hierarchy)
        for name in bypass:
            self.hierarchy.index(name)
        for memory in self.hierarchy.memories[self.levels :]:
            rule = self.constraints.rule(memory.name)
            if rule.tile or rule.factor or rule.order.any or rule.order.never:
                raise MappingError(f"constraints: {memory.name} has no loops of its own in this mapspace")

    def _variants(self, bypass: Mapping[str, bool]) -> tuple[Choice, ...]:
        found = [
            Choice(kept, spread, doubled)
            for kept in keep_sets(self.hierarchy, self.constraints, bypass)
            for spread in spreads(self.problem, self.hierarchy, self.constraints, self.spatial, self.perfect)
            for doubled in bufferings(self.hierarchy, self.accounting, self.constraints, kept)
        ]
        if not found:
            raise MappingError(
                "constraints: keep and double_buffer leave no common choice: only kept tensors have copies"
            )
        return tuple(found)

    def grid(self, choice: Choice, dim: str) -> Grid:
        """Sizes that the tiles of a dimension may have under a choice."""
        return self.lattice.grid(choice, dim)

    def steps(self, choice: Choice, dim: str) -> Steps:
        """The same for draws."""
        return self.lattice.steps(choice, dim)

    # Sizes.

    @cached_property
    def order_tables(self) -> tuple[Rows, ...]:
        """Per level (orders, dimensions): positions of the dimensions, outer to inner."""
        place = {dim: position for position, dim in enumerate(self.dims)}
        return tuple(np.array([[place[dim] for dim in order] for order in orders]) for orders in self.orders)

    @cached_property
    def order_count(self) -> int:
        """Combinations of loop orders."""
        return prod(len(orders) for orders in self.orders)

    @cached_property
    def total(self) -> int:
        """Members, whether or not the memories hold them. Exact."""
        tiles = sum(prod(self.lattice.chains(variant, dim) for dim in self.dims) for variant in self.variants)
        return tiles * self.order_count

    @property
    def size(self) -> int:
        """Members, legal or not."""
        return self.total

    def valid(self) -> int | None:
        """Members that the memories hold, counted exactly; None where the count would not be.

        That is where partial sums may come to a memory of narrower words, or several levels share one room.
        """
        if any(self.needs_kernel(variant) for variant in self.variants):
            return None
        if not all(isinstance(count, int) for count in self._draws.counts):
            return None
        return int(sum(self._draws.counts)) * self.order_count

    def axes(self) -> tuple[Axis, ...]:
        """The axes; with several outer choices, tile chains are those of the first."""
        first = self.variants[0]
        kinds = (
            "perfect factors" if self.perfect else "tiles of any size, loaded at one loop position (static hoisting)"
        )
        chains = [self.lattice.chains(first, dim) for dim in self.dims]
        text = ", ".join(
            f"{dim} {count:,} (units of {self.grid(first, dim).unit})"
            for dim, count in zip(self.dims, chains, strict=True)
        )
        orders = " x ".join(f"{len(some):,}" for some in self.orders)
        keeps = len({variant.kept for variant in self.variants})
        spreads_ = len({variant.spatial for variant in self.variants})
        pairs = {(variant.kept, variant.spatial) for variant in self.variants}
        return (
            Axis("tiles", prod(chains), f"{kinds}: {text}"),
            Axis("orders", self.order_count, f"{orders} of {self.levels} levels"),
            Axis("spatial", spreads_, f"{self.spatial} array"),
            Axis("bypass", keeps, self._keep_text()),
            Axis("buffering", max(1, len(self.variants) // len(pairs)), "sets of second copies"),
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
        """The axes, their sizes and the product as text."""
        axes = self.axes()
        lines = [f"{axis.name:<10}{axis.size:>24,}  {axis.text}" for axis in axes]
        uniform = prod(axis.size for axis in axes) == self.total
        return "\n".join([*lines, f"{'product' if uniform else 'members':<10}{self.total:>24,}"])

    def needs_kernel(self, choice: Choice) -> bool:
        """Whether a level's tiles alone do not say what fits.

        So it is with partial sums in a memory of narrower words (their room depends on the loop order), and with levels
        that share one room.
        """
        return any(
            "output" in kept
            and partial_words(self.hierarchy, level, self.accounting) > 1
            and memory.entries is not None
            for level, (kept, memory) in enumerate(zip(choice.kept, self.hierarchy.memories, strict=True))
            if level > 0
        )

    # Draws.

    @cached_property
    def _draws(self) -> Draws:
        return Draws(self)

    def fits(
        self, choice: Choice, level: int, *, partial: bool = False
    ) -> tuple[Callable[[Sequence[Rows]], Bools], frozenset[int]] | None:
        """Whether the tiles of one level fit its memory, of sizes in units; and the dimensions this depends on.

        Output elements are final values, or partial sums with ``partial``: the most room that they can take.
        """
        memory = self.hierarchy.memories[level]
        if level == 1 and not self._registers_fit(choice):
            return (lambda sizes: np.zeros(np.broadcast_shapes(*(np.shape(size) for size in sizes)), bool)), frozenset()
        if memory.entries is None or not choice.kept[level]:
            return None
        grids = [self.grid(choice, dim) for dim in self.dims]
        tensors = [self.problem.tensor(name) for name in sorted(choice.kept[level])]
        used = frozenset(index for index, dim in enumerate(self.dims) if any(dim in t.dims for t in tensors))

        def fits(sizes: Sequence[Rows]) -> Bools:
            elements = {dim: grids[i].elements(sizes[i]).astype(np.float64) for i, dim in enumerate(self.dims)}
            return np.asarray(self._words(choice, level, elements, partial) <= float(memory.entries or 0))

        return fits, used

    def _registers_fit(self, choice: Choice) -> bool:
        """Whether the memories inside the array hold one element of each tensor that they keep."""
        inside = list(enumerate(self.hierarchy.memories))[self.levels :]
        return all(memory.entries is None or len(choice.kept[level]) <= memory.entries for level, memory in inside)

    def _words(self, choice: Choice, level: int, elements: Mapping[str, Floats], partial: bool = False) -> Floats:
        """Words that tiles of these sizes take at a level; output elements as final values or as partial sums."""
        blocks = block_sizes(choice.spatial, level, self.accounting)
        total: Floats = np.zeros(())
        for name in sorted(choice.kept[level]):
            tensor = self.problem.tensor(name)
            rounded = {
                dim: np.ceil(elements[dim] / blocks[dim]) * blocks[dim] if dim in blocks else elements[dim]
                for dim in tensor.dims
            }
            words = np.asarray(tile_words(tensor, rounded))
            if partial and name == "output":
                words = words * partial_words(self.hierarchy, level, self.accounting)
            if self.accounting.double_buffer_capacity and name in choice.doubled[level]:
                whole = np.bool_(True)
                for dim in tensor.dims:
                    whole = whole & (elements[dim] == self.problem.size(dim))
                words = np.where(whole, words, 2.0 * words)
            total = total + words
        return total

    def sample(self, count: int, random: Generator) -> Rows:
        """Legal members as rows, drawn uniformly from all legal ones.

        Tiles are drawn by `TileSampler`; outer choices that differ in second copies alone share a table, and what does
        not fit after all is drawn again (`mapper.nest.mapspace.uniform_sampling`).

        Raises
        ------
        MappingError
            When there is none, with the census of what failed; when counts need more than 320 MB.
        """
        return self._draws.sample(count, random)

    @property
    def genes(self) -> int:
        """Columns of a row."""
        return self.levels + 1 + (self.levels - 1) * len(self.dims)

    def gene(self, level: int, dim: int) -> int:
        """Column of a tile size."""
        return self.levels + 1 + level * len(self.dims) + dim

    # Members.

    def costs(self, rows: Rows) -> MemberCosts:
        """Cycles, energy and room of rows, as `mapper.nest.model.cost.evaluate` says."""
        return members.costs(self, rows)

    def legal(self, rows: Rows) -> Bools:
        """Which rows are members that fit."""
        return members.legal(self, rows)

    def walk(self, most: int = 16_384) -> Iterator[Rows]:
        """Every legal member, at most ``most`` at a time, in a fixed order."""
        return members.walk(self, most)

    def mapping(self, row: Sequence[int]) -> LoopNest:
        """The loop nest of a row."""
        return members.mapping_of(self, row)

    def row(self, mapping: LoopNest) -> tuple[int, ...]:
        """The row of a loop nest; a `MappingError` says what is outside the space."""
        return members.row_of(self, mapping)

    def violations(self, mapping: LoopNest) -> list[Violation]:
        """Broken inequalities of a loop nest: rules of the nest, rooms, constraints. Empty for a legal member."""
        return members.violations(self, mapping)

    def census(self) -> list[Violation]:
        """Why nothing fits: for every memory too small for the smallest tiles, what they need."""
        found: dict[str, Violation] = {}
        for variant in self.variants:
            for level, memory in enumerate(self.hierarchy.memories[: self.levels]):
                if level == 0 or memory.entries is None:
                    continue
                least = self._least_words(variant, level)
                if least > memory.entries and (memory.name not in found or least < found[memory.name].demand):
                    tensors = ", ".join(sorted(variant.kept[level]))
                    found[memory.name] = Violation(
                        f"the smallest tile of {tensors}", memory.name, least, memory.entries, "words",
                        "enlarge the memory, free constraints or, where the dimension allows, take finer units",
                    )  # fmt: skip
                    continue
        return list(found.values())

    def require_room(self) -> None:
        """Raise a `MappingError` with the census where no outer choice has room for its smallest tiles."""
        bounded = [(level, memory) for level, memory in enumerate(self.hierarchy.memories[: self.levels]) if level]
        for variant in self.variants:
            if all(
                memory.entries is None or self._least_words(variant, level) <= memory.entries
                for level, memory in bounded
            ):
                return
        raise MappingError(f"no mapping of {self.problem.name} fits {self.hierarchy.name}", self.census())

    def _least_words(self, choice: Choice, level: int) -> int:
        sizes = {}
        for dim in self.dims:
            steps, grid = self.steps(choice, dim), self.grid(choice, dim)
            allowed = steps.values[steps.masks[level - 1]]
            sizes[dim] = grid.elements(allowed[:1]).astype(np.float64)
        return int(self._words(choice, level, sizes).flat[0])
