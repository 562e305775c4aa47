"""Dimensions that a producer and its consumer share, under the names of both."""

from __future__ import annotations

import pytest

import workloads
from mapper.graph.fusion_cuts import fusion_groups
from mapper.graph.internal_edge import InternalEdge, SharedDim
from tests.mapper.tiny import machine


def test_a_softmax_shares_all_dimensions_of_the_scores_and_needs_one_complete() -> None:
    graph = workloads.build("bert-base", seq=128)
    edge = InternalEdge(graph.operator("scores"), graph.operator("softmax"))
    assert {dim.name: dim.extent for dim in edge.shared} == {
        "batch": 1,
        "head": 12,
        "query_head": 1,
        "query": 128,
        "attended": 128,
    }
    assert all(dim.name == dim.producer == dim.consumer for dim in edge.shared)
    assert [dim.name for dim in edge.shared if dim.complete] == ["attended"]


def test_both_names_of_a_renamed_dimension_are_told() -> None:
    """The rows of the keys are queries where they are made and attended to where they are read."""
    graph = workloads.build("bert-base", seq=128)
    edge = InternalEdge(graph.operator("k"), graph.operator("scores"))
    assert SharedDim("query", 128, "query", "attended", complete=False) in edge.shared


@pytest.mark.parametrize(("model", "seq"), [("bert-base", 16), ("gpt2", 16), ("resnet50", None)])
def test_the_epilogue_shares_every_dimension_with_what_it_follows(model: str, seq: int | None) -> None:
    groups = fusion_groups(workloads.build(model, seq=seq), machine("gemmini_ibert"))
    edges = [edge for group in groups for edge in group.edges]
    assert edges
    for edge in edges:
        names = [dim for axis in edge.tensor.axes for dim, _ in axis]
        assert [dim.name for dim in edge.shared] == names
        assert not any(dim.complete for dim in edge.shared)
