"""One way to every search: by name, by class or by function, on either kind of mapspace, with one kind of answer."""

from __future__ import annotations

import pytest

from mapper import pipeline
from mapper.cost.objective import Goal
from mapper.errors import MappingError
from mapper.nest.model.accounting import DEFAULT
from mapper.search import registry
from mapper.search.algorithms.random_search import RandomSearcher
from mapper.search.budget import Budget
from mapper.search.mapping_result import MappingResult
from mapper.search.options import SearchOptions
from mapper.search.space import Space
from mapper.search.strategies import SearchStrategy, search
from tests.mapper.search.spaces import FEW_ORDERS, loops, nests

FEW = SearchOptions(budget=Budget(evaluations=60), seed=2)


def hardware_loops() -> Space:
    return loops((64, 96, 80), "gemmini")


def loop_nests() -> Space:
    return nests((13, 80, 100), DEFAULT, FEW_ORDERS)


@pytest.mark.parametrize("method", registry.SEARCHES)
@pytest.mark.parametrize("make", [hardware_loops, loop_nests], ids=registry.MAPSPACES)
def test_every_search_answers_alike_on_both_mapspaces(make: type[Space], method: str) -> None:
    """The mapping is priced, the statement and the data say the same, and a front comes only if it is asked for."""
    result = search(make(), "edp", method, FEW)
    assert result.estimated is not None
    assert result.estimated.mapping == result.mapping
    assert result.details["search"] == method
    assert (result.details["status"] == "optimal") == result.statement.startswith("optimal: ")
    assert result.front == ()
    assert not result.interrupted


@pytest.mark.parametrize("method", [name for name in registry.SEARCHES if name != "optimal"])
def test_the_mapping_of_a_front_is_its_least_edp(method: str) -> None:
    result = search(loop_nests(), "pareto", method, FEW)
    best = min(result.front, key=lambda point: point.cycles * point.energy_pj)
    assert (best.cycles, best.energy_pj) == result.estimated[1:] if result.estimated else False


def test_a_class_or_a_function_needs_no_registration() -> None:
    space = hardware_loops()
    named, given = search(space, "edp", "random", FEW), search(space, "edp", RandomSearcher, FEW)
    assert (named.mapping, named.estimated) == (given.mapping, given.estimated)

    def same(space: Space, goal: Goal, options: SearchOptions) -> MappingResult:
        del space, goal, options
        return given

    assert search(space, "edp", same) is given
    result = pipeline.map_matmul(64, 96, 80, "gemmini", strategy=SearchStrategy("edp", RandomSearcher, FEW))
    assert result.searches["matmul"].details["search"] == "random"


def test_gemmini_s_tile_is_a_hardware_loop() -> None:
    assert "not searched" in search(hardware_loops(), "latency", "gemmini_auto").statement
    with pytest.raises(MappingError, match="gemmini_auto is a hardware loop"):
        search(loop_nests(), "latency", "gemmini_auto")


def test_unknown_methods_and_senseless_options_are_refused() -> None:
    with pytest.raises(MappingError, match="unknown search 'tabu'; use optimal, exhaustive"):
        search(hardware_loops(), "edp", "tabu")
    with pytest.raises(MappingError, match="counts evaluations, not seconds"):
        search(hardware_loops(), "edp", "optimal", SearchOptions(budget=Budget(seconds=1.0)))
    with pytest.raises(MappingError, match="takes neither a budget nor finalists"):
        search(hardware_loops(), "pareto", "optimal", FEW)
    with pytest.raises(MappingError, match="loop nests cannot be"):
        search(loop_nests(), "edp", "optimal", SearchOptions(finalists=3))
