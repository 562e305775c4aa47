"""The mapspace of a problem on a machine: what is in it, what its members cost, and draws from it.

The axes say what is free (`mapper.nest.mapspace.axes`), members are rows of integers on them
(`mapper.nest.mapspace.members`). Rows are legal if every tile is cut from the one outside it, the memories hold what
they keep, and all constraints are met.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from numpy.random import Generator

from mapper.errors import Violation
from mapper.mapping.loop_nest import LoopNest
from mapper.nest.mapspace import enumeration, level_capacity, members, violations
from mapper.nest.mapspace.axes import NestAxes
from mapper.nest.mapspace.constraints import Constraints
from mapper.nest.mapspace.members import MemberCosts
from mapper.nest.mapspace.uniform_sampling import UniformSampler
from mapper.nest.mapspace.variants import Unrolling
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem
from simulator.arrays import Bools, Rows


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
        self.axes = NestAxes(
            problem, hierarchy, accounting, constraints, perfect=perfect, units=units, most_units=most_units,
            spatial=spatial, bypass=bypass,
        )  # fmt: skip
        self.problem, self.hierarchy, self.accounting = problem, hierarchy, accounting

    @cached_property
    def _sampler(self) -> UniformSampler:
        return UniformSampler(self.axes)

    @property
    def total(self) -> int:
        """Members, whether or not the memories hold them. Exact."""
        return self.axes.total

    def valid(self) -> int | None:
        """Return the number of members that the memories hold, counted exactly; None where the count would not be.

        That is where partial sums may come to a memory of narrower words, or several levels share one memory.
        """
        if any(level_capacity.needs_kernel(self.axes, variant) for variant in self.axes.variants):
            return None
        counts = self._sampler.counts
        exact = [count for count in counts if isinstance(count, int)]
        return sum(exact) * self.axes.order_count if len(exact) == len(counts) else None

    def describe(self) -> str:
        """Return the axes, their sizes and the product as text."""
        return self.axes.describe()

    def sample(self, count: int, random: Generator) -> Rows:
        """Return legal members as rows, drawn uniformly from all legal ones.

        Tiles are drawn by `TileSampler`; variants that differ in second copies alone share a table, and what does not
        fit after all is drawn again (`mapper.nest.mapspace.uniform_sampling`).

        Raises
        ------
        MappingError
            When there is none, with the census of what failed; when counts need more than 320 MB.
        """
        return self._sampler.sample(count, random)

    def costs(self, rows: Rows) -> MemberCosts:
        """Return cycles, energy and room of rows, as `mapper.nest.model.cost.evaluate` says."""
        return members.costs(self.axes, rows)

    def legal(self, rows: Rows) -> Bools:
        """Return which rows are members that fit."""
        return members.legal(self.axes, rows)

    def walk(self, most: int = 16_384) -> Iterator[Rows]:
        """Yield every legal member, at most ``most`` at a time, in a fixed order."""
        return enumeration.walk(self.axes, most)

    def mapping(self, row: Sequence[int]) -> LoopNest:
        """Return the loop nest of a row."""
        return members.mapping_of(self.axes, row)

    def row(self, mapping: LoopNest) -> tuple[int, ...]:
        """Return the row of a loop nest; a `MappingError` says what is outside the space."""
        return members.row_of(self.axes, mapping)

    def violations(self, mapping: LoopNest) -> list[Violation]:
        """Return the broken inequalities of a loop nest: rules of the nest, rooms, constraints; none if it is legal."""
        return violations.violations(self.axes, mapping)

    def census(self) -> list[Violation]:
        """Return why nothing fits: for every memory too small for the smallest tiles, what they need."""
        return level_capacity.census(self.axes)

    def require_room(self) -> None:
        """Raise a `MappingError` with the census where no variant has room for its smallest tiles."""
        level_capacity.require_room(self.axes)
