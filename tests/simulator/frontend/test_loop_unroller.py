"""Command order of the hardware loop, spelled out for small tiles; addresses and rows of its commands."""

from __future__ import annotations

import pytest

from hwconfigs import HardwareSpec
from simulator.frontend.loop_unroller import (
    BIAS,
    INPUT,
    WEIGHT,
    Shape,
    blocks,
    blocks_per_segment,
    load_columns,
    placement,
    plan,
    shape_of,
    store_columns,
)
from simulator.program import MatmulLoop, Matrix

NAMES = {INPUT: "A", WEIGHT: "B", BIAS: "D"}


def shape(i: int, j: int, k: int, wide: int = 4, **flags: bool) -> Shape:
    on = {"load_a": True, "load_b": True, "load_d": False, "b_transposed": False} | flags
    return Shape(i=i, j=j, k=k, blocks_per_mvin=wide, blocks_per_mvout=wide, **on)


def loads(s: Shape) -> list[str]:
    order = plan(s)
    return [f"{NAMES[int(a)]}{b}{c}" for a, b, c in zip(order.kind, order.outer, order.inner, strict=True)]


def test_b_comes_first_then_a_until_its_k_is_ahead() -> None:
    """B00. A's next k is 0, B's is 1: A for all i (k = 0..3 in one mvin). A's next k is 4: B until it is at 4, ..."""
    assert loads(shape(2, 1, 6)) == ["B00", "A00", "A10", "B10", "B20", "B30", "A04", "A14", "B40", "B50"]


def test_b_takes_four_blocks_of_j_per_mvin() -> None:
    assert [name for name in loads(shape(1, 6, 2)) if name[0] == "B"] == ["B00", "B04", "B10", "B14"]


def test_a_goes_first_while_the_next_k_are_equal() -> None:
    """Take B if A's next k is greater than B's, else A: after B00 both are at k = 0, so A00 comes before B04."""
    assert loads(shape(1, 6, 2))[:3] == ["B00", "A00", "B04"]


def test_transposed_b_is_walked_by_columns() -> None:
    """B^T has n rows: for k in steps of four blocks, for j."""
    assert [name for name in loads(shape(1, 2, 6, b_transposed=True)) if name[0] == "B"] == ["B00", "B10", "B04", "B14"]


def test_bias_comes_before_everything() -> None:
    """D block by block, for j, for i."""
    assert loads(shape(2, 2, 1, load_d=True))[:5] == ["D00", "D10", "D01", "D11", "B00"]


@pytest.mark.parametrize(("flags", "names"), [({"load_a": False}, {"B"}), ({"load_b": False}, {"A"})])
def test_kept_operands_are_not_loaded(flags: dict[str, bool], names: set[str]) -> None:
    assert {name[0] for name in loads(shape(2, 2, 2, **flags))} == names


def test_nothing_to_load() -> None:
    order = plan(shape(2, 2, 2, load_a=False, load_b=False))
    assert len(order.kind) == 0
    assert order.need == [0] * 8


def test_pairs_run_k_then_j_then_i() -> None:
    order = plan(shape(2, 2, 2))
    pairs = list(zip(order.pair_k.tolist(), order.pair_j.tolist(), order.pair_i.tolist(), strict=True))
    assert pairs == [(k, j, i) for k in range(2) for j in range(2) for i in range(2)]


def test_pairs_wait_for_their_own_blocks() -> None:
    """Loads B00 A00 A10 B10: pair (0,0,0) needs two, (0,0,1) three, both of k = 1 all four."""
    assert loads(shape(2, 1, 2)) == ["B00", "A00", "A10", "B10"]
    assert plan(shape(2, 1, 2)).need == [2, 3, 4, 4]


def test_pairs_wait_for_all_of_the_bias() -> None:
    """D00 D01 B00 A00: even the first pair, which needs only D00, waits for D01."""
    assert plan(shape(1, 2, 1, load_d=True)).need == [4, 4]


def test_stores_go_by_column_groups() -> None:
    """Six blocks of j leave as 0..3 and 4..5, each for i = 0 and 1, when their last block is written."""
    order = plan(shape(2, 6, 1))
    assert list(zip(order.store_j.tolist(), order.store_i.tolist(), strict=True)) == [(0, 0), (0, 1), (4, 0), (4, 1)]
    assert order.store_need == [6, 7, 10, 11]


def test_segments_hold_what_fits_a_request(gemmini: HardwareSpec, tiny: HardwareSpec) -> None:
    """64 bytes: four int8 blocks or one int32 block of 16; 16 bytes: four int8 blocks of 4."""
    assert blocks_per_segment(gemmini) == 4
    assert blocks_per_segment(gemmini, 32) == 1
    assert blocks_per_segment(tiny) == 4
    assert (blocks(16, 16), blocks(17, 16)) == (1, 2)


def test_int32_results_leave_block_by_block(tiny: HardwareSpec) -> None:
    loop = MatmulLoop(4, 4, 8, Matrix(0, 4), Matrix(64, 8), Matrix(256, 32), c_full=True)
    s = shape_of(loop, tiny)
    columns = store_columns(loop, s, tiny, placement(s, tiny, 0, 0, 0, False))
    assert columns.base.tolist() == [256, 272]
    assert columns.size_bytes.tolist() == [16, 16]
    assert columns.local_row.tolist() == [0, 4]


def test_a_from_the_bottom_b_up_to_the_top(tiny: HardwareSpec) -> None:
    """Halves of 128 scratchpad and 32 accumulator rows; 8x12x4: B has 3 blocks of 4 rows."""
    s = shape(2, 1, 3)
    first, second = placement(s, tiny, 0, 0, 0, False), placement(s, tiny, 1, 1, 1, False)
    assert (first.a_row, first.b_row, first.c_row) == (0, 116, 0)
    assert (second.a_row, second.b_row, second.c_row) == (128, 244, 32)


def test_a_tile_larger_than_a_half_takes_the_whole_scratchpad(tiny: HardwareSpec) -> None:
    """(5 x 4 + 4 x 5) blocks of 4 rows are 160 > 128: B ends at row 256."""
    assert placement(shape(5, 5, 4), tiny, 0, 0, 0, True).b_row == 256 - 80


def test_ragged_loads(tiny: HardwareSpec) -> None:
    """7x9x5, rows of 20 bytes: A's second mvin has 3 rows; all 9 k fit one mvin of 3 blocks; B's k = 2 has 1 row."""
    loop = MatmulLoop(7, 9, 5, Matrix(1000, 20), Matrix(2000, 20), None)
    s = shape_of(loop, tiny)
    columns = load_columns(loop, s, tiny, placement(s, tiny, 0, 0, 0, False))
    kinds = plan(s).kind
    a, b = kinds == INPUT, kinds == WEIGHT
    assert columns.base[a].tolist() == [1000, 1080]
    assert columns.rows[a].tolist() == [4, 3]
    assert columns.size_bytes[a].tolist() == [9, 9]
    assert columns.local_row[a].tolist() == [0, 12]
    assert columns.base[b].tolist() == [2000, 2080, 2160]
    assert columns.rows[b].tolist() == [4, 4, 1]
    assert columns.size_bytes[b].tolist() == [5, 5, 5]
    assert columns.local_row[b].tolist() == [104, 112, 120]
    assert set(columns.local_rows[a].tolist()) == {12}
    assert set(columns.local_rows[b].tolist()) == {8}
