"""What every search promises on every space: a search or a space that is added is covered at once."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from mapper.cost.objective import OBJECTIVES, Objective
from mapper.search import registry
from mapper.search.budget import Budget
from mapper.search.driver import find, searchers
from mapper.search.searcher import Searcher
from mapper.search.space import Space
from mapper.testing.mapspaces import MapspaceConformance, Walked
from mapper.testing.searchers import SearcherConformance
from tests.mapper.search.spaces import SPACES

ASKING = tuple(method.name for method in registry.METHODS if ".algorithms." in method.where)
"""Methods that propose candidates and are told what they cost."""


OFTEN_ENOUGH = ("hardware loops, small array", "nests, perfect")
"""Spaces of the slow run."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] if name in OFTEN_ENOUGH else []) for name in SPACES],
)
def made_once(request: pytest.FixtureRequest) -> Space:
    return SPACES[request.param]()


@pytest.fixture(scope="module")
def walked_once(made_once: Space) -> Walked:
    return cache(lambda goal: find(made_once, goal, "exhaustive"))


class TestSearchers(SearcherConformance):
    @pytest.fixture
    def space(self, made_once: Space) -> Space:
        return made_once

    @pytest.fixture(params=ASKING)
    def searcher(self, request: pytest.FixtureRequest) -> type[Searcher]:
        return searchers()[request.param]

    @pytest.mark.parametrize("made_once", ["hardware loops"], indirect=True)
    def test_identical_for_any_number_of_workers(self, searcher: type[Searcher], space: Space) -> None:
        """Processes take seconds to start, so one space stands for all."""
        super().test_identical_for_any_number_of_workers(searcher, space)

    def test_other_seeds_ask_for_other_candidates(self, searcher: type[Searcher], space: Space) -> None:
        first, second = (searcher(space, "edp", seed).ask() for seed in (11, 12))
        assert first is not None and second is not None
        assert np.array_equal(first, second) != (searcher.name in registry.WITH_SEED)


class TestMapspaces(MapspaceConformance):
    @pytest.fixture
    def space(self, made_once: Space) -> Space:
        return made_once

    @pytest.fixture
    def walked(self, walked_once: Walked) -> Walked:
        return walked_once

    @pytest.mark.parametrize("search", ["annealing", "genetic"])
    @pytest.mark.parametrize(
        "goal", [pytest.param(goal, marks=[pytest.mark.slow] if goal != "edp" else []) for goal in OBJECTIVES]
    )
    def test_small_spaces_are_solved(self, space: Space, walked: Walked, search: str, goal: Objective) -> None:
        """Most seeds come within 1 %: a single one may stay on a hill near by."""
        found = [find(space, goal, search, budget=Budget(evaluations=4000), seed=seed).value for seed in range(3)]
        assert np.median(found) == pytest.approx(walked(goal).value, rel=0.01)

    def test_the_genetic_front_is_close_to_the_true_one(self, space: Space, walked: Walked) -> None:
        """Every point of the true front has one of ours within two per cent in both metrics."""
        ours = find(space, "pareto", "genetic", budget=Budget(evaluations=6000)).front
        for _, cycles, energy in walked("pareto").front:
            assert min(max(c / cycles, e / energy) for _, c, e in ours) <= 1.02


def test_the_registry_calls_searchers_by_their_own_names() -> None:
    assert {name: searcher.name for name, searcher in searchers().items()} == {name: name for name in ASKING}
