"""What every search promises on every space: an algorithm or a space that is added here is covered at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import hwconfigs
from mapper.cost.model import Costs
from mapper.cost.objective import GOALS, Goal, Objective
from mapper.mapping.matmul_problem import contiguous
from mapper.nest.mapspace.constraint_file import read_constraints
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.mapspace.variants import Unrolling
from mapper.nest.model.accounting import DEFAULT, TIMELOOP, Accounting
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import matmul
from mapper.search.budget import Budget
from mapper.search.driver import SearchResult, drive, find, searchers
from mapper.search.exact import hardware_loops, loop_nests
from mapper.search.front import least
from mapper.search.searcher import Searcher
from mapper.search.space import Space
from mapper.search.spaces.hardware_loops import LoopSpace
from mapper.search.spaces.loop_nests import LoopNests
from simulator.arrays import Rows
from tests.mapper.tiny import machine, prices


def loops(shape: tuple[int, int, int], name: str) -> LoopSpace:
    spec = machine(name)
    return LoopSpace(contiguous(*shape), spec, prices(spec))


def nests(
    shape: tuple[int, int, int], accounting: Accounting, constraints: str = "", spatial: Unrolling = "full"
) -> LoopNests:
    """Nests on gemmini without its L2, whose memories are shrunk so that they matter to small problems."""
    spec = hwconfigs.override(
        machine("gemmini"), {"l2": None, "scratchpad.capacity": "4 KiB", "accumulator.capacity": "2 KiB"}
    )
    hierarchy = Hierarchy.of(spec, prices(spec))
    limits = read_constraints(constraints) if constraints else None
    return LoopNests(NestSpace(matmul(*shape), hierarchy, accounting, limits, spatial=spatial))


FEW_ORDERS = """
levels:
  dram: {order: {any: ["mkn", "nkm", "mnk"]}}
  scratchpad: {order: {any: ["*k", "knm"]}, double_buffer: [input, weight]}
  accumulator: {order: "knm"}
"""

SPACES: dict[str, Callable[[], Space]] = {
    "hardware loops": lambda: loops((200, 330, 150), "gemmini"),
    "hardware loops, small array": lambda: loops((9, 17, 14), "tiny_4x4"),
    "nests, perfect": lambda: nests((4, 6, 10), TIMELOOP, spatial="free"),
    "nests, ragged": lambda: nests((13, 80, 100), DEFAULT, FEW_ORDERS),
}
ALL = [make() for make in SPACES.values()]
every_space = pytest.mark.parametrize("space", ALL, ids=list(SPACES))
every_search = pytest.mark.parametrize("kind", searchers().values(), ids=list(searchers()))
every_goal = pytest.mark.parametrize("goal", GOALS)


def played(searcher: Searcher, rounds: int = 2) -> list[tuple[Rows, Costs]]:
    """Ask and tell a few times without the driver."""
    answers = []
    for _ in range(rounds):
        rows = searcher.ask()
        if rows is None:
            break
        costs = searcher.space.costs(rows)
        searcher.tell(rows, costs)
        answers.append((rows, costs))
    return answers


def outcome(found: SearchResult) -> tuple[object, ...]:
    """Everything of a result but the time it took."""
    front = [(row, cycles, energy) for row, cycles, energy in found.front]
    return found.mapping, found.best, front, found.status, found.evaluated, found.asked, found.floor


FOUND: dict[tuple[int, Goal], SearchResult] = {}


def exhausted(space: Space, goal: Goal) -> SearchResult:
    """The proved optimum, worked out once."""
    key = id(space), goal
    if key not in FOUND:
        FOUND[key] = find(space, goal, "exhaustive")
    return FOUND[key]


@every_space
@every_search
def test_only_legal_candidates_are_proposed(kind: type[Searcher], space: Space) -> None:
    for rows, _ in played(kind(space, "edp", 3)):
        assert rows.dtype == np.int64
        assert space.legal(rows).all()


@every_space
@every_search
@every_goal
def test_the_best_is_the_least_that_was_told_and_never_gets_worse(
    kind: type[Searcher], space: Space, goal: Goal
) -> None:
    """Ties of the objective are settled by the other metrics, then the footprint, then the row."""
    searcher = kind(space, goal, 5)
    assert searcher.best is None
    told: list[tuple[tuple[float, ...], tuple[int, ...]]] = []
    for _ in range(2):
        rows = searcher.ask()
        if rows is None:
            break
        costs = space.costs(rows)
        searcher.tell(rows, costs)
        keys = costs.keys(goal)
        at = least([*keys, *rows.T])
        told.append((tuple(float(key[at]) for key in keys), tuple(rows[at].tolist())))
        best = searcher.best
        assert best is not None
        assert (best.keys, best.row) == min(told)


@every_space
@every_search
def test_the_front_holds_all_that_nothing_beats(kind: type[Searcher], space: Space) -> None:
    searcher = kind(space, "pareto", 5)
    answers = played(searcher, 2)
    points = np.unique(np.concatenate([np.column_stack([c.cycles, c.energy_pj]) for _, c in answers]), axis=0)
    expected = {
        (float(cycles), float(energy))
        for cycles, energy in points
        if not ((points[:, 0] <= cycles) & (points[:, 1] <= energy)).sum() > 1
    }
    found = [(front_cycles, front_energy) for _, front_cycles, front_energy in searcher.front]
    assert len(found) == len(set(found)) == len(expected)
    assert set(found) == expected
    assert found == sorted(found)


@every_space
@every_search
def test_answers_must_come_in_order(kind: type[Searcher], space: Space) -> None:
    searcher = kind(space, "latency", 1)
    rows = searcher.ask()
    assert rows is not None
    costs = space.costs(rows)
    with pytest.raises(RuntimeError, match="have not been told"):
        searcher.ask()
    if len(rows) > 1:
        with pytest.raises(RuntimeError, match="not the candidates asked for"):
            searcher.tell(rows[::-1], costs)
    searcher.tell(rows, costs)
    with pytest.raises(RuntimeError, match="not the candidates asked for"):
        searcher.tell(rows, costs)


@every_space
@every_search
def test_equal_seeds_give_equal_results_and_others_differ(kind: type[Searcher], space: Space) -> None:
    budget = Budget(evaluations=600)
    first, second = (find(space, "edp", kind.name, budget=budget, seed=11) for _ in range(2))
    assert outcome(first) == outcome(second)
    if kind.name != "exhaustive":
        asked = [kind(space, "edp", seed).ask() for seed in (11, 12)]
        assert asked[0] is not None and asked[1] is not None
        assert not np.array_equal(asked[0], asked[1])


@every_space
@every_search
@pytest.mark.parametrize("evaluations", [1, 600])
def test_ends_on_its_budget_exactly(kind: type[Searcher], space: Space, evaluations: int) -> None:
    found = find(space, "latency", kind.name, budget=Budget(evaluations=evaluations))
    reachable = sum(map(len, space.walk(1000)))
    if found.status == "budget":
        assert found.evaluated == evaluations
    else:
        assert found.evaluated < evaluations
        assert found.evaluated >= 0.5 * reachable, "the search gave up although much of the space was unseen"


@every_space
@every_search
def test_no_candidate_is_priced_twice(kind: type[Searcher], space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    priced: list[tuple[int, ...]] = []
    costs = type(space).costs

    def listening(self: Space, rows: Rows) -> Costs:
        priced.extend(map(tuple, rows.tolist()))
        return costs(self, rows)

    monkeypatch.setattr(type(space), "costs", listening)
    found = find(space, "edp", kind.name, budget=Budget(evaluations=1200))
    assert len(priced) == len(set(priced)) == found.evaluated


@every_space
@every_search
def test_a_larger_budget_is_never_worse(kind: type[Searcher], space: Space) -> None:
    values = [
        find(space, "edp", kind.name, budget=Budget(evaluations=number), seed=2).value for number in (50, 400, 1100)
    ]
    assert values == sorted(values, reverse=True)


@every_space
@every_search
def test_seconds_end_a_search(kind: type[Searcher], space: Space) -> None:
    found = find(space, "edp", kind.name, budget=Budget(seconds=0.1))
    assert found.status in ("budget", "stale", "optimal")
    assert found.seconds < 3.0


@every_space
@every_search
def test_an_interrupt_returns_the_best_so_far(kind: type[Searcher], space: Space) -> None:
    """The second batch is interrupted while it is priced; the first one counts."""
    searcher = kind(space, "edp", 1)
    calls = 0
    whole = drive(kind(space, "edp", 1), Budget(evaluations=1))

    def stop(*_: object) -> None:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    found = drive(searcher, Budget(evaluations=10**6), progress=stop)
    assert calls == 1
    assert found.status == "interrupted"
    assert found.value <= whole.value
    assert found.evaluated > 0
    assert found.gap >= 0


@every_space
@every_goal
def test_nothing_found_is_below_the_floor(space: Space, goal: Goal) -> None:
    found = exhausted(space, goal)
    assert found.value >= found.floor.of(goal) > 0
    assert found.best.cycles >= found.floor.cycles
    assert found.best.energy_pj >= found.floor.energy_pj


@every_space
@pytest.mark.parametrize("search", ["annealing", "genetic"])
@pytest.mark.parametrize("goal", ["latency", "energy", "edp"])
def test_small_spaces_are_solved(search: str, space: Space, goal: Goal) -> None:
    best = exhausted(space, goal)
    assert find(space, goal, search, budget=Budget(evaluations=4000)).value == pytest.approx(best.value, rel=0.01)


@every_space
def test_the_genetic_front_is_close_to_the_true_one(space: Space) -> None:
    """Every point of the true front has one of ours within two per cent in both metrics."""
    true = exhausted(space, "pareto").front
    ours = find(space, "pareto", "genetic", budget=Budget(evaluations=6000)).front
    for _, cycles, energy in true:
        assert min(max(c / cycles, e / energy) for _, c, e in ours) <= 1.02


@every_search
def test_identical_for_any_number_of_workers(kind: type[Searcher]) -> None:
    """Budgets large enough that batches are cut into several pieces."""
    space = SPACES["hardware loops"]()
    budget = Budget(evaluations=6000)
    results = [outcome(find(space, "edp", kind.name, budget=budget, seed=4, workers=workers)) for workers in (1, 2)]
    assert results[0] == results[1]


@every_space
def test_samples_are_legal_and_reproducible(space: Space) -> None:
    rows = space.sample(5_000, np.random.default_rng(0))
    again = space.sample(5_000, np.random.default_rng(0))
    assert np.array_equal(rows, again)
    assert space.legal(rows).all()


@every_space
def test_neighbours_and_children_are_legal_and_mostly_new(space: Space) -> None:
    random = np.random.default_rng(1)
    rows = space.sample(2000, random)
    others = space.sample(2000, random)
    near, children = space.neighbours(rows, random), space.crossover(rows, others, random)
    assert space.legal(near).all()
    assert space.legal(children).all()
    assert (near != rows).any(axis=1).mean() > 0.5
    assert near.shape == children.shape == rows.shape


@every_space
def test_costs_do_not_depend_on_what_is_priced_beside(space: Space) -> None:
    rows = space.sample(300, np.random.default_rng(1))
    together = space.costs(rows)
    for at in (0, 17, 299):
        alone = space.costs(rows[at : at + 1])
        assert (alone.cycles[0], alone.energy_pj[0]) == (together.cycles[at], together.energy_pj[at])


@pytest.mark.parametrize("name", [name for name in SPACES if name.startswith("nests")])
@every_goal
def test_the_proved_optimum_of_nests_is_that_of_the_whole_walk(name: str, goal: Goal) -> None:
    """Branch and bound against every legal nest priced."""
    space = next(space for space, key in zip(ALL, SPACES, strict=True) if key == name)
    assert isinstance(space, LoopNests)
    found, walked = loop_nests.search(space.nests, goal), exhausted(space, goal)
    assert found.score == pytest.approx(walked.value, rel=1e-12)
    if goal == "pareto":
        assert [point.cycles for point in found.front] == [cycles for _, cycles, _ in walked.front]
        energies = [energy for _, _, energy in walked.front]
        assert [point.energy_pj for point in found.front] == pytest.approx(energies, rel=1e-12)
    else:
        keys = (found.best.cycles, found.best.energy_pj)
        assert keys == pytest.approx((walked.best.cycles, walked.best.energy_pj), rel=1e-12)


@pytest.mark.parametrize("name", [name for name in SPACES if name.startswith("hardware")])
@pytest.mark.parametrize("goal", ["latency", "energy", "edp"])
def test_the_proved_optimum_of_hardware_loops_is_that_of_the_whole_walk(name: str, goal: Objective) -> None:
    """Best first by bounds against every candidate priced; ties settled alike."""
    space = next(space for space, key in zip(ALL, SPACES, strict=True) if key == name)
    assert isinstance(space, LoopSpace)
    model = space.model
    best = hardware_loops.search(model.problem, model.spec, model.energy, goal)
    walked = exhausted(space, goal)
    assert (best.cycles, best.energy_pj) == pytest.approx((walked.best.cycles, walked.best.energy_pj), rel=1e-12)
