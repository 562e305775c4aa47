"""Cuts of models: what is proved, what an end before the end leaves, and names across operators."""

from __future__ import annotations

import dataclasses

import pytest

import workloads
from mapper.errors import MappingError
from mapper.fused.cut import FusedCutSearch, merged_group
from mapper.fused.from_graph import fused_model
from mapper.fused.rules import Rules
from mapper.validation.fused_peers import peers_machine

MACHINE = peers_machine(256, 64)


@pytest.fixture(scope="module")
def bert():
    return fused_model(workloads.build("bert-base", seq=128))


def test_activations_are_applied_by_their_products_and_softmax_is_not(bert) -> None:
    assert bert.applied == {"ffn_activation": "ffn1"}
    names = [operator.name for operator in bert.graph.operators]
    assert "softmax" in names
    assert "ffn_activation" not in names
    assert bert.graph.operator("ffn2").inputs[0].tensor == "ffn1"


def test_fusion_is_never_worse_than_none_in_any_objective(bert) -> None:
    search = FusedCutSearch(bert.graph, MACHINE)
    alone, fused = search.run("pareto", 1).cuts, search.run("pareto").cuts
    assert all(any(f.cycles <= a.cycles and f.energy_pj <= a.energy_pj * (1 + 1e-9) for f in fused) for a in alone)
    for objective, value in (("latency", "cycles"), ("energy", "energy_pj"), ("edp", "edp")):
        best = search.run(objective).cuts[0]
        assert getattr(best, value) == pytest.approx(min(getattr(cut, value) for cut in fused), rel=1e-12)


def test_the_result_is_the_same_on_every_run(bert) -> None:
    assert FusedCutSearch(bert.graph, MACHINE).run("edp") == FusedCutSearch(bert.graph, MACHINE).run("edp")


def test_a_budget_leaves_the_best_of_the_groups_known(bert) -> None:
    alone = FusedCutSearch(bert.graph, MACHINE).run("edp", 1).cuts[0]
    result = FusedCutSearch(bert.graph, MACHINE, seconds=1e-9).run("edp")
    assert result.status == "stopped"
    assert result.cuts[0].edp == alone.edp
    assert "not proved" in result.statement


def test_an_interrupt_ends_the_search_with_what_is_known(bert) -> None:
    heard = []

    def interrupt(rows: int) -> None:
        heard.append(rows)
        if len(heard) == 20:
            raise KeyboardInterrupt

    result = FusedCutSearch(bert.graph, MACHINE, progress=interrupt).run("edp")
    assert result.status == "stopped"
    assert result.cuts[0].edp <= FusedCutSearch(bert.graph, MACHINE).run("edp", 1).cuts[0].edp


def test_keys_are_indexed_by_what_their_reader_calls_them(bert) -> None:
    group = merged_group(bert.graph, ["k", "scores"])
    made, read = group.operator("k").output, group.operator("scores").access("k")
    assert set(made.dims) == set(read.dims)
    # Queries and keys of one input cannot be walked by one loop: nothing is renamed then.
    both = merged_group(bert.graph, ["q", "k", "scores"])
    assert both.operator("k").output.dims != both.operator("scores").access("k").dims


def test_caches_order_the_operators_that_write_and_read_them() -> None:
    gpt2 = fused_model(workloads.build("gpt2", phase="decode", context=64))
    assert ("k", "scores") in gpt2.graph.order
    order = [
        name for group in FusedCutSearch(gpt2.graph, MACHINE).run("edp").cuts[0].groups for name in group.operators
    ]
    assert order.index("k") < order.index("scores")


def test_relaxed_rules_are_never_worse(bert) -> None:
    graph = fused_model(workloads.build("bert-base", seq=128), ["scores", "softmax", "context"]).graph
    strict, *relaxed = (
        FusedCutSearch(graph, MACHINE, rules).run("edp").cuts[0].edp
        for rules in (Rules(), Rules(rows_may_be_cut=True), Rules(narrow_sums=True), Rules(True, True))
    )
    assert all(edp <= strict * (1 + 1e-12) for edp in relaxed)


def test_operators_without_a_nest_are_named() -> None:
    with pytest.raises(MappingError, match="fused loop nests are made of matmuls and row-wise operators, not of"):
        fused_model(workloads.build("resnet50"))
    with pytest.raises(MappingError, match=r"unknown operator 'scorse'; .* has q, k, v, scores"):
        fused_model(workloads.build("bert-base", seq=8), ["scorse"])
    tiny = dataclasses.replace(MACHINE, accumulator=100)
    graph = fused_model(workloads.build("bert-base", seq=128)).graph
    with pytest.raises(MappingError, match="no loop nest of softmax, attention_norm, ffn_norm fits gemmini_flat"):
        FusedCutSearch(graph, tiny).run("edp")
