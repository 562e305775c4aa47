"""Which unit runs an operator, and why not a faster one."""

from __future__ import annotations

import pytest

from mapper.graph.capabilities import rows_per_tile
from mapper.graph.placement import Assignment, assign
from tests.mapper.graph.chains import X, addition, after
from tests.mapper.tiny import machine
from workloads import Tensor, matmul
from workloads.ops import Gelu, LayerNorm, Relu, RmsNorm, Softmax


def test_every_kind_of_operator_has_its_unit() -> None:
    spec = machine("gemmini_ibert")
    assert assign(matmul("fc", 32, 64, 64, a=X), spec) == Assignment("array")
    assert [assign(after(kind, X), spec).unit for kind in (Softmax, LayerNorm)] == ["normaliser"] * 2
    operators = after(Relu, X), after(Gelu, X), addition(X, Tensor("y", X.shape, X.dims))
    assert [assign(op, spec).unit for op in operators] == ["accumulator"] * 3
    assert [assign(op, machine("gemmini")).unit for op in operators] == ["accumulator", "host", "accumulator"]


@pytest.mark.parametrize("bits", [4, 16, 32])
def test_widths_that_the_accumulator_does_not_give_go_to_the_host(bits: int) -> None:
    spec = machine("gemmini_ibert")
    assert assign(after(Relu, X, bits=bits), spec) == Assignment(
        "host", "on the host: the units take int8 or int32 only"
    )
    normalised = assign(after(Softmax, X, bits=bits), spec)
    assert normalised == Assignment("host", "on the host: the unit takes int8 or int32 and gives int8")


def test_a_row_longer_than_half_the_accumulator_goes_to_the_host() -> None:
    """128 KiB of 64-byte rows: 1,024 in a half, so 16 rows of 1,024 columns, one row of 16,384, none of 16,400."""
    spec = machine("gemmini_ibert")
    assert [rows_per_tile(cols, spec) for cols in (1024, 1040, 16_384, 16_400)] == [16, 15, 1, 0]
    assigned = assign(after(Softmax, Tensor("long", (2, 16_400), ("m", "n"))), spec)
    row = "a row has 16,400 elements, and half of the accumulator holds 16,384"
    assert assigned == Assignment("host", f"on the host: {row}; the unit takes whole rows")


def test_kernels_without_a_command_stay_on_the_host() -> None:
    assert assign(after(RmsNorm, X), machine("gemmini_ibert")).unit == "host"
