"""Graphs cut in groups: what is fused by default, which cuts run, and how wide results are because of it."""

from __future__ import annotations

import pytest

import workloads
from mapper.errors import MappingError
from mapper.graph.dram_layout import lay_out, matmul_problem
from mapper.graph.fusion_cuts import fusion_groups
from tests.mapper.graph.chains import X, addition, after, chain, cut_by_name
from tests.mapper.tiny import machine
from workloads import GraphError, matmul
from workloads.ops import Gelu, LayerNorm, Relu, Softmax


def test_gelu_joins_the_matmul_on_the_unit_and_is_host_work_without() -> None:
    first = matmul("ffn1", 32, 64, 128, a=X)
    graph = chain(first, after(Gelu, first.output))
    groups = fusion_groups(graph, machine("gemmini_ibert"))
    (group,) = groups
    assert (group.name, group.unit, group.activation) == ("ffn1", "array", "gelu")
    assert [op.name for op in group.epilogue] == ["next"]
    assert [tensor.name for tensor in group.internal] == ["ffn1"]
    assert [tensor.name for tensor in (*group.inputs, group.result)] == ["x", "ffn1.b", "next"]
    layout = lay_out(groups)
    assert set(layout.allocations) == {"x", "ffn1.b", "next"}
    problem = matmul_problem(group, layout, 0, 8)
    assert problem.activation == "gelu"
    assert problem.c.address == layout.allocations["next"].address
    assert {name: group.unit for name, group in cut_by_name(graph, "gemmini").items()} == {
        "ffn1": "array",
        "next": "host",
    }


def test_relu_joins_everywhere_also_an_addition() -> None:
    first = matmul("fc", 32, 64, 64, a=X)
    assert list(cut_by_name(chain(first, after(Relu, first.output)), "gemmini")) == ["fc"]
    add = addition(X, workloads.Tensor("y", X.shape, X.dims))
    (group,) = cut_by_name(chain(add, after(Relu, add.output)), "gemmini").values()
    assert (group.unit, group.activation) == ("accumulator", "relu")
    assert [op.name for op in group.operators] == ["add", "next"]


def test_a_second_reader_prevents_fusion() -> None:
    first = matmul("ffn1", 32, 64, 64, a=X)
    groups = cut_by_name(chain(first, after(Gelu, first.output), addition(first.output, X)), "gemmini_ibert")
    assert groups["next"].unit == "accumulator"
    assert groups["ffn1"].result_bits == 8


@pytest.mark.parametrize("kind", [Softmax, LayerNorm])
def test_row_wise_operators_read_unrounded_sums(kind: type[Softmax] | type[LayerNorm]) -> None:
    first = matmul("scores", 32, 64, 128, a=X)
    graph = chain(first, after(kind, first.output))
    groups = cut_by_name(graph, "gemmini_ibert")
    assert groups["next"].unit == "normaliser"
    assert groups["scores"].result_bits == 32
    layout = lay_out(groups.values())
    assert layout.allocation(first.output).element_bytes == 4
    problem = matmul_problem(groups["scores"], layout, 0, 8)
    assert problem.c_full
    assert problem.c.row_stride_bytes == 4 * 128
    baseline = cut_by_name(graph, "paper_baseline")
    assert baseline["next"].unit == "host"
    assert baseline["scores"].result_bits == 8


def test_every_edge_can_be_cut() -> None:
    """What the default cut fuses may also run as two groups: the activation then streams through the accumulator."""
    first = matmul("ffn1", 32, 64, 128, a=X)
    graph = chain(first, after(Gelu, first.output))
    groups = cut_by_name(graph, "gemmini_ibert", [["ffn1"], ["next"]])
    assert [group.unit for group in groups.values()] == ["array", "accumulator"]
    assert groups["ffn1"].result_bits == 32


def test_groups_run_in_the_order_of_the_graph_whatever_the_order_of_the_cut() -> None:
    graph = workloads.build("bert-base", seq=32)
    cut = [[op.name] for op in graph.operators]
    groups = fusion_groups(graph, machine("gemmini_ibert"), cut[::-1])
    assert [group.name for group in groups] == [op.name for op in graph.operators]


@pytest.mark.parametrize(("model", "seq"), [("bert-base", 16), ("gpt2", 16), ("resnet50", None)])
def test_every_operator_is_in_exactly_one_group(model: str, seq: int | None) -> None:
    graph = workloads.build(model, seq=seq)
    groups = fusion_groups(graph, machine("gemmini_ibert"))
    names = [op.name for group in groups for op in group.operators]
    assert sorted(names) == sorted(op.name for op in graph.operators)
    assert len(groups) < len(names)


def test_cuts_that_no_graph_has_are_refused() -> None:
    first = matmul("ffn1", 32, 64, 128, a=X)
    graph, spec = chain(first, after(Softmax, first.output)), machine("gemmini_ibert")
    with pytest.raises(MappingError, match="every operator is in one group; next is in 0 groups"):
        fusion_groups(graph, spec, [["ffn1"]])
    with pytest.raises(MappingError, match="a group of the cut has no operator"):
        fusion_groups(graph, spec, [["ffn1"], ["next"], []])
    with pytest.raises(MappingError, match="ffn1 is in 2 groups"):
        fusion_groups(graph, spec, [["ffn1"], ["ffn1"], ["next"]])
    with pytest.raises(GraphError, match="no operator 'ffn2'"):
        fusion_groups(graph, spec, [["ffn1"], ["next"], ["ffn2"]])
    with pytest.raises(MappingError) as caught:
        fusion_groups(graph, machine("gemmini"), [["ffn1", "next"]])
    assert str(caught.value).splitlines() == [
        "ffn1, next cannot run as one group on gemmini",
        "  next: gemmini has no unit that evaluates softmax",
    ]


def test_a_row_wise_epilogue_is_one_group_when_it_is_asked_for() -> None:
    """The sums between the two have no address, and probabilities leave as int8."""
    first = matmul("scores", 32, 64, 128, a=X)
    graph = chain(first, after(Softmax, first.output))
    (group,) = cut_by_name(graph, "gemmini_ibert", [["scores", "next"]]).values()
    assert (group.unit, group.activation, group.result_bits) == ("array", "softmax", 8)
    problem = matmul_problem(group, lay_out([group]), 0, 8)
    assert problem.whole_rows
    assert not problem.c_full
