"""Constants of the host: marked where they stand, left out of differences, told as a share of the run."""

from __future__ import annotations

import re

import pytest

import hwconfigs
from mapper import pipeline
from mapper.commands.reporting import summary
from mapper.reports.host_constants import ESTIMATED, GIVEN, host_constants, unused_kernels
from mapper.reports.run_json import run_dict
from mapper.result import RunResult

BLOCK = {"family": "llama", "layers": 2, "d_model": 128, "heads": 4, "kv_heads": 2, "d_ffn": 256}
CHANGES = {"host.kernel_cycles.rope": 7, "host.kernel_cycles.sofmaks": 100}


@pytest.fixture(scope="module")
def result() -> RunResult:
    return pipeline.run(BLOCK, hwconfigs.load("gemmini_ibert", CHANGES), seq=16)


def test_what_is_estimated_and_what_is_given(result: RunResult) -> None:
    constants = host_constants(result)
    given = {"rope_q", "rope_k"}
    assert {name for name, mark in constants.marks.items() if mark == GIVEN} == given
    estimated = {"attention_norm", "ffn_norm", "ffn_activation", "ffn_mul"}
    assert {name for name, mark in constants.marks.items() if mark == ESTIMATED} == estimated
    cycles = {part.name: part.cycles for part in result.simulation.by_op}
    assert constants.cycles[ESTIMATED] == sum(cycles[name] for name in estimated)
    assert constants.share == sum(cycles[name] for name in given | estimated) / sum(cycles.values())


def test_table_shows_marks_instead_of_differences(result: RunResult) -> None:
    text = summary(result)
    rows = {line.split()[0]: line.split() for line in text.splitlines() if re.search(r"%\s|\[E\]$|given$", line)}
    assert rows["ffn_mul"][-1] == ESTIMATED
    assert rows["rope_q"][-1] == GIVEN
    assert rows["q"][-1].endswith("%")
    # Both sums less the constants, which are the same.
    constants = sum(host_constants(result).cycles.values()) * 2
    both = result.estimate.cycles - constants, result.simulation.cycles - constants
    assert rows["total"][-1] == f"{100 * (both[0] / both[1] - 1):+.1f}%"


def test_share_and_reason_are_told(result: RunResult) -> None:
    text = " ".join(summary(result).split())
    share = host_constants(result).cycles[ESTIMATED] / (result.simulation.cycles / 2)
    assert f"[E]: {share:.1%} of the cycles are host constants, estimates" in text
    assert "(tilewright show hw gemmini_ibert)" in text
    assert "attention_norm, rope_q, rope_k and 3 more: on the host: no unit of this machine runs it" in text
    document = run_dict(result)["host_constants"]
    assert isinstance(document, dict)
    assert document["share_of_cycles"] == host_constants(result).share


def test_nothing_is_said_without_constants() -> None:
    assert "[E]" not in summary(pipeline.map_matmul(16, 16, 16, "gemmini"))


def test_a_kernel_that_nothing_uses_may_be_misspelt(result: RunResult) -> None:
    (remark,) = unused_kernels(result.graph, result.spec)
    assert remark.startswith("note: host.kernel_cycles.sofmaks: no operator of this model is called so; did you mean")
    assert "did you mean 'softmax'?" in summary(result)
