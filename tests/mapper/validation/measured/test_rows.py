"""Measured rows as programs, categories, gates and rank correlation."""

from __future__ import annotations

from itertools import permutations

import pytest

from mapper.validation.gates import GATES, verdicts
from mapper.validation.measured import categories, firesim
from mapper.validation.measured.measuring_programs import in_second_series
from mapper.validation.measured.results import RowResult
from mapper.validation.measured.rows import MeasuredTable
from mapper.validation.measured.runner import run_firesim, run_rtl
from mapper.validation.plots import draw_scatter, scatter
from mapper.validation.ranks import spearman, within_groups
from mapper.validation.scoreboard import scores
from simulator.program import MatmulLoop
from simulator.views.style import PAPER
from tests.mapper.validation.measured.made_rows import (
    FIRESIM,
    SHIPPED,
    Row,
    firesim_row,
    firesim_rows,
    product_row,
    rtl_row,
    shipped_rows,
)

needs_firesim = pytest.mark.skipif(
    not FIRESIM.exists(), reason="gemmini_firesim.csv is another project's data: it is not committed, and not here"
)


def silent(source: str, done: int, total: int) -> None:
    """No progress."""


def result(measured: int, simulated: int, category: str = categories.PRODUCTS, **more: object) -> RowResult:
    return RowResult("rtl", 2, "row", category, measured, simulated, **more)  # type: ignore[arg-type]


def loops(trips: str, **cells: str) -> list[MatmulLoop]:
    row = firesim_row(exec_trips_outer_to_inner=trips, **cells)
    return [item for item in firesim.program(row, firesim.machine(16)).items if isinstance(item, MatmulLoop)]


@pytest.mark.parametrize("order", list(permutations(("P2", "C2", "K2"))))
def test_firesim_tiles_cover_the_product_in_any_order(order: tuple[str, ...]) -> None:
    """100 x 90 x 50 in tiles of 64 x 64 x 32: each of the eight loops loads A and B, half of them write."""
    shape = {"M": "100", "K": "90", "N": "50", "exec_tile_P": "64", "exec_tile_C": "64", "exec_tile_Kout": "32"}
    commands = loops(">".join(order), **shape)
    assert len(commands) == 8
    assert sum(loop.macs for loop in commands) == 100 * 90 * 50
    assert all(loop.a is not None and loop.b is not None for loop in commands)
    written = [loop for loop in commands if loop.c is not None]
    assert sum(loop.m * loop.n for loop in written) == 100 * 50
    assert all(loop.k == 90 - 64 for loop in written), "the output leaves on the last trip of the reduction"


def test_firesim_loops_follow_the_order_of_the_row() -> None:
    commands = loops("K2>C2", N="64")
    starts = [(loop.b.address - firesim.B_BASE) for loop in commands if loop.b is not None]
    assert starts == [0, 64 * 64, 32, 64 * 64 + 32]


def test_the_array_alone_by_its_formula() -> None:
    """max(M, 4) + (Q - 1) max(M, 32) + 3 x 32, measured on a 32 x 32 array."""
    for rows in (1, 3, 4, 8, 31, 32, 64, 256):
        for tiles in (1, 2, 7, 32):
            assert firesim.mesh_cycles(32, rows, tiles) == max(rows, 4) + (tiles - 1) * max(rows, 32) + 96


def test_history_is_what_the_same_binary_ran_before() -> None:
    rows = [
        firesim_row(M="1"),
        firesim_row(M="2", pe_dim="8"),
        firesim_row(M="3"),
        firesim_row(M="x"),
        firesim_row(M="3"),
        firesim_row(M="1"),
    ]
    sizes = [[shape.m for shape in history] for history in firesim.histories(rows)]
    assert sizes == [[], [], [1], [1, 3], [1], [3]]


@needs_firesim
def test_array_micro_benchmarks_are_exact() -> None:
    rows = [row for row in firesim_rows() if row["kind"] == "array_microbench"]
    assert len(rows) >= 60
    assert [firesim.cycles(row) for row in rows] == [int(row["measured_cycles"]) for row in rows]


@needs_firesim
def test_small_firesim_rows() -> None:
    """Repeated products of at most 2,000 requests, every array size: within 10 % on the average, never below the
    array's own bound."""
    small = [
        row for row in firesim_rows()
        if row["kind"] == "matmul" and row["cache_state"] != "first_of_shape" and int(row["ld_requests"]) <= 2000
    ]  # fmt: skip
    results = run_firesim(MeasuredTable(FIRESIM, tuple(small)), silent, workers=1)
    assert not results.skipped
    (line, *_) = scores(results.run)
    assert line.mean <= 0.10
    assert all(row.simulated >= row.floor > 0 for row in results.run)


def test_any_number_of_workers_gives_the_same() -> None:
    tiles = ("32", "64", "128")
    rows = tuple(
        firesim_row(exec_tile_P=tile, exec_trips_outer_to_inner=f"P{128 // int(tile)}>C2", cache_state=state)
        for tile in tiles
        for state in ("first_of_shape", "repeat_of_shape")
    )
    table = MeasuredTable(FIRESIM, (*rows, firesim_row(kind="conv"), firesim_row(M="none")))
    alone = run_firesim(table, silent, workers=1)
    assert len(alone.run) == 6
    assert [row.bad for row in alone.skipped] == [False, True]
    assert run_firesim(table, silent, workers=2) == alone


def test_the_first_shipped_rows_run_and_repeat() -> None:
    rows = tuple(shipped_rows()[:120])
    results = [run_rtl(MeasuredTable(SHIPPED, rows), silent) for _ in range(2)]
    assert results[0] == results[1]
    assert len(results[0].run) + len(results[0].skipped) == 120
    assert not results[0].bad


def test_program_constants_can_be_left_out() -> None:
    """A stream of prepared commands is issued at the pace of any stream, 75 % too slowly; a product does not change."""
    rows = [row for row in shipped_rows() if row["test"] == "ws_chain_Bevery4_rows_precomp" and row["rows"] == "3"][:1]
    rows += [row for row in shipped_rows() if row["test"] == "loop_ws_auto" and row["M"] == "32"][:1]
    table = MeasuredTable(SHIPPED, rows)
    fitted, plain = (run_rtl(table, silent, core_cycles).run for core_cycles in (True, False))
    assert abs(fitted[0].error) < 0.02
    assert plain[0].error > 0.7
    assert plain[1].simulated == fitted[1].simulated


def test_every_shipped_row_has_a_place() -> None:
    rows = shipped_rows()
    assert len(rows) == 1622
    for row in rows:
        assert categories.is_known_call(row["test"]), row["test"]
        assert categories.category(row) in categories.CATEGORIES
    cold = categories.cold_core_rows(rows)
    assert len(cold) == 18
    named = {(rows[index]["test"], rows[index]["M"]) for index in cold}
    assert {("loop_ws_auto", "16"), ("loop_ws_auto", "64"), ("loop_ws_auto", "32")} <= named


def test_the_second_series_has_a_warm_instruction_cache() -> None:
    """Its programs ran two products before."""
    first = [rtl_row(test="fence_empty"), product_row(state="cold"), product_row(state="cold")]
    second_soc = rtl_row(gemmini_config="chip_16x16_sp64K_acc32K")
    assert categories.cold_core_rows([*first, second_soc, product_row(state="cold")]) == {1}
    offset = rtl_row(test="mvin_acc32", state="cold", offset_bytes="0")
    assert categories.cold_core_rows([product_row(state="cold"), offset]) == set()
    assert categories.cold_core_rows(shipped_rows()[1198:]) == set()


PLAIN, CALL, OFFSET = {"test": "mvin_spad"}, {"test": "loop_ws_auto"}, {"offset_bytes": "0"}


@pytest.mark.parametrize(
    ("tests", "second"),
    [
        ((PLAIN, CALL), (False, False)),
        ((CALL, PLAIN), (False, False)),
        (({"test": "loop_ws_auto_nocounters"},), (False,)),
        (({"test": "os_auto"}, CALL), (True, True)),
        ((OFFSET,), (True,)),
        ((PLAIN, CALL, CALL, OFFSET, CALL), (False, True, True, True, True)),
        ((CALL, {"group": "qkv_M16_d256"}), (True, True)),
        (({"test": "mix_mvin64+mvout64"}, CALL), (True, True)),
        (({"test": "ws_chain_Bevery02_precomp"},), (True,)),
        (({"test": "loop_ws_auto_softmax_Btransposed"},), (True,)),
        (({"test": "precomp_db"}, PLAIN), (False, False)),
    ],
)
def test_the_series_of_a_file(tests: tuple[Row, ...], second: tuple[bool, ...]) -> None:
    """Only the second has offsets, groups, mixes, only the first plain streams; calls go with the next that tells."""
    assert in_second_series([rtl_row(**cells) for cells in tests]) == list(second)


def test_each_machine_of_a_file_has_its_series() -> None:
    """Also in files of products, of streams, or of one machine: there only calls between the two series go wrong."""
    rows = shipped_rows()
    assert in_second_series(rows) == [False] * 1198 + [True] * 424
    assert all(in_second_series([row for row in rows[1198:] if row["M"] and not row["group"]]))
    assert all(in_second_series([row for row in rows[1198:] if not row["M"]]))
    ambiguous = {"default_16x16_sp256K_acc64K": 0, "default_16x16_sp256K_acc64K+norm_timing_model": 0}
    for config in {row["gemmini_config"] for row in rows}:
        of_config = [index for index, row in enumerate(rows) if row["gemmini_config"] == config]
        told = in_second_series([rows[index] for index in of_config])
        wrong = sum(second != (index >= 1198) for index, second in zip(of_config, told, strict=True))
        assert wrong == ambiguous.get(config, 18)


def test_a_failed_row_does_not_tell_the_series() -> None:
    """Readouts of the first series around a row of the second one that makes no sense run as if it were not there."""
    rows = shipped_rows()[1124:1140]
    alone = run_rtl(MeasuredTable(SHIPPED, tuple(rows)), silent)
    odd = rows[0] | {"test": "mix_mvin64+bogus", "n_ops": ""}
    mixed = run_rtl(MeasuredTable(SHIPPED, (*rows[:4], odd, *rows[4:])), silent)
    assert len(mixed.bad) == 1
    assert [row.simulated for row in mixed.run] == [row.simulated for row in alone.run]


def test_spearman() -> None:
    assert spearman([1, 2, 3], [10, 20, 30]) == pytest.approx(1.0)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert spearman([1, 2, 2, 3], [1, 2, 2, 3]) == pytest.approx(1.0)
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)
    assert spearman([5, 5, 5], [7, 7, 7]) == 1.0
    assert spearman([5, 5, 5], [1, 2, 3]) == 0.0


def test_rank_needs_eight_mappings_of_one_shape() -> None:
    rows = [result(number, number, group="a") for number in range(1, 8)]
    assert within_groups(rows) is None
    assert within_groups([*rows, result(9, 9, group="a"), result(1, 5, group="b")]) == pytest.approx(1.0)


def test_gates_look_at_their_rows_only() -> None:
    rows = [result(100, 103), result(100, 117), result(100, 900, category=categories.COLD_CORE)]
    by_figure = {(verdict.gate.rows, verdict.gate.figure): verdict for verdict in verdicts(rows)}
    assert set(by_figure) == {("products", "mean"), ("products", "worst")}
    assert not by_figure["products", "mean"].holds
    assert by_figure["products", "worst"].holds


def test_a_row_below_the_bound_of_the_array_fails() -> None:
    rows = [result(100, 99, category=categories.FIRESIM, floor=100)]
    (verdict,) = [verdict for verdict in verdicts(rows) if verdict.gate.figure == "rows below the array's bound"]
    assert verdict.value == 1
    assert not verdict.holds


def test_every_gate_names_a_category() -> None:
    assert {gate.category for gate in GATES} <= set(categories.CATEGORIES)


def test_scores_by_hand() -> None:
    (line,) = scores([result(100, 110), result(100, 90), result(100, 100)])
    assert (line.rows, line.mean, line.median) == (3, pytest.approx(0.2 / 3), pytest.approx(0.1))
    assert line.bias == pytest.approx((1.1 * 0.9) ** (1 / 3) - 1)


def test_the_scatter_is_as_wide_as_its_size_in_letters_of_it() -> None:
    figure = draw_scatter(scatter([result(100, 105), result(100, 130)]), PAPER)
    assert (figure.get_figwidth(), figure.get_dpi()) == (PAPER.width_inches, PAPER.dots_per_inch)
    assert {axes.xaxis.label.get_fontsize() for axes in figure.axes} == {PAPER.font_points}


def test_scatter_numbers() -> None:
    info = scatter([result(100, 105), result(100, 130), result(7, 0, category=categories.HYBRID)])
    assert info.points == {categories.PRODUCTS: ((100, 105), (100, 130)), categories.HYBRID: ((7, 1),)}
    assert info.title == "3 measured rows, 1 of them within 10 %"
