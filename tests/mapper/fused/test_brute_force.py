"""The search against all cuts, trees and residencies of small graphs."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from mapper.cost.objective import OBJECTIVES, objective_value
from mapper.errors import MappingError
from mapper.fused import structures
from mapper.fused.cut import FusedCutSearch
from mapper.fused.einsum import FusedGraph
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.group_search import search_group
from mapper.fused.normal_form import merged_dims
from mapper.fused.rules import STRICT
from tests.mapper.fused.brute_force import Costs, best_cuts, best_trees
from tests.mapper.fused.random_trees import FIVE, GRAPHS, random_machine
from tests.mapper.fused.test_tree_costs import compare as walk


def small_case(seed: int, name: str, largest: int) -> tuple[FusedGraph, FlatMachine]:
    draw = random.Random(seed)
    operators = tuple({**GRAPHS, **FIVE}[name])
    dims = sorted({dim for operator in operators for dim in operator.dims})
    sizes = {dim: draw.randint(1, 2 if dim == "h" else largest) for dim in dims}
    return FusedGraph(name, sizes, operators), random_machine(draw)


def assert_same(found: list[Costs], expected: list[Costs]) -> None:
    assert [cycles for cycles, _ in found] == [cycles for cycles, _ in expected]
    assert [energy for _, energy in found] == pytest.approx([energy for _, energy in expected], rel=1e-9)


def compare_group(group: FusedGraph, machine: FlatMachine) -> bool:
    group = merged_dims(group)
    expected = best_trees(group, machine, STRICT)
    found = search_group(group, machine, STRICT).points
    assert_same([(int(point.cycles), point.energy) for point in found], expected)
    return bool(expected)


def compare_cut(graph: FusedGraph, machine: FlatMachine, price: Callable[[FusedGraph], list[Costs]]) -> None:
    expected = best_cuts(graph, price)
    search = FusedCutSearch(graph, machine)
    if not expected:
        with pytest.raises(MappingError, match="no loop nest of"):
            search.run("edp")
        return
    cuts = search.run("pareto").cuts
    assert_same([(cut.cycles, cut.energy_pj) for cut in cuts], expected)
    for objective in OBJECTIVES:
        (best,) = search.run(objective).cuts
        least = min(objective_value(objective, cycles, energy) for cycles, energy in expected)
        assert objective_value(objective, best.cycles, best.energy_pj) == pytest.approx(least, rel=1e-9)
        for group in best.groups:
            walk(group.tree, group.graph, machine)


def searched(machine: FlatMachine) -> Callable[[FusedGraph], list[Costs]]:
    return lambda group: [(int(point.cycles), point.energy) for point in search_group(group, machine).points]


def brute(machine: FlatMachine) -> Callable[[FusedGraph], list[Costs]]:
    return lambda group: best_trees(group, machine, STRICT)


@pytest.mark.parametrize("seed", range(12))
def test_nests_of_one_product(seed: int) -> None:
    graph, machine = small_case(seed, "pair", random.Random(seed).choice([3, 5]))
    compare_group(graph.group(["one"]), machine)


@pytest.mark.parametrize("name", ["pair", "keys", "attention"])
@pytest.mark.parametrize("seed", range(2))
def test_all_cuts_trees_and_residencies(name: str, seed: int) -> None:
    graph, machine = small_case(seed, name, 2)
    compare_cut(graph, machine, brute(machine))


def test_all_cuts_trees_and_residencies_of_five_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brute force and search with one shared loop; with two, and other graphs, in the slow version."""
    monkeypatch.setattr(structures, "MOST_LOOPS", 1)
    graph, machine = small_case(0, "row", 2)
    compare_cut(graph, machine, brute(machine))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "loops", "seed", "largest"),
    [
        *((name, 1, seed, 3) for name in ("row", "encoder") for seed in (101, 102)),
        ("residual", 1, 103, 2),
        ("row", 2, 0, 2),
        ("row", 2, 104, 2),
        ("encoder", 2, 105, 2),
    ],
)
def test_all_cuts_trees_and_residencies_of_five_operators_at_length(
    name: str, loops: int, seed: int, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(structures, "MOST_LOOPS", loops)
    graph, machine = small_case(seed, name, largest)
    compare_cut(graph, machine, brute(machine))


@pytest.mark.parametrize("name", sorted(GRAPHS))
@pytest.mark.parametrize("seed", range(4))
def test_all_cuts_of_up_to_five_operators(name: str, seed: int) -> None:
    """The groups' own fronts are taken from the search, which the tests above hold against all trees."""
    graph, machine = small_case(seed, name, 8)
    compare_cut(graph, machine, searched(machine))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pair", "keys", "attention", "branches"])
@pytest.mark.parametrize("seed", range(100, 105))
def test_all_cuts_trees_and_residencies_at_length(name: str, seed: int) -> None:
    graph, machine = small_case(seed, name, 3)
    compare_cut(graph, machine, brute(machine))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 130))
def test_nests_of_one_product_at_length(seed: int) -> None:
    graph, machine = small_case(seed, "pair", 8)
    compare_group(graph.group(["one"]), machine)
