"""Counts in closed form against an interpreter that walks every iteration."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from mapper.errors import MappingError
from mapper.fused.einsum import FusedGraph
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.loop_tree import LoopTree
from mapper.fused.tree_check import alive_words, require_form
from mapper.fused.tree_costs import tree_costs
from tests.mapper.fused.interpreter import Walk
from tests.mapper.fused.random_trees import random_graph, random_machine, random_tree

SMALL_ITERATIONS = 4_000


def legal_trees(seed: int, number: int, largest: int) -> list[tuple[LoopTree, FusedGraph, FlatMachine]]:
    """Trees of the right form whose walk is short."""
    draw, found = random.Random(seed), []
    while len(found) < number:
        graph, machine = random_graph(draw, largest), random_machine(draw)
        tree = random_tree(draw, graph, machine)
        work = sum(graph.words(operator.dims) for operator in graph.operators)
        try:
            require_form(tree, graph)
        except MappingError:
            continue
        if work <= SMALL_ITERATIONS:
            found.append((tree, graph, machine))
    return found


def compare(tree: LoopTree, graph: FusedGraph, machine: FlatMachine) -> None:
    walk = Walk(graph, machine).run(tree)
    costs = tree_costs(tree, graph, machine)
    reads, writes = Counter(), Counter()
    for entry in costs.traffic:
        reads[entry.operator, entry.tensor, entry.memory] += entry.reads
        writes[entry.operator, entry.tensor, entry.memory] += entry.writes
    assert +reads == +walk.reads
    assert +writes == +walk.writes
    leaves = require_form(tree, graph)
    for memory, peak in walk.peak.items():
        assert max(alive_words(leaf, leaves, graph, memory) for leaf in leaves) == peak
    assert costs.energy_pj == pytest.approx(energy(walk), rel=1e-12)
    assert costs.cycles_by_operator == {operator.name: cycles(walk, operator.name) for operator in graph.operators}


def energy(walk: Walk) -> float:
    machine, total = walk.machine, 0.0
    memories = {
        "dram": machine.dram_prices,
        "scratchpad": machine.scratchpad_prices,
        "accumulator": machine.accumulator_prices,
    }
    for counted, kind in ((walk.reads, "read_pj"), (walk.writes, "write_pj")):
        for (_, _, memory), words in counted.items():
            total += words * (machine.register_pj if memory == "registers" else getattr(memories[memory], kind))
    for operator in walk.graph.operators:
        total += walk.macs[operator.name] * (machine.mac_pj if operator.is_product else machine.vector_pj)
    return total


def cycles(walk: Walk, name: str) -> int:
    machine = walk.machine
    product = walk.graph.operator(name).is_product
    loads = [walk.steps[name] / (1 if product else machine.lanes)]
    for memory, prices in (
        ("dram", machine.dram_prices),
        ("scratchpad", machine.scratchpad_prices),
        ("accumulator", machine.accumulator_prices),
    ):
        read = sum(words for (operator, _, where), words in walk.reads.items() if (operator, where) == (name, memory))
        written = sum(
            words for (operator, _, where), words in walk.writes.items() if (operator, where) == (name, memory)
        )
        loads.append(read / prices.reads_per_cycle if prices.reads_per_cycle else 0.0)
        loads.append((read + written) / prices.shared_per_cycle if prices.shared_per_cycle else 0.0)
    return math.ceil(max(loads) * (1 - 1e-9))


@pytest.mark.parametrize("seed", range(12))
def test_counts_equal_those_of_a_walk(seed: int) -> None:
    for tree, graph, machine in legal_trees(seed, 20, largest=5):
        compare(tree, graph, machine)


@pytest.mark.slow
def test_counts_equal_those_of_a_walk_at_length() -> None:
    for tree, graph, machine in legal_trees(100, 1_000, largest=8):
        compare(tree, graph, machine)
