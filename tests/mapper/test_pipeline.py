"""The main path: whole graphs, conservation, floors, repetition, and bad input."""

from __future__ import annotations

import pytest

import hwconfigs
import workloads
from mapper import pipeline
from mapper.errors import MappingError
from mapper.result import RunResult
from simulator.report import Report
from workloads import Bits


@pytest.fixture(scope="module")
def bert() -> RunResult:
    return pipeline.run("bert-base", "gemmini_ibert", seq=48, finalists=0)


@pytest.fixture(scope="module")
def decode() -> RunResult:
    return pipeline.run("gpt2", "gemmini_ibert", phase="decode", context=64, finalists=0)


def both(result: RunResult) -> tuple[Report, Report]:
    return result.estimate, result.simulation


def test_macs_and_counts_are_conserved(bert: RunResult, decode: RunResult) -> None:
    for result in (bert, decode):
        for report in both(result):
            assert report.macs == result.graph.macs
            assert report.dram_bytes >= result.graph.bytes_of("weight") + result.graph.bytes_of("kv_cache")
            assert report.cycles == result.graph.repeat * sum(part.cycles for part in report.by_op)
            assert report.energy_pj == pytest.approx(result.graph.repeat * sum(p.energy_pj for p in report.by_op))
        for expected, measured in zip(result.estimate.by_op, result.simulation.by_op, strict=True):
            assert expected.name == measured.name
            assert expected.counts == measured.counts


def test_time_of_every_unit_adds_up(bert: RunResult) -> None:
    for report in both(bert):
        for part in (report, *report.by_op):
            for time in part.units.values():
                assert time.total_cycles == part.cycles


def test_operators_follow_the_graph(bert: RunResult) -> None:
    names = [op.name for op in bert.graph.operators]
    assert [part.name for part in bert.simulation.by_op] == names
    repeats = {part.name: part.repeat for part in bert.simulation.by_op}
    assert repeats["scores"] == 12
    assert bert.simulation.repeat == bert.graph.repeat
    assert set(bert.mappings) == {op.name for op in bert.graph.operators if op.macs}


def test_equal_matmuls_share_a_mapping(bert: RunResult) -> None:
    q, k = bert.mappings["q"], bert.mappings["k"]
    assert q.levels == k.levels
    assert (q.ops, k.ops) == (("q",), ("k",))


def test_decode_is_never_below_its_bandwidth_floor(decode: RunResult) -> None:
    compulsory = decode.graph.bytes_of("weight") + decode.graph.bytes_of("kv_cache")
    for report in both(decode):
        assert report.cycles >= compulsory / decode.spec.dram.bytes_per_cycle


def test_fused_gelu_has_a_row_of_its_own_and_costs_nothing(bert: RunResult) -> None:
    assert bert.group("ffn_activation") is bert.group("ffn1")
    with pytest.raises(KeyError, match="no operator 'ffn3'"):
        bert.group("ffn3")
    (row,) = (part for part in bert.simulation.by_op if part.name == "ffn_activation")
    assert (row.cycles, len(row.counts)) == (0, 0)
    (matmul,) = (part for part in bert.simulation.by_op if part.name == "ffn1")
    assert matmul.counts["vector", "gelu"] == 48 * 3072


def test_exact_runs_every_repetition() -> None:
    graph = workloads.build("bert-base", seq=16)
    spec = hwconfigs.load("gemmini_ibert")
    quick, exact = (pipeline.run_graph(graph, spec, exact=exact, finalists=0) for exact in (False, True))
    assert exact.simulation.macs == quick.simulation.macs
    assert exact.simulation.cycles == pytest.approx(quick.simulation.cycles, rel=0.05)


def test_spans_are_kept_if_asked_for() -> None:
    result = pipeline.map_matmul(64, 64, 64, "gemmini", spans=True)
    spans = result.simulation.spans
    assert {span.unit for span in spans} >= {"load", "execute", "store"}
    assert max(span.end for span in spans) <= result.simulation.cycles
    assert pipeline.map_matmul(64, 64, 64, "gemmini").simulation.spans == ()


def test_works_of_a_model_are_numbered_through() -> None:
    """So that the loads of one operator are never taken for those of another."""
    graph = workloads.build("bert-base", seq=16)
    spans = pipeline.run_graph(graph, hwconfigs.load("gemmini_ibert"), finalists=0, spans=True).simulation.spans
    for unit in ("load", "execute", "store"):
        works = [span.work for span in spans if span.unit == unit and span.work is not None]
        assert works == sorted(works) and len(works) > 8
        if unit != "load":
            assert len(set(works)) == len(works)


def test_same_run_same_result() -> None:
    first, second = (pipeline.map_matmul(96, 128, 80, "gemmini", objective="edp") for _ in range(2))
    assert first.simulation == second.simulation
    assert first.estimate == second.estimate
    assert first.mappings == second.mappings


def test_progress_is_told_after_each_operator() -> None:
    told: list[tuple[int, int, str]] = []
    graph = workloads.build("bert-base", seq=16)
    pipeline.run_graph(
        graph,
        hwconfigs.load("gemmini_ibert"),
        finalists=0,
        progress=lambda done, total, report: told.append((done, total, report.name)),
    )
    assert told == [(index, len(graph.operators), op.name) for index, op in enumerate(graph.operators, start=1)]


def test_overrides_change_the_machine() -> None:
    result = pipeline.map_matmul(64, 64, 64, "gemmini", overrides={"scratchpad.capacity": "64 KiB"})
    assert result.spec.scratchpad.capacity_bytes == 65536


def test_operands_wider_than_the_array_are_refused() -> None:
    graph = workloads.build("bert-base", seq=16, bits=Bits(weight=16))
    with pytest.raises(MappingError, match=r"q.weight: element width needs 16 bits > 8"):
        pipeline.run_graph(graph, hwconfigs.load("gemmini"))


def test_resnet_runs_as_im2col_matmuls() -> None:
    graph = workloads.build("resnet50")
    first = next(op for op in graph.operators if op.kind == "conv2d")
    small = workloads.OpGraph("conv", [first])
    result = pipeline.run_graph(small, hwconfigs.load("gemmini"))
    assert result.simulation.macs == first.macs
    assert "im2col" in result.group(first.name).note


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"array.input_bits": 16}, "input_bits=16.*this version lowers int8 operands and int32 results"),
        ({"array.accumulator_bits": 16}, "accumulator_bits=16.*this version lowers int8 operands and int32 results"),
        ({"array.dataflows": ["output_stationary"]}, "the hardware loops of this version run weight_stationary"),
    ],
)
def test_machines_this_version_does_not_lower_for_are_refused(change: dict[str, object], message: str) -> None:
    spec = hwconfigs.load("gemmini", change)
    with pytest.raises(MappingError, match=message) as caught:
        pipeline.run("bert-base", spec, seq=16)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(MappingError, match=message):
        pipeline.map_matmul(16, 16, 16, spec)


def test_a_model_runs_on_the_smallest_memories() -> None:
    spec = hwconfigs.load("gemmini", {"scratchpad.capacity": "1 KiB", "accumulator.capacity": "2 KiB"})
    operators = [op for op in workloads.build("bert-base", seq=16).operators if op.name in ("scores", "attention_add")]
    result = pipeline.run_graph(workloads.OpGraph("small", operators), spec)
    assert result.group("attention_add").unit == "accumulator"
    assert all(part.cycles for part in result.simulation.by_op)


def test_what_cannot_be_mapped_is_told_before_anything_is_simulated() -> None:
    told: list[int] = []
    operators = [workloads.matmul("small", 16, 16, 16), workloads.matmul("huge", 2**30, 2**20, 2**20)]
    with pytest.raises(MappingError, match="huge: .* too large to count"):
        pipeline.run_graph(
            workloads.OpGraph("two", operators),
            hwconfigs.load("gemmini"),
            progress=lambda done, total, report: told.append(done),
        )
    assert told == []
