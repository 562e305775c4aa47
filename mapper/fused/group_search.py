"""The best tree of one group of operators, with proof.

Shared tiles decide how much of the scratchpad each operator has left; after that operators are independent and their
costs add. So for every structure (`mapper.fused.structures`) and every step of its loops, all at once as columns, the
nests of each operator give a least energy and a least time. Where one nest has both, the row has one point; elsewhere
the sums bound it, and only rows whose bound no found point beats are combined nest by nest. What is left out is worse,
so the front, and with it each optimum, holds for the mapspace that `MAPSPACE` states.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from mapper.errors import MappingError
from mapper.fused.blocks import StepGrid
from mapper.fused.einsum import FusedGraph
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.leaf_choices import Choice
from mapper.fused.placement_columns import PlacementColumns
from mapper.fused.rules import STRICT, Rules
from mapper.fused.structures import Structure, placements, residencies
from mapper.nest.bounds.pareto import staircase
from simulator.arrays import Bools, Floats, Ints

MAPSPACE = (
    "groups whose inner tensors stay in the scratchpad; at most two shared loops around a group besides those over "
    "what all its tensors have, any step of a single one up to 4,096, one for each number of trips beyond that and "
    "of two; columns in multiples of the array; every operand of a nest at its own place"
)

FIRST_ROWS = 2_048
"""Rows priced at first: few, because their points rule out most of the others."""


@dataclass(frozen=True)
class TreePoint:
    """Costs of one tree, and what is needed to build it."""

    cycles: float
    energy: float
    structure: Structure
    steps: tuple[float, ...]
    """Of the shared loops."""
    parts: tuple[tuple[float, float], ...]
    """(cycles, energy) by operator."""


@dataclass
class GroupFront:
    """Points that no other one beats in cycles and energy at once, fewest cycles first."""

    points: list[TreePoint] = field(default_factory=list)
    rows: int = 0
    """Nests priced."""
    structures: int = 0

    def add(self, found: Sequence[TreePoint]) -> None:
        """Take in points; of equals the first found stays."""
        every = [*self.points, *found]
        if not found:
            return
        cycles = np.array([point.cycles for point in every])
        energy = np.array([point.energy for point in every])
        self.points = [every[row] for row in staircase(cycles, energy)]

    def beaten(self, cycles: Floats, energy: Floats) -> Bools:
        """Return which bounds no better point can hide behind."""
        if not self.points:
            return np.zeros(len(cycles), bool)
        own_cycles = np.array([point.cycles for point in self.points])
        own_energy = np.array([point.energy for point in self.points])
        slowest = np.searchsorted(own_cycles, cycles, side="right") - 1
        result: Bools = (slowest >= 0) & (own_energy[np.maximum(slowest, 0)] <= energy)
        return result


def search_group(
    graph: FusedGraph,
    machine: FlatMachine,
    rules: Rules = STRICT,
    *,
    deadline: float | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> GroupFront:
    """Return the front of cycles and energy of a group; empty if nothing fits.

    Parameters
    ----------
    graph
        The operators of the group alone (`FusedGraph.group`).
    machine, rules
        Where it runs, and what a tree may do.
    deadline
        Value of `time.perf_counter` at which the search gives up.
    progress
        Hears the nests priced so far.

    Raises
    ------
    TimeoutError
        At the deadline: the front would not be proved.
    """
    front = GroupFront()
    for placement in placements(graph, rules):
        columns = PlacementColumns.of(placement, machine, rules)
        for structure in residencies(placement):
            if deadline is not None and time.perf_counter() > deadline:
                raise TimeoutError("the budget is spent")
            front.structures += 1
            for rows in _promising(structure, columns, front):
                _search_structure(structure, columns.take(rows), front)
            progress(front.rows)
    return front


def _promising(structure: Structure, columns: PlacementColumns, front: GroupFront) -> Iterator[Ints]:
    """Yield the rows of a grid whose least costs no point beats, some at a time, the most promising first."""
    left = np.flatnonzero(columns.fits(structure))
    if not len(left):
        return
    cycles, energy = columns.bounds(structure)
    left = left[np.argsort((energy * cycles)[left], kind="stable")]
    number = FIRST_ROWS
    while len(left := left[~front.beaten(cycles[left], energy[left])]):
        yield np.sort(left[:number])
        left, number = left[number:], number * 4


def _search_structure(structure: Structure, columns: PlacementColumns, front: GroupFront) -> None:
    leaves, grid = columns.choices(structure), columns.grid
    if leaves is None:
        return
    bounds = [_Bound.of(choices) for choices in leaves]
    front.rows += sum(len(choices) * len(grid) for choices in leaves)
    energy = sum((bound.energy for bound in bounds), 0.0 * grid.ones())
    cycles = sum((bound.cycles for bound in bounds), 0.0 * grid.ones())
    finite = np.isfinite(energy)
    alone = finite & np.logical_and.reduce([np.broadcast_to(bound.is_one, finite.shape) for bound in bounds])
    rows = np.flatnonzero(alone)
    rows = rows[staircase(cycles[rows], energy[rows])] if len(rows) else rows
    front.add([_point(structure, grid, row, [bound.part(row) for bound in bounds]) for row in rows.tolist()])
    # Where one nest is not best in both, sums of the least are only bounds.
    for row in np.flatnonzero(finite & ~alone)[np.argsort((energy * cycles)[finite & ~alone], kind="stable")]:
        if not front.beaten(cycles[row : row + 1], energy[row : row + 1])[0]:
            front.add(_combined(structure, grid, int(row), leaves))


@dataclass(frozen=True)
class _Bound:
    """Least energy and least cycles over the nests of one operator."""

    energy: Floats
    cycles: Floats
    is_one: Bools
    """Whether one nest has both."""

    @classmethod
    def of(cls, choices: list[Choice]) -> _Bound:
        energy = np.stack([choice.energy for choice in choices])
        cycles = np.stack([choice.cycles for choice in choices])
        least_energy, least_cycles = energy.min(axis=0), cycles.min(axis=0)
        fastest = np.where(energy <= least_energy, cycles, np.inf).min(axis=0)
        return cls(least_energy, least_cycles, fastest <= least_cycles)

    def part(self, row: int) -> tuple[float, float]:
        """(cycles, energy) of a row."""
        row = row if len(self.energy) > 1 else 0
        return float(self.cycles[row]), float(self.energy[row])


def _point(structure: Structure, grid: StepGrid, row: int, parts: list[tuple[float, float]]) -> TreePoint:
    steps = tuple(float(grid.steps[dim][row]) for dim in grid.loops)
    cycles, energy = sum(part[0] for part in parts), sum(part[1] for part in parts)
    return TreePoint(cycles, energy, structure, steps, tuple(parts))


def _combined(structure: Structure, grid: StepGrid, row: int, leaves: list[list[Choice]]) -> list[TreePoint]:
    """All points of one row that no other of the row beats."""
    fronts: list[tuple[float, float, tuple[tuple[float, float], ...]]] = [(0.0, 0.0, ())]
    for choices in leaves:
        own = _leaf_front(choices, row)
        every = [
            (cycles + part[0], energy + part[1], (*parts, part)) for cycles, energy, parts in fronts for part in own
        ]
        kept = staircase(np.array([item[0] for item in every]), np.array([item[1] for item in every]))
        fronts = [every[index] for index in kept]
    return [_point(structure, grid, row, list(parts)) for _, _, parts in fronts]


def _leaf_front(choices: list[Choice], row: int) -> list[tuple[float, float]]:
    at = [row if len(choice.energy) > 1 else 0 for choice in choices]
    cycles = np.array([float(choice.cycles[place]) for choice, place in zip(choices, at, strict=True)])
    energy = np.array([float(choice.energy[place]) for choice, place in zip(choices, at, strict=True)])
    fits = np.flatnonzero(np.isfinite(energy))
    if not len(fits):
        raise MappingError("a row of the grid without a nest")
    kept = fits[staircase(cycles[fits], energy[fits])]
    return [(float(cycles[index]), float(energy[index])) for index in kept]
