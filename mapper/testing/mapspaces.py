"""What every mapspace promises to the searches, as tests to subclass.

    from mapper.testing.mapspaces import MapspaceConformance

    class TestMyMapspace(MapspaceConformance):
        @pytest.fixture
        def space(self) -> Space:
            return MySpace(...)

The whole space is walked, so some ten thousand members are enough. A space whose optimum can be proved
(`mapper.search.proofs.Provable`) is held against the walk as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
import pytest

from mapper.cost.objective import GOALS, OBJECTIVES, Goal
from mapper.search.driver import SearchResult, find
from mapper.search.options import SearchOptions
from mapper.search.proofs import Provable
from mapper.search.space import Space

ROUNDING = 1e-12
"""Relative: a proof and a walk may add the same numbers in different orders."""

Walked: TypeAlias = Callable[[Goal], SearchResult]
"""Returns the optimum or the front of the whole space for a goal."""

every_goal = pytest.mark.parametrize("goal", GOALS)


class MapspaceConformance:
    """Subclass it in a test file and give the fixture ``space``."""

    @pytest.fixture
    def space(self) -> Space:
        """Return the space to test."""
        raise NotImplementedError("give a fixture `space` that returns the mapspace to test")

    @pytest.fixture
    def walked(self, space: Space) -> Walked:
        """Return a function that prices every member; give it a wider scope where ``space`` has one."""
        return cache(lambda goal: find(space, goal, "exhaustive"))

    def test_samples_are_legal_and_reproducible(self, space: Space) -> None:
        rows = space.sample(5_000, np.random.default_rng(0))
        again = space.sample(5_000, np.random.default_rng(0))
        assert np.array_equal(rows, again)
        assert space.legal(rows).all()

    def test_neighbours_and_children_are_legal_and_mostly_new(self, space: Space) -> None:
        random = np.random.default_rng(1)
        rows = space.sample(2000, random)
        others = space.sample(2000, random)
        near, children = space.neighbours(rows, random), space.crossover(rows, others, random)
        assert space.legal(near).all()
        assert space.legal(children).all()
        assert (near != rows).any(axis=1).mean() > 0.5
        assert near.shape == children.shape == rows.shape

    def test_the_walk_yields_legal_members_once(self, space: Space) -> None:
        pieces = list(space.walk(1000))
        rows = np.concatenate(pieces)
        assert max(map(len, pieces)) <= 1000
        assert space.legal(rows).all()
        assert len(np.unique(rows, axis=0)) == len(rows) <= space.size

    def test_costs_do_not_depend_on_what_is_priced_beside(self, space: Space) -> None:
        rows = space.sample(300, np.random.default_rng(1))
        together = space.costs(rows)
        for at in (0, 17, 299):
            alone = space.costs(rows[at : at + 1])
            assert (alone.cycles[0], alone.energy_pj[0]) == (together.cycles[at], together.energy_pj[at])

    @every_goal
    def test_nothing_is_below_the_floor(self, space: Space, walked: Walked, goal: Goal) -> None:
        result, floor = walked(goal), space.floor()
        assert result.value >= floor.of(goal) > 0
        assert result.best.cycles >= floor.cycles
        assert result.best.energy_pj >= floor.energy_pj

    def test_the_space_is_described(self, space: Space) -> None:
        assert space.describe()
        assert space.scope().population

    @pytest.mark.parametrize("goal", OBJECTIVES)
    def test_the_proved_optimum_is_that_of_the_whole_walk(self, space: Space, walked: Walked, goal: Goal) -> None:
        """Bounds against every member priced; ties settled alike."""
        if not isinstance(space, Provable):
            pytest.skip("there is no proof for this space")
        proved, best = space.prove(goal, SearchOptions()).estimated, walked(goal).best
        assert proved is not None
        assert (proved.cycles, proved.energy_pj) == pytest.approx((best.cycles, best.energy_pj), rel=ROUNDING)

    def test_the_proved_front_is_that_of_the_whole_walk(self, space: Space, walked: Walked) -> None:
        if not isinstance(space, Provable):
            pytest.skip("there is no proof for this space")
        proved, front = space.prove("pareto", SearchOptions()).front, walked("pareto").front
        assert [point.cycles for point in proved] == [cycles for _, cycles, _ in front]
        energies = [energy_pj for _, _, energy_pj in front]
        assert [point.energy_pj for point in proved] == pytest.approx(energies, rel=ROUNDING)
