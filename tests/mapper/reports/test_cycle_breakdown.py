"""Lost cycles: every cause is named once, and they add up."""

from __future__ import annotations

import pytest

from mapper import pipeline
from mapper.reports.cycle_breakdown import CAUSES, FULL_RATE, explain
from mapper.result import RunResult


@pytest.fixture(scope="module")
def runs() -> tuple[RunResult, ...]:
    return (
        pipeline.run("bert-base", "gemmini_ibert", seq=64),
        pipeline.run("bert-base", "paper_baseline", seq=64),
        pipeline.run("gpt2", "gemmini_ibert", phase="decode", context=128),
        pipeline.map_matmul(100, 70, 33, "tiny_4x4"),
    )


def test_causes_sum_to_the_cycles_of_every_operator(runs: tuple[RunResult, ...]) -> None:
    for result in runs:
        for report in result.simulation.by_op:
            lost = explain(report)
            assert tuple(lost) == CAUSES
            assert all(cycles >= 0 for cycles in lost.values()), report.name
            assert sum(lost.values()) == report.cycles, report.name


def test_the_array_s_share_is_its_utilisation(runs: tuple[RunResult, ...]) -> None:
    for result in runs:
        for report in result.simulation.by_op:
            if report.macs:
                assert explain(report)[FULL_RATE] / report.cycles == pytest.approx(report.utilisation, abs=1e-3)


def test_what_dominates_is_found(runs: tuple[RunResult, ...]) -> None:
    encoder, baseline, decode, _ = ({part.name: explain(part) for part in run.simulation.by_op} for run in runs)
    assert max(encoder["ffn1"], key=lambda cause: encoder["ffn1"][cause]) == FULL_RATE
    assert max(baseline["softmax"], key=lambda cause: baseline["softmax"][cause]) == "host"
    waiting = sum(decode["ffn1"][cause] for cause in ("load latency", "DRAM bandwidth", "request slots"))
    assert waiting > decode["ffn1"][FULL_RATE]
    assert decode["ffn1"]["DRAM bandwidth"] > 0
