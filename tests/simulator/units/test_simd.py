"""The vector unit beside the normaliser: times by hand, who runs what, and the same numbers everywhere."""

from __future__ import annotations

import pytest

import hwconfigs
from hwconfigs import HardwareSpec
from hwconfigs.beyond_gemmini import beyond_gemmini
from hwconfigs.kernels import kernel_named
from mapper import pipeline
from mapper.result import RunResult
from simulator.units.normaliser import Normaliser
from simulator.units.simd import Simd

DECODER = hwconfigs.load("gemmini_decoder")
LLAMA = {
    "family": "llama", "name": "tiny", "source": "a test", "layers": 1, "d_model": 64, "heads": 4, "kv_heads": 2,
    "d_ffn": 96, "vocabulary": 160,
}  # fmt: skip
KNOBS = {"pass_cycles": 10, "statistics_cycles": 30, "statistics_slots": 4, "lanes": 16}


def with_simd(**changes: object) -> HardwareSpec:
    return hwconfigs.override(DECODER, {f"simd.{name}": value for name, value in {**KNOBS, **changes}.items()})


def cycles(kernel: str, rows: int, cols: int, **changes: object) -> int:
    return Simd.cycles(rows, cols, kernel, with_simd(**changes), issued=True)


def test_elements_alone_take_blocks_and_the_way_through_the_lanes() -> None:
    """2 rows of 4 blocks: the writer takes 7 cycles a row (blocks + beats - 1), then 10 through the lanes."""
    assert cycles("silu", 2, 64) == 2 * 7 + 10
    assert cycles("silu", 2, 64, lanes=4) == 2 * 4 * 4 + 10


def test_a_second_operand_is_read_after_the_first() -> None:
    """2 reads of the accumulator per block, 8 a row, are more than the writer's 7; two ports read both at once."""
    assert cycles("mul", 3, 64) == 3 * 8 + 10
    assert cycles("mul", 3, 64, reads_per_cycle=2) == 3 * 7 + 10


def test_statistics_are_kept_for_as_many_rows_as_there_are_slots() -> None:
    """5 rows of 2 blocks, 4 slots: two groups. Squares 5 x 2, results 5 x 3 (writer), ways 4 x 10, roots 2 x 30."""
    assert cycles("rmsnorm", 5, 32) == 10 + 15 + 40 + 60
    assert cycles("rmsnorm", 5, 32, statistics_slots=8) == 10 + 15 + 20 + 30


def test_softmax_passes_over_a_row_three_times() -> None:
    """4 rows of 4 blocks: 16 for the maxima, 16 for the sums, 28 for the writer; 3 ways, 2 statistics."""
    machine = hwconfigs.override(with_simd(), {"vector.kernels": ["gelu"]})
    assert Simd.cycles(4, 64, "softmax", machine, issued=True) == 16 + 16 + 28 + 30 + 60
    assert Simd.passes("softmax", machine) == 3
    assert Simd.passes("mul", machine) == 2


def test_the_normaliser_keeps_what_it_has() -> None:
    narrow = hwconfigs.override(DECODER, {"vector.kernels": ["gelu"]})
    for machine, unit in ((DECODER, Normaliser), (narrow, Simd)):
        handling = [each for each in (Normaliser, Simd) if each.handles("softmax", machine)]
        assert handling == [unit]
    assert not hwconfigs.load("gemmini_ibert").has_lanes_for(kernel_named("silu"))


def test_every_knob_is_marked_as_none_of_gemminis() -> None:
    assert DECODER.simd is not None
    assert {f"simd.{name}" for name in type(DECODER.simd).model_fields} <= beyond_gemmini(DECODER)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("kernels", ["softmin"], "simd.kernels[0]: .*did you mean 'softmax'"),
        ("kernels", ["silu", "silu"], "simd.kernels: repeated: silu, silu"),
        ("kernels", [], "simd.kernels"),
        ("lanes", 0, "simd.lanes: must be"),
        ("reads_per_cycle", 3, "simd.reads_per_cycle=3 must not exceed accumulator.banks=2"),
    ],
)
def test_bad_values_are_one_line_with_the_key(key: str, value: object, words: str) -> None:
    with pytest.raises(hwconfigs.SpecError) as caught:
        hwconfigs.load("gemmini_decoder", {f"simd.{key}": value})
    (line,) = caught.value.problems
    assert words.split(".*")[0] in line
    assert words.split(".*")[-1] in line


@pytest.fixture(scope="module", params=[{"seq": 12}, {"phase": "decode", "context": 20, "batch": 3}], ids=str)
def run(request: pytest.FixtureRequest) -> RunResult:
    return pipeline.run(LLAMA, DECODER, finalists=0, lm_head=True, **request.param)


def test_a_decoder_runs_without_the_host(run: RunResult) -> None:
    units = {group.lead.kind: group.unit for group in run.groups}
    assert "host" not in units.values()
    assert {units[kind] for kind in ("rmsnorm", "rope", "silu", "mul")} == {"simd"}
    assert units["softmax"] == "normaliser"


def test_estimate_and_simulation_count_the_same(run: RunResult) -> None:
    for expected, simulated in zip(run.estimate.by_op, run.simulation.by_op, strict=True):
        assert expected.counts == simulated.counts, simulated.name


def test_numbers_are_right_and_what_is_not_executed_is_said(run: RunResult) -> None:
    check = pipeline.check_numbers(run)
    assert check.passed
    assert not check.on_host
    assert all("rope" in name or "embed" in name for name in check.not_executed)
    assert {one.kernel for one in check.kernels} == {"rmsnorm", "softmax", "silu", "mul"}


def test_lanes_cost_area_and_leak() -> None:
    table = hwconfigs.load_energy("cacti_22nm")
    small, large = (table.bind(with_simd(lanes=lanes)).silicon for lanes in (16, 32))
    assert small is not None
    assert large is not None
    assert large.blocks["simd"].area_um2 == pytest.approx(2 * small.blocks["simd"].area_um2)
    assert large.leakage_mw > small.leakage_mw


@pytest.fixture(scope="module", params=[{"vector": None}, {"vector.lanes": 4}], ids=["alone", "beside the normaliser"])
def long_rows(request: pytest.FixtureRequest) -> RunResult:
    """Rows of 61 and of 64 elements on 4 x 4: half of the accumulator holds 32."""
    small = {"array.size": 4, "accumulator.capacity": 256, "scratchpad.capacity": 1024, **request.param}
    machine = hwconfigs.load("gemmini_decoder", small)
    return pipeline.run(LLAMA, machine, finalists=0, phase="decode", context=60, batch=2)


def test_rows_that_do_not_fit_are_read_twice_in_parts(long_rows: RunResult) -> None:
    """A part is read once for its statistics and once for its results, which leave once."""
    report = next(part for part in long_rows.simulation.by_op if part.name == "softmax")
    assert "in parts" in long_rows.group("softmax").note
    rows, blocks = 2 * 4, -(-61 // 4)
    assert report.counts["accumulator", "read_row"] == 2 * rows * blocks
    assert report.counts["vector", "softmax"] == rows * 61
    assert report.units["simd"].busy_cycles > 0


def test_parts_give_the_numbers_of_whole_rows(long_rows: RunResult) -> None:
    check = pipeline.check_numbers(long_rows)
    assert check.wrong == []
    assert not check.on_host
    for expected, simulated in zip(long_rows.estimate.by_op, long_rows.simulation.by_op, strict=True):
        assert expected.counts == simulated.counts, simulated.name
