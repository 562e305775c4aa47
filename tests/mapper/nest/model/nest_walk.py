"""A naive interpreter of loop nests: walks every iteration and records which elements move.

Nothing here counts by formula. A tensor's tile is moved at one fixed place of the nest ("static hoisting"): the loops
outside its copy, without the innermost run of those that leave the tile in place (irrelevant to the tensor, or one trip
when the outer tile is whole). There, for every instance, the elements of the tile are collected as a set.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from mapper.mapping.loop_nest import LoopNest
from mapper.nest.model.problem import TENSORS, NestProblem

Box = tuple[tuple[int, int], ...]
"""[first, after the last) per dimension."""
Place = tuple[int, ...]
"""Coordinates of an instance: one per spatial loop outside it."""
Element = tuple[int, ...]
"""Indices of one element of a tensor."""
Elements = frozenset[Element]
Key = tuple[int, str, str]
"""(level, tensor, kind); kinds are read, fill, update, drain, first (visits that bring nothing in)."""


@dataclass(frozen=True)
class Step:
    level: int
    dim: int
    tile: int
    is_spatial: bool
    trips: int
    """Of the largest tile."""
    parts: int = 0
    """Instances that a spatial loop may use."""


@dataclass
class Walked:
    """What moved."""

    counts: dict[Key, Counter[Place]] = field(default_factory=lambda: defaultdict(Counter))
    """Words by instance."""
    tiles: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    """Largest tile of an instance."""
    finals: dict[int, int] = field(default_factory=dict)
    """Output elements of which a level gets the complete value: none if instances share the reduction."""
    macs: int = 0
    steps: int = 0

    def total(self, level: int, tensor: str, kind: str) -> int:
        return sum(self.counts[level, tensor, kind].values())

    def outputs(self, level: int, counted: str) -> int:
        """Elements of the output that ``level`` saw: a kind of access, or

        fresh           visits from inside that bring the first value of an element
        finals          elements of which the level gets the complete value
        drained finals  the same, if it hands them outward
        """
        drained = self.total(level, "output", "drain")
        derived = {
            "fresh": self.total(level, "output", "update") - self.total(level, "output", "read"),
            "finals": self.finals[level],
            "drained finals": self.finals[level] if drained else 0,
        }
        return derived[counted] if counted in derived else self.total(level, "output", counted)

    def busiest(self, level: int, tensor: str, kind: str) -> int:
        return max(self.counts[level, tensor, kind].values(), default=0)


class Interpreter:
    """Of one mapping whose spatial loops lie inside the temporal loops of their level."""

    def __init__(self, problem: NestProblem, mapping: LoopNest) -> None:
        self.problem = problem
        self.index = {dim: place for place, dim in enumerate(problem.names)}
        self.kept = [level.kept for level in mapping.levels]
        self.loops = self._steps(mapping)
        self.whole: Box = tuple((0, size) for _, size in problem.dims)

    def _steps(self, mapping: LoopNest) -> list[Step]:
        extent = self.problem.sizes
        steps = []
        for place, level in enumerate(mapping.levels):
            for loop in level.temporal:
                trips = -(-extent[loop.dim] // loop.tile)
                steps.append(Step(place, self.index[loop.dim], loop.tile, False, trips))
                extent[loop.dim] = loop.tile
            for spread in level.spatial:
                tile = -(-extent[spread.dim] // spread.size)
                trips = -(-extent[spread.dim] // tile)
                steps.append(Step(place, self.index[spread.dim], tile, True, trips, spread.size))
                extent[spread.dim] = tile
        assert set(extent.values()) == {1}
        return steps

    def run(self) -> Walked:
        walked = Walked()
        walked.macs = len(self._iterations(self.loops, self.whole))
        walked.steps = self.time(0, self.whole)
        for tensor in TENSORS:
            levels = [level for level, names in enumerate(self.kept) if tensor in names]
            for level in levels:
                self._held(walked, tensor, level)
            for parent, child in zip(levels, [*levels[1:], len(self.kept)], strict=True):
                self._pair(walked, tensor, parent, child)
        return walked

    def position(self, tensor: str, child: int) -> int:
        """Number of loops outside the place where the tile of ``tensor`` is moved to ``child``."""
        outside = [(place, loop) for place, loop in enumerate(self.loops) if loop.level < child and not loop.is_spatial]
        if child < len(self.kept):
            while outside and (not self._relevant(tensor, outside[-1][1]) or outside[-1][1].trips == 1):
                outside.pop()
        return outside[-1][0] + 1 if outside else 0

    def time(self, place: int, box: Box, least: int = 0, position: int = -1) -> int:
        """Steps of the array from loop ``place`` in: trips add up, instances wait for the slowest."""
        shapes = tuple(last - first for first, last in box)
        return self._time(place, shapes, least, position)

    @cache  # noqa: B019 - an interpreter lives as long as one example
    def _time(self, place: int, shape: tuple[int, ...], least: int, position: int) -> int:
        if place == position:
            return max(least, self._time(place, shape, 0, -1))
        if place == len(self.loops):
            return 1
        loop = self.loops[place]
        box = tuple((0, size) for size in shape)
        inner = [
            self._time(place + 1, tuple(last - first for first, last in part), least, position)
            for _, part in self._parts(loop, box)
        ]
        return max(inner) if loop.is_spatial else sum(inner)

    def _relevant(self, tensor: str, loop: Step) -> bool:
        return self.problem.names[loop.dim] in self.problem.relevant(tensor)

    @staticmethod
    def _parts(loop: Step, box: Box) -> Iterator[tuple[int, Box]]:
        first, last = box[loop.dim]
        for trip, start in enumerate(range(first, last, loop.tile)):
            yield trip, (*box[: loop.dim], (start, min(start + loop.tile, last)), *box[loop.dim + 1 :])

    def _iterations(self, loops: list[Step], box: Box) -> list[tuple[Place, Box]]:
        """(trips, tile) of every iteration of ``loops``, in the order of the walk."""
        iterations: list[tuple[Place, Box]] = [((), box)]
        for loop in loops:
            iterations = [
                ((*trips, trip), part) for trips, tile in iterations for trip, part in self._parts(loop, tile)
            ]
        return iterations

    @cache  # noqa: B019
    def _elements(self, tensor: str, box: Box) -> Elements:
        axes = []
        for axis in self.problem.tensor(tensor).axes:
            ranges = [[factor * value for value in range(*box[self.index[dim]])] for dim, factor in axis.terms]
            axes.append({sum(values) for values in itertools.product(*ranges)})
        return frozenset(itertools.product(*axes))

    def _held(self, walked: Walked, tensor: str, level: int) -> None:
        for _, box in self._iterations([loop for loop in self.loops if loop.level < level], self.whole):
            walked.tiles[level, tensor] = max(walked.tiles[level, tensor], len(self._elements(tensor, box)))

    def _pair(self, walked: Walked, tensor: str, parent: int, child: int) -> None:
        """Everything that crosses between two neighbouring copies, in the order of the walk."""
        outside = [(place, loop) for place, loop in enumerate(self.loops) if loop.level < child]
        position = self.position(tensor, child)
        loops = [loop for _, loop in outside]
        arrivals: dict[Place, dict[Place, Elements]] = defaultdict(lambda: defaultdict(frozenset))
        for trips, box in self._iterations(loops, self.whole):
            visit = tuple(
                trip
                for trip, (place, loop) in zip(trips, outside, strict=True)
                if not loop.is_spatial and place < position
            )
            where = tuple(trip for trip, loop in zip(trips, loops, strict=True) if loop.is_spatial)
            arrivals[visit][where] |= self._elements(tensor, box)
        spatial = [loop for loop in loops if loop.is_spatial]
        shared = sum(loop.level < parent for loop in spatial)
        visited_inside: dict[Place, set[Element]] = defaultdict(set)
        visited_outside: dict[Place, set[Element]] = defaultdict(set)
        keep = [loop.level < parent or self._relevant(tensor, loop) for loop in spatial]
        for instances in arrivals.values():
            sent: dict[Place, Elements] = defaultdict(frozenset)
            for where, elements in instances.items():
                sent[tuple(trip if own else 0 for trip, own in zip(where, keep, strict=True))] |= elements
                if child < len(self.kept):
                    self._arrive(walked, (child, tensor), where, elements, visited_inside[where])
            for where, elements in sent.items():
                self._leave(walked, (parent, tensor), where[:shared], elements, visited_outside[where[:shared]])
        if tensor == "output":
            split = any(loop.level < parent and loop.parts > 1 and not self._relevant(tensor, loop) for loop in spatial)
            walked.finals[parent] = 0 if split else sum(len(elements) for elements in visited_outside.values())

    @staticmethod
    def _arrive(walked: Walked, at: tuple[int, str], where: Place, elements: Elements, visited: set[Element]) -> None:
        if at[1] == "output":
            walked.counts[*at, "drain"][where] += len(elements)
            walked.counts[*at, "fill"][where] += len(elements & visited)
            walked.counts[*at, "first"][where] += len(elements - visited)
            visited |= elements
        else:
            walked.counts[*at, "fill"][where] += len(elements)

    @staticmethod
    def _leave(walked: Walked, at: tuple[int, str], where: Place, elements: Elements, visited: set[Element]) -> None:
        if at[1] == "output":
            walked.counts[*at, "update"][where] += len(elements)
            walked.counts[*at, "read"][where] += len(elements & visited)
            visited |= elements
        else:
            walked.counts[*at, "read"][where] += len(elements)
