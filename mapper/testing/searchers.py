"""What every searcher promises on every mapspace, as tests to subclass.

    from mapper.testing.searchers import SearcherConformance

    class TestTabuSearch(SearcherConformance):
        @pytest.fixture
        def searcher(self) -> type[Searcher]:
            return TabuSearcher

The searcher need not stand in `mapper.search.registry`. It is tested on a small space of hardware loops; give a fixture
``space`` for another one, with parameters for several.
"""

from __future__ import annotations

import numpy as np
import pytest

import hwconfigs
from mapper.cost.costs import Costs
from mapper.cost.objective import GOALS, Goal
from mapper.mapping.matmul_problem import contiguous
from mapper.search.budget import Budget
from mapper.search.driver import SearchResult, drive, find
from mapper.search.front import least
from mapper.search.searcher import Searcher
from mapper.search.space import Space
from mapper.search.spaces.hardware_loops import LoopSpace
from simulator.arrays import Rows

ROUNDS = 2
"""Times that a searcher is asked and told without the driver: the first proposals, and those that build on them."""

SHARE_SEEN = 0.5
"""Least share of the members that can be reached of a search that ends before its budget."""

every_goal = pytest.mark.parametrize("goal", GOALS)


def small_space() -> LoopSpace:
    """Return the hardware loops of a small matmul on the smallest machine."""
    spec = hwconfigs.load("tiny_4x4")
    return LoopSpace(contiguous(9, 17, 14), spec, hwconfigs.load_energy(spec.energy).bind(spec))


def played(searcher: Searcher) -> list[tuple[Rows, Costs]]:
    """Ask and tell a few times without the driver."""
    answers = []
    for _ in range(ROUNDS):
        rows = searcher.ask()
        if rows is None:
            break
        costs = searcher.space.costs(rows)
        searcher.tell(rows, costs)
        answers.append((rows, costs))
    return answers


def without_time(result: SearchResult) -> tuple[object, ...]:
    """Return everything of a result but the time it took."""
    return (
        result.mapping,
        result.best,
        list(result.front),
        result.status,
        result.evaluated,
        result.asked,
        result.floor,
    )


class SearcherConformance:
    """Subclass it in a test file and give the fixture ``searcher``."""

    @pytest.fixture
    def searcher(self) -> type[Searcher]:
        """Return the class to test."""
        raise NotImplementedError("give a fixture `searcher` that returns the class of the searcher to test")

    @pytest.fixture
    def space(self) -> Space:
        """Return the space to search."""
        return small_space()

    def test_only_legal_candidates_are_proposed(self, searcher: type[Searcher], space: Space) -> None:
        for rows, _ in played(searcher(space, "edp", 3)):
            assert rows.dtype == np.int64
            assert space.legal(rows).all()

    @every_goal
    def test_the_best_is_the_least_that_was_told_and_never_gets_worse(
        self, searcher: type[Searcher], space: Space, goal: Goal
    ) -> None:
        """Ties of the objective are settled by the other metrics, then the footprint, then the row."""
        search = searcher(space, goal, 5)
        assert search.best is None
        told: list[tuple[tuple[float, ...], tuple[int, ...]]] = []
        for _ in range(ROUNDS):
            rows = search.ask()
            if rows is None:
                break
            costs = space.costs(rows)
            search.tell(rows, costs)
            keys = costs.keys(goal)
            at = least([*keys, *rows.T])
            told.append((tuple(float(key[at]) for key in keys), tuple(rows[at].tolist())))
            best = search.best
            assert best is not None
            assert (best.keys, best.row) == min(told)

    def test_the_front_holds_all_that_nothing_beats(self, searcher: type[Searcher], space: Space) -> None:
        search = searcher(space, "pareto", 5)
        answers = played(search)
        columns = [np.column_stack([costs.cycles, costs.energy_pj]) for _, costs in answers]
        points = np.unique(np.concatenate(columns), axis=0)
        expected = {
            (float(cycles), float(energy_pj))
            for cycles, energy_pj in points
            if not ((points[:, 0] <= cycles) & (points[:, 1] <= energy_pj)).sum() > 1
        }
        front = [(cycles, energy_pj) for _, cycles, energy_pj in search.front]
        assert len(front) == len(set(front)) == len(expected)
        assert set(front) == expected
        assert front == sorted(front)

    def test_answers_must_come_in_order(self, searcher: type[Searcher], space: Space) -> None:
        search = searcher(space, "latency", 1)
        rows = search.ask()
        assert rows is not None
        costs = space.costs(rows)
        with pytest.raises(RuntimeError, match="have not been told"):
            search.ask()
        if len(rows) > 1:
            with pytest.raises(RuntimeError, match="not the candidates asked for"):
                search.tell(rows[::-1], costs)
        search.tell(rows, costs)
        with pytest.raises(RuntimeError, match="not the candidates asked for"):
            search.tell(rows, costs)

    def test_equal_seeds_give_equal_results(self, searcher: type[Searcher], space: Space) -> None:
        budget = Budget(evaluations=600)
        first, second = (find(space, "edp", searcher, budget=budget, seed=11) for _ in range(2))
        assert without_time(first) == without_time(second)

    @pytest.mark.parametrize("evaluations", [1, 600])
    def test_ends_on_its_budget_exactly(self, searcher: type[Searcher], space: Space, evaluations: int) -> None:
        result = find(space, "latency", searcher, budget=Budget(evaluations=evaluations))
        reachable = sum(map(len, space.walk(1000)))
        if result.status == "budget":
            assert result.evaluated == evaluations
        else:
            assert result.evaluated < evaluations
            assert result.evaluated >= SHARE_SEEN * reachable, "the search gave up although much was unseen"

    def test_no_candidate_is_priced_twice(
        self, searcher: type[Searcher], space: Space, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        priced: list[tuple[int, ...]] = []
        costs = type(space).costs

        def listening(self: Space, rows: Rows) -> Costs:
            priced.extend(map(tuple, rows.tolist()))
            return costs(self, rows)

        monkeypatch.setattr(type(space), "costs", listening)
        result = find(space, "edp", searcher, budget=Budget(evaluations=1200))
        assert len(priced) == len(set(priced)) == result.evaluated

    def test_a_larger_budget_is_never_worse(self, searcher: type[Searcher], space: Space) -> None:
        budgets = [Budget(evaluations=number) for number in (50, 400, 1100)]
        values = [find(space, "edp", searcher, budget=budget, seed=2).value for budget in budgets]
        assert values == sorted(values, reverse=True)

    def test_seconds_end_a_search(self, searcher: type[Searcher], space: Space) -> None:
        result = find(space, "edp", searcher, budget=Budget(seconds=0.1))
        assert result.status in ("budget", "stale", "optimal")
        assert result.seconds < 3.0

    def test_an_interrupt_returns_the_best_so_far(self, searcher: type[Searcher], space: Space) -> None:
        """The second batch is interrupted while it is priced; the first one counts."""
        shortest = drive(searcher(space, "edp", 1), Budget(evaluations=1))
        calls = 0

        def stop(*_: object) -> None:
            nonlocal calls
            calls += 1
            raise KeyboardInterrupt

        result = drive(searcher(space, "edp", 1), Budget(evaluations=10**6), progress=stop)
        assert calls == 1
        assert result.status == "interrupted"
        assert result.value <= shortest.value
        assert result.evaluated > 0
        assert result.gap >= 0

    def test_identical_for_any_number_of_workers(self, searcher: type[Searcher], space: Space) -> None:
        """The budget is large enough that batches are cut into several pieces."""
        budget = Budget(evaluations=6000)
        results = [find(space, "edp", searcher, budget=budget, seed=4, workers=workers) for workers in (1, 2)]
        assert without_time(results[0]) == without_time(results[1])
