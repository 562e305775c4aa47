"""What a search knows of a mapspace: candidates are rows of integers; the space draws, varies, mixes and prices them.

Two spaces fit: Gemmini's hardware loops (`mapper.search.spaces.hardware_loops`) and loop nests
(`mapper.search.spaces.loop_nests`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.random import Generator

from mapper.cost.costs import Costs
from mapper.cost.objective import GOALS, Goal, objective_value
from mapper.errors import MappingError
from mapper.mapping.loop_nest import LoopNest
from simulator.arrays import Bools, Rows


@dataclass(frozen=True, slots=True)
class Floor:
    """What no candidate of a space is below."""

    cycles: float
    energy_pj: float

    def of(self, goal: Goal) -> float:
        """Return the bound of an objective; of ``"pareto"`` that of the EDP [cycles, pJ or their product]."""
        return objective_value(goal, self.cycles, self.energy_pj)


class Scope(NamedTuple):
    """What a search of a space is about, for the sentence that states its result."""

    population: str
    """How many members of which kind are searched: ``"9,000 nests"``."""
    premises: str = ""
    """What the result holds for, if the sentence is to say so."""
    details: Mapping[str, object] = {}
    """The same as plain data."""


class Space(Protocol):
    """A mapspace as a search meets it. All random numbers come from the generator that is passed in."""

    @property
    def size(self) -> int:
        """Candidates, legal or not."""

    def describe(self) -> str:
        """Return the axes, their sizes and the product as one line."""

    def scope(self) -> Scope:
        """Return what a statement about the space needs to say."""

    def sample(self, count: int, random: Generator) -> Rows:
        """Return legal candidates, each drawn uniformly from all legal ones.

        Raises
        ------
        MappingError
            When there is none, with the census of what failed.
        """

    def neighbours(self, rows: Rows, random: Generator) -> Rows:
        """Return one legal candidate near each."""

    def crossover(self, left: Rows, right: Rows, random: Generator) -> Rows:
        """Return one legal candidate with choices of both, for each pair."""

    def legal(self, rows: Rows) -> Bools:
        """Tell which rows are legal candidates."""

    def walk(self, most: int) -> Iterator[Rows]:
        """Yield every legal candidate that no other one dominates, at most ``most`` at a time, in a fixed order."""

    def costs(self, rows: Rows) -> Costs:
        """Return what candidates cost; a row's costs do not depend on the others beside it."""

    def floor(self) -> Floor:
        """Return proved lower bounds."""

    def mapping(self, row: tuple[int, ...]) -> LoopNest:
        """Return the mapping that a row stands for."""


def require_goal(goal: str, allowed: Sequence[Goal] = GOALS) -> None:
    """Raise a `MappingError` for a goal that is not among those allowed."""
    if goal not in allowed:
        raise MappingError(f"unknown objective {goal!r}; use {', '.join(allowed)}")


def names(rows: Rows) -> list[bytes]:
    """Return one hashable name per candidate."""
    width = rows.shape[1] * rows.itemsize
    data = np.ascontiguousarray(rows).tobytes()
    return [data[at : at + width] for at in range(0, len(data), width)]
