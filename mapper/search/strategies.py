"""How the mapping of a matmul is found: by a method of `mapper.search.registry`, by one of your own, or from a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.objective import Goal
from mapper.errors import MappingError
from mapper.lowering.gemmini_library import library_loop
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.mapping_file import require_for
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.hardware_loops import MapSpace
from mapper.search import registry
from mapper.search.driver import find
from mapper.search.mapping_result import FrontPoint, MappingResult, SearchInterrupted
from mapper.search.options import SearchOptions
from mapper.search.searcher import Searcher
from mapper.search.space import Space
from mapper.search.spaces.hardware_loops import LoopSpace

SearchFunction: TypeAlias = Callable[[Space, Goal, SearchOptions], MappingResult]
"""A search that is no `Searcher`: it finds a mapping without asking and telling."""

Method: TypeAlias = str | type[Searcher] | SearchFunction
"""A name of `mapper.search.registry`, or the search itself."""

Strategy: TypeAlias = Callable[[MatmulProblem, HardwareSpec, EnergyModel], MappingResult]
"""Finds the mapping of one matmul on one machine."""


def search(space: Space, goal: Goal, method: Method, options: SearchOptions | None = None) -> MappingResult:
    """Search a space of either kind by any method.

    Parameters
    ----------
    space
        What to search: `mapper.search.spaces.hardware_loops.LoopSpace`, `mapper.search.spaces.loop_nests.LoopNests`, or
        one of your own.
    goal
        ``"latency"``, ``"energy"``, ``"edp"`` or ``"pareto"``.
    method
        A name of `mapper.search.registry.METHODS`, a subclass of `Searcher`, or a function.
    options
        Budget, seed, processes, finalists and progress.

    Raises
    ------
    MappingError
        For an unknown method, when no mapping is legal, or when an option makes no sense.
    KeyboardInterrupt
        Only when nothing was found yet; later an interrupt returns the best so far.
    """
    chosen = _loaded(method) if isinstance(method, str) else method
    options = options or SearchOptions()
    if isinstance(chosen, type) and issubclass(chosen, Searcher):
        return _asked_and_told(space, goal, chosen, options)
    return cast(SearchFunction, chosen)(space, goal, options)


def _loaded(name: str) -> type[Searcher] | SearchFunction:
    method = registry.find_method(name)
    if method is None:
        raise MappingError(f"unknown search {name!r}; use {', '.join(known.name for known in registry.METHODS)}")
    return cast("type[Searcher] | SearchFunction", registry.load(method))


def _asked_and_told(space: Space, goal: Goal, kind: type[Searcher], options: SearchOptions) -> MappingResult:
    """Drive a searcher to its end and say what it found as a proof would."""
    result = find(
        space,
        goal,
        kind,
        budget=options.budget,
        seed=options.seed,
        workers=options.workers,
        progress=options.progress,
    )
    scope = space.scope()
    statement = "; ".join(filter(None, [result.statement(scope.population), scope.premises]))
    best = FrontPoint(result.mapping, result.best.cycles, result.best.energy_pj)
    return MappingResult(
        result.mapping,
        statement,
        {**result.details(), **scope.details},
        estimated=best,
        front=tuple(FrontPoint(space.mapping(row), cycles, energy) for row, cycles, energy in result.front),
        interrupted=result.status == "interrupted",
    )


def library_tile(space: Space, goal: Goal, options: SearchOptions) -> MappingResult:
    """Return the mapping that Gemmini's library would run: the greedy tile of ``tiled_matmul_auto``, not searched.

    Raises
    ------
    MappingError
        When its tile does not fit the machine, or for a mapspace of other mappings than hardware loops.
    """
    del goal, options
    if not isinstance(space, LoopSpace):
        raise MappingError("gemmini_auto is a hardware loop; it is in no other mapspace")
    maps = MapSpace(space.problem, space.spec)
    loop = library_loop(maps)
    violations = maps.violations(loop)
    if violations:
        raise MappingError(f"gemmini_auto on {space.spec.name}", violations)
    return MappingResult(maps.nest(loop), "gemmini_auto: the tile of Gemmini's library, not searched")


@dataclass(frozen=True, slots=True)
class SearchStrategy:
    """Searches the hardware loops of a matmul for one goal by one method."""

    goal: Goal = "latency"
    method: Method = registry.DEFAULT_METHOD
    options: SearchOptions = field(default_factory=SearchOptions)

    def __call__(self, problem: MatmulProblem, spec: HardwareSpec, prices: EnergyModel) -> MappingResult:
        """Return the mapping.

        Raises
        ------
        SearchInterrupted
            When the user ended the search; it carries the best so far.
        """
        result = search(LoopSpace(problem, spec, prices), self.goal, self.method, self.options)
        if result.interrupted:
            raise SearchInterrupted(result)
        return result


@dataclass(frozen=True, slots=True)
class FixedMapping:
    """A mapping that is given, and not searched."""

    mapping: LoopNest
    origin: str = "mapping"

    def __call__(self, problem: MatmulProblem, spec: HardwareSpec, prices: EnergyModel) -> MappingResult:
        """Return the mapping; a `MappingError` if it is for something else or does not fit."""
        del prices
        require_for(self.mapping, problem=problem.dims, machine=spec.name, origin=self.origin)
        space = MapSpace(problem, spec)
        violations = space.violations(space.loop(self.mapping))
        if violations:
            raise MappingError(f"{self.origin}: does not fit {spec.name}", violations)
        return MappingResult(self.mapping, f"fixed: {self.origin}, not searched")
