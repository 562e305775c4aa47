"""Who may join whom: every rule names the operator and says why."""

from __future__ import annotations

import hwconfigs
from mapper.graph.fusion_rules import obstacles
from tests.mapper.graph.chains import X, addition, after, chain
from tests.mapper.tiny import machine
from workloads import Operator, Tensor, matmul
from workloads.ops import Gelu, LayerNorm, Relu, RmsNorm, Silu, Softmax


def told(*operators: Operator, proposed: int = 2, name: str = "gemmini_ibert") -> list[str]:
    """Reasons against the first ``proposed`` operators of a graph as one group."""
    return [str(obstacle) for obstacle in obstacles(operators[:proposed], chain(*operators), machine(name))]


FIRST = matmul("ffn1", 32, 64, 64, a=X)
IBERT = machine("gemmini_ibert")


def test_one_operator_alone_and_a_fused_activation_meet_no_obstacle() -> None:
    assert told(FIRST, proposed=1) == []
    assert told(after(RmsNorm, X), proposed=1) == []
    assert told(FIRST, after(Gelu, FIRST.output)) == []


def test_a_machine_without_the_kernel_is_told() -> None:
    assert told(FIRST, after(Gelu, FIRST.output), name="gemmini") == [
        "next: gemmini has no unit that evaluates gelu",
    ]
    assert told(FIRST, after(Relu, FIRST.output), name="gemmini") == []


def test_silu_joins_a_matmul_where_the_normaliser_has_it() -> None:
    """No Gemmini has; a vector unit beside the normaliser is no store."""
    group = (FIRST, after(Silu, FIRST.output))
    assert told(*group) == ["next: gemmini_ibert has no unit that evaluates silu"]
    assert told(*group, name="gemmini_decoder") == ["next: gemmini_decoder has no unit that evaluates silu"]
    with_silu = hwconfigs.override(IBERT, {"vector.kernels": ["softmax", "silu"]})
    assert obstacles(group, chain(*group), with_silu) == ()


def test_other_readers_are_named() -> None:
    assert told(FIRST, after(Gelu, FIRST.output), addition(FIRST.output, X)) == [
        "ffn1: add also reads its result",
    ]


def test_a_residual_joins_the_sums_of_a_matmul_before_they_are_normalised() -> None:
    add = addition(FIRST.output, X)
    assert told(FIRST, add) == []
    assert told(FIRST, add, after(LayerNorm, add.output), proposed=3) == []
    assert told(FIRST, add, after(RmsNorm, add.output), proposed=3) == ["next: no store applies rmsnorm"]


def test_an_epilogue_reads_the_result_before_it_and_nothing_else() -> None:
    wide = Tensor("wide", X.shape, X.dims, 16)
    gelu = after(Gelu, FIRST.output, "gelu")
    for operators, said in (
        ((FIRST, addition(FIRST.output, wide)), ["add: reads ffn1, wide, not ffn1 alone"]),
        ((FIRST, addition(FIRST.output, FIRST.output)), ["add: reads ffn1, ffn1, not ffn1 alone"]),
        ((FIRST, gelu, addition(gelu.output, X)), ["add: reads gelu, x, not gelu alone"]),
    ):
        reasons = told(*operators, proposed=len(operators))
        assert [reason for reason in reasons if "reads" in reason and "also" not in reason] == said
        assert "add: no store applies add" in reasons


def test_stores_apply_one_activation() -> None:
    relu = after(Relu, FIRST.output, "relu")
    gelu = after(Gelu, relu.output)
    assert told(FIRST, relu, gelu, proposed=3) == [
        "next: a store applies one activation (ffn1: epilogue needs 2 operators > 1)",
    ]
    assert told(relu, gelu) == ["relu: its own stores apply relu already"]


def test_what_leads_must_leave_through_the_accumulator() -> None:
    norm = after(RmsNorm, X, "norm")
    assert told(norm, after(Relu, norm.output)) == [
        "norm: runs on the host, whose results do not pass the accumulator's stores",
    ]


def test_whole_rows_join_a_matmul_whose_tile_holds_them() -> None:
    assert told(FIRST, after(LayerNorm, FIRST.output)) == []
    heads = matmul("heads", 32, 64, 32, a=X)
    norm = LayerNorm(name="next", inputs=(heads.output,), output=Tensor("next", (16, 64), ("m", "n")), rows=16, cols=64)
    assert told(heads, norm) == [
        "next: layernorm needs rows of 64 complete in the accumulator, and those of heads have 32",
    ]


def test_rows_that_no_tile_holds_name_the_smallest_memory_that_would_do() -> None:
    """16 rows of 2,064 columns are 129 blocks of 1,024 bytes; 129 blocks of weights and one of inputs take 256 each."""
    wide = matmul("wide", 32, 64, 2064, a=X)
    (accumulator,) = obstacles((wide, after(Softmax, wide.output)), chain(wide, after(Softmax, wide.output)), IBERT)
    assert accumulator.rule == "capacity"
    assert str(accumulator) == (
        "next: softmax needs whole rows of 2,064 (accumulator: a tile of 16 rows of 2,064 needs 132,096 bytes > "
        "131,072; the smallest accumulator that would do has 129 KiB)"
    )
    larger = hwconfigs.override(IBERT, {"accumulator.capacity": "129 KiB"})
    assert obstacles((wide, after(Softmax, wide.output)), chain(wide, after(Softmax, wide.output)), larger) == ()
    small = hwconfigs.override(larger, {"scratchpad.capacity": "32 KiB"})
    (scratchpad,) = obstacles((wide, after(Softmax, wide.output)), chain(wide, after(Softmax, wide.output)), small)
    assert scratchpad.violation is not None
    assert (scratchpad.violation.resource, scratchpad.violation.demand) == ("scratchpad", 130 * 256)


def test_behind_an_addition_one_row_has_to_fit_a_half() -> None:
    """A row of 16,400 columns takes 1,025 rows of the accumulator, whose halves have 1,024."""
    for cols, fits in ((16_384, True), (16_400, False)):
        x, y = (Tensor(name, (4, cols), ("m", "k")) for name in "xy")
        add = addition(x, y)
        (*obstacle,) = obstacles((add, after(LayerNorm, add.output)), chain(add, after(LayerNorm, add.output)), IBERT)
        assert (not obstacle) is fits
    assert "the smallest accumulator that would do has 129 KiB" in str(obstacle[0])


def test_wide_results_are_not_rounded() -> None:
    wide = matmul("ffn1", 32, 64, 64, a=X, output_bits=32)
    assert told(wide, after(Relu, wide.output)) == [
        "ffn1: its result is not rounded to the width of operands (ffn1: element width needs 32 bits > 8)",
    ]
    assert told(FIRST, after(Relu, FIRST.output, bits=16)) == [
        "next: its result is not rounded to the width of operands (next: element width needs 16 bits > 8)",
    ]


def test_tensors_are_compared_by_what_they_are() -> None:
    """An operator that only shares a name with a producer's reader is no reader of it."""
    unrelated = Tensor("y", X.shape, X.dims)
    assert told(FIRST, after(Relu, unrelated)) == ["next: reads y, not ffn1 alone"]
