"""The best cut is that of brute force over all cuts, whatever groups cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

import workloads
from mapper.graph.best_cut import best_cut, next_best_cut
from mapper.graph.fusion_candidates import candidates
from mapper.graph.fusion_cuts import fusion_groups
from mapper.graph.fusion_group import FusionGroup
from tests.mapper.graph.chains import X, addition, after, chain
from tests.mapper.tiny import machine
from workloads import OpGraph, matmul
from workloads.ops import Gelu, LayerNorm, Relu, Softmax

IBERT = machine("gemmini_ibert")


def branches() -> OpGraph:
    """Two chains that share their input and meet in an addition, which is normalised."""
    left, right = matmul("left", 32, 64, 64, a=X), matmul("right", 32, 64, 64, a=X)
    gelu, softmax = after(Gelu, left.output, "gelu"), after(Softmax, right.output, "softmax")
    add = addition(gelu.output, softmax.output)
    return chain(left, right, gelu, softmax, add, after(LayerNorm, add.output, "norm"))


def every_cut(graph: OpGraph, allowed: Mapping[str, Sequence[FusionGroup]]) -> Iterator[tuple[FusionGroup, ...]]:
    """Yield all covers of a graph by candidates, by trying every subset of them."""
    groups = [group for rows in allowed.values() for group in rows]
    wanted = sorted(op.name for op in graph.operators)
    for number in range(1, len(wanted) + 1):
        for chosen in itertools.combinations(groups, number):
            if sorted(op.name for group in chosen for op in group.operators) == wanted:
                yield chosen


@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_the_best_two_cuts_are_those_of_brute_force(objective: str) -> None:
    graph = branches()
    allowed = candidates(graph, IBERT)
    cuts = list(every_cut(graph, allowed))
    assert len(cuts) == 2 * 2 * 2
    random = np.random.default_rng(7)

    def value(cycles: float, energy: float) -> float:
        return {"latency": cycles, "energy": energy, "edp": cycles * energy}[objective]

    for _ in range(50):
        prices = {group: tuple(random.integers(1, 30, 2).tolist()) for rows in allowed.values() for group in rows}
        values = sorted(value(*map(sum, zip(*(prices[group] for group in cut), strict=True))) for cut in cuts)
        best = best_cut(graph, allowed, prices, value)
        assert best is not None
        assert value(best.cycles, best.energy_pj) == values[0]
        other = next_best_cut(graph, allowed, prices, value, best)
        assert other is not None
        assert other.names != best.names
        assert value(other.cycles, other.energy_pj) == values[1]


def test_a_group_without_a_price_is_in_no_cut() -> None:
    graph = branches()
    allowed = candidates(graph, IBERT)
    alone = {rows[0]: (1.0, 1.0) for rows in allowed.values()}
    best = best_cut(graph, allowed, alone, lambda cycles, energy: cycles)
    assert best is not None
    assert best.names == tuple((op.name,) for op in graph.operators)
    assert best_cut(graph, allowed, {}, lambda cycles, energy: cycles) is None


def test_a_group_is_the_same_in_every_cut() -> None:
    """What a candidate costs may not depend on how the rest of the graph is cut: neither may its width."""
    for graph in (branches(), workloads.build("bert-base", seq=32), workloads.build("gpt2", seq=16)):
        allowed = candidates(graph, IBERT)
        for rows in allowed.values():
            for group in rows:
                names = [op.name for op in group.operators]
                rest = [[op.name] for op in graph.operators if op.name not in names]
                assert group in fusion_groups(graph, IBERT, [names, *rest])


def test_candidates_of_bert_are_its_activations_and_normalisations() -> None:
    allowed = candidates(workloads.build("bert-base", seq=32), IBERT)
    assert [[op.name for op in group.operators] for rows in allowed.values() for group in rows if group.epilogue] == [
        ["scores", "softmax"],
        ["out", "attention_add"],
        ["out", "attention_add", "attention_norm"],
        ["attention_add", "attention_norm"],
        ["ffn1", "ffn_activation"],
        ["ffn2", "ffn_add"],
        ["ffn2", "ffn_add", "ffn_norm"],
        ["ffn_add", "ffn_norm"],
    ]


def test_relu_behind_relu_is_not_joined() -> None:
    first = matmul("fc", 32, 64, 64, a=X)
    relu = after(Relu, first.output, "relu")
    allowed = candidates(chain(first, relu, after(Relu, relu.output, "again")), IBERT)
    assert [len(rows) for rows in allowed.values()] == [2, 1, 1]
