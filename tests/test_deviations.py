"""Deviations D1 and on of `simulator/DEVIATIONS.md`: each effect told there is measured or bounded at a small size.

Effects that a table of another page shows, or that a study measures, are only pointed at: `SHOWN_ELSEWHERE`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hwconfigs
import workloads
from mapper import pipeline
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model.accounting import DEFAULT
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import matmul
from mapper.search.exact.loop_nests import search
from simulator.report import Report
from tests.pages import page
from workloads import Conv2d

SHOWN_ELSEWHERE = {"D3": "tests/test_pages.py", "D9": "tests/benchmarks/simulation_speed.py"}
WITHOUT_FIGURE = {"D10"}


def block(machine: str = "gemmini_ibert", **changes: object) -> Report:
    """One run of BERT-Base at 64 tokens."""
    return pipeline.run("bert-base", machine, seq=64, overrides=changes, finalists=0).simulation


def test_every_deviation_is_numbered_and_shown(repository: Path) -> None:
    numbers = re.findall(r"^\| (D\d+) \|", page("simulator/DEVIATIONS.md").text, re.MULTILINE)
    assert numbers == [f"D{number}" for number in range(1, len(numbers) + 1)]
    tested = set(re.findall(r"def test_(d\d+)_", Path(__file__).read_text(encoding="utf-8")))
    assert {number.lower() for number in set(numbers) - set(SHOWN_ELSEWHERE) - WITHOUT_FIGURE} == tested
    assert [file for file in SHOWN_ELSEWHERE.values() if not (repository / file).is_file()] == []


def test_d1_prefill_computes_the_whole_square_of_scores() -> None:
    """A mask leaves (n + 1) / 2n of both products and of the softmax between them: at most half is spared."""
    operators = {op.name: op for op in workloads.build("gpt2", seq=64).operators}
    square = 12 * 64 * 64
    assert operators["scores"].macs == operators["context"].macs == square * 64
    assert operators["softmax"].output.elements == square


def test_d2_results_between_groups_pass_through_dram() -> None:
    """Each is written once and read at least once; fusion cannot save more than that, nor cycles of the array."""
    report = block()
    written = {part.name: part.counts["dram", "write_byte"] for part in report.by_op}
    assert written["attention_norm"] == 64 * 768
    assert written["scores"] == 12 * 64 * 64 * 4
    assert [name for name, size in written.items() if not size] == ["ffn_activation"]
    between = 2 * (sum(written.values()) - written["ffn_norm"])
    assert 0.15 < between / sum(part.dram_bytes for part in report.by_op) < 0.5
    assert 0.5 < report.macs / report.peak_macs_per_cycle / report.cycles < 1.0


@pytest.mark.slow
def test_d4_refresh_and_slower_rows_matter_little_to_a_busy_array() -> None:
    """Refresh takes 5 % of the bandwidth, rows that must be opened half of the latency again."""
    cycles = block().cycles
    assert 0.0 <= block(**{"dram.bytes_per_cycle": 7.6}).cycles / cycles - 1 <= 0.02
    assert 0.0 <= block(**{"dram.latency": 60}).cycles / cycles - 1 <= 0.02


def test_d5_a_block_without_a_normaliser_is_mostly_host() -> None:
    every = block("gemmini").by_op
    on_host = [part.cycles for part in every if part.bound == "host"]
    assert 0.9 <= sum(on_host) / sum(part.cycles for part in every) < 1.0
    assert [part.name for part in block().by_op if part.bound == "host"] == []


def test_d6_im2col_repeats_elements_where_windows_overlap() -> None:
    """A window of 3 x 3 and stride 1 meets each element up to nine times, one of 1 x 1 once."""
    convolutions = [op for op in workloads.build("resnet50").operators if isinstance(op, Conv2d)]
    gathered = {op.name: op.macs // op.output.shape[-1] for op in convolutions}
    inputs = {op.name: op.inputs[0].elements for op in convolutions}
    assert sum(gathered.values()) / sum(inputs.values()) == pytest.approx(2.05, abs=0.01)
    assert max(gathered[name] / inputs[name] for name in inputs) == 12.25, "the stem: 7 x 7, every second pixel"


@pytest.mark.parametrize(("shape", "least"), [((512, 768, 768), -0.01), ((512, 64, 512), -0.05)])
def test_d7_formulas_of_loop_nests_leave_out_fill_drain_and_issue(shape: tuple[int, int, int], least: float) -> None:
    """The proved cycles of the best loop nest, beside the simulation of the best hardware loop."""
    spec = hwconfigs.load("gemmini")
    hierarchy = Hierarchy.of(spec, hwconfigs.load_energy(spec.energy).bind(spec))
    proved = search(NestSpace(matmul(*shape), hierarchy, DEFAULT), "latency")
    simulated = pipeline.map_matmul(*shape, spec).simulation.cycles
    assert least <= proved.best.cycles / simulated - 1 < 0


@pytest.mark.parametrize(
    ("model", "width", "vocabulary", "share"), [("gpt2", 768, 50_257, 0.44), ("llama-3-8b", 4096, 128_256, 0.075)]
)
def test_d8_the_head_of_a_language_model_is_left_out(model: str, width: int, vocabulary: int, share: float) -> None:
    """MACs of the head beside those of all blocks, one token of a decode."""
    graph = workloads.build(model, phase="decode", context=128)
    assert width * vocabulary / graph.macs == pytest.approx(share, abs=0.005)


@pytest.mark.slow
def test_d11_operators_that_store_exceed_the_dram_port() -> None:
    """Of a port of 8 bytes a cycle; scores are four bytes each, and all that most of the cycles are for."""
    report = pipeline.run("bert-base", "gemmini_ibert", seq=256, finalists=0).simulation
    rates = {part.name: part.dram_bytes / part.cycles for part in report.by_op if part.cycles}
    assert 8.0 < rates.pop("scores") < 8.6
    assert max(rates.values()) < 8.0
