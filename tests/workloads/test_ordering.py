"""Orders keep what waits behind what it waits for, and otherwise the order given."""

from __future__ import annotations

import random

import networkx as nx
import pytest

from workloads.ordering import CircleError, ordered


def test_the_first_that_may_run_is_next() -> None:
    assert ordered("abcd", {"a": "d", "b": ""}) == ["b", "c", "d", "a"]


def test_random_graphs_are_ordered_as_a_graph_library_does() -> None:
    for seed in range(50):
        draw = random.Random(seed)
        names = [f"n{number}" for number in range(draw.randint(1, 12))]
        rank = draw.sample(names, len(names))
        waits_for = {name: draw.sample(rank[:at], draw.randint(0, at)) for at, name in enumerate(rank)}
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(names)
        graph.add_edges_from((before, name) for name, others in waits_for.items() for before in others)
        assert ordered(names, waits_for) == list(nx.lexicographical_topological_sort(graph, key=names.index))


def test_a_circle_is_named_in_its_order() -> None:
    with pytest.raises(CircleError) as error:
        ordered("abc", {"a": "c", "b": "a", "c": "b"})
    assert str(error.value) in {"a -> b -> c", "b -> c -> a", "c -> a -> b"}
