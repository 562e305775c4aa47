"""Where operators run, and what is fused or stored wide because of it."""

from __future__ import annotations

from itertools import pairwise

import pytest

import workloads
from mapper.graph.capabilities import rows_per_tile
from mapper.graph.dram_layout import lay_out, matmul_problem
from mapper.graph.placement import place
from mapper.mapping.matmul_problem import PAGE_BYTES
from tests.mapper.tiny import machine
from workloads import Operator, OpGraph, Tensor, matmul
from workloads.ops import Add, Gelu, LayerNorm, Relu, RmsNorm, Softmax

X = Tensor("x", (32, 64), ("m", "k"))


def chain(*operators: Operator) -> OpGraph:
    return OpGraph("chain", operators)


def after(kind: type[Gelu] | type[Relu] | type[Softmax] | type[LayerNorm] | type[RmsNorm], x: Tensor) -> Operator:
    rows, cols = x.shape
    return kind(name="next", inputs=(x,), output=Tensor("next", x.shape, x.dims), rows=rows, cols=cols)


def test_gelu_behind_a_matmul_costs_nothing_on_the_unit_and_host_work_without() -> None:
    first = matmul("ffn1", 32, 64, 128, a=X)
    graph = chain(first, after(Gelu, first.output))
    fused = place(graph, machine("gemmini_ibert"))
    assert fused["next"].place == "store path"
    assert "ffn1" in fused["next"].note
    problem = matmul_problem(fused["ffn1"], lay_out(fused), 0, 8)
    assert problem.activation == "gelu"
    assert place(graph, machine("gemmini"))["next"].place == "host"


def test_relu_is_free_everywhere_also_behind_an_addition() -> None:
    first = matmul("fc", 32, 64, 64, a=X)
    assert place(chain(first, after(Relu, first.output)), machine("gemmini"))["next"].place == "store path"
    add = Add(
        name="add", inputs=(X, Tensor("y", X.shape, X.dims)), output=Tensor("add", X.shape, X.dims), rows=32, cols=64
    )
    placed = place(chain(add, after(Relu, add.output)), machine("gemmini"))
    assert (placed["add"].place, placed["next"].place) == ("accumulator", "store path")
    assert placed["next"].partner == add


def test_a_second_reader_prevents_fusion() -> None:
    first = matmul("ffn1", 32, 64, 64, a=X)
    add = Add(name="add", inputs=(first.output, X), output=Tensor("add", X.shape, X.dims), rows=32, cols=64)
    placed = place(chain(first, after(Gelu, first.output), add), machine("gemmini_ibert"))
    assert placed["next"].place == "accumulator"
    assert not placed["ffn1"].full_result


@pytest.mark.parametrize("kind", [Softmax, LayerNorm])
def test_row_wise_operators_read_unrounded_sums(kind: type[Softmax] | type[LayerNorm]) -> None:
    first = matmul("scores", 32, 64, 128, a=X)
    graph = chain(first, after(kind, first.output))
    placed = place(graph, machine("gemmini_ibert"))
    assert placed["next"].place == "unit"
    assert placed["scores"].full_result
    layout = lay_out(placed)
    assert layout.place(first.output).element_bytes == 4
    problem = matmul_problem(placed["scores"], layout, 0, 8)
    assert problem.c_full
    assert problem.c.row_stride_bytes == 4 * 128
    baseline = place(graph, machine("paper_baseline"))
    assert baseline["next"].place == "host"
    assert not baseline["scores"].full_result


def test_a_row_longer_than_half_the_accumulator_goes_to_the_host() -> None:
    """128 KiB of 64-byte rows: 1,024 in a half, so 16 rows of 1,024 columns, one row of 16,384, none of 16,400."""
    spec = machine("gemmini_ibert")
    assert [rows_per_tile(cols, spec) for cols in (1024, 1040, 16_384, 16_400)] == [16, 15, 1, 0]
    long = Tensor("long", (2, 16_400), ("m", "n"))
    placed = place(chain(after(Softmax, long)), spec)["next"]
    assert placed.place == "host"
    assert placed.note == "a row of 16400 > 16384 elements, half of the accumulator"


def test_kernels_without_a_command_stay_on_the_host() -> None:
    assert place(chain(after(RmsNorm, X)), machine("gemmini_ibert"))["next"].place == "host"


def test_layout_gives_every_tensor_its_own_pages() -> None:
    graph = workloads.build("bert-base", seq=32)
    layout = lay_out(place(graph, machine("gemmini_ibert")))
    places = sorted(layout.places.values(), key=lambda place: place.address)
    assert all(place.address % PAGE_BYTES == 0 for place in places)
    for low, high in pairwise(places):
        assert low.address + low.size_bytes <= high.address
    assert layout.workspace >= places[-1].address + places[-1].size_bytes


def test_instances_follow_the_views() -> None:
    graph = workloads.build("bert-base", seq=32)
    placed = place(graph, machine("gemmini_ibert"))
    layout = lay_out(placed)
    first, second = (matmul_problem(placed["scores"], layout, head, 8) for head in (0, 1))
    assert second.a.address - first.a.address == 64
    assert first.a.row_stride_bytes == 768
    assert first.b_transposed
    assert second.c.address - first.c.address == 32 * 32 * 4
