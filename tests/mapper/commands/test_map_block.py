"""``tilewright map-block``: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mapper import cli

BLOCK = ("map-block", "bert-base", "--seq", "64")
CORE = (*BLOCK, "--only", "scores,softmax,context", "--objective", "edp")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(arguments) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    return captured.err


def test_prints_trees_what_stays_where_and_unfused_costs(capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(capsys, *CORE)
    assert "group 1: scores, softmax, context" in printed
    assert "never in DRAM in between: scores, softmax" in printed
    assert "for head in steps of 1" in printed
    assert "unfused: cycles" in printed
    assert "proved optimal in the mapspace of fused loop nests" in printed
    assert "estimated by formulas, not simulated" in printed


def test_written_trees_replay(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trees, first, second = (str(tmp_path / name) for name in ("trees.yaml", "first.json", "second.json"))
    printed = run(capsys, *BLOCK, "--objective", "edp", "--yaml", trees, "--json", first)
    assert "ffn_activation is applied as the results of ffn1 leave the accumulator" in printed
    again = run(capsys, *BLOCK, "--trees", trees, "--objective", "edp", "--json", second)
    assert f"fixed: {trees}, not searched" in " ".join(again.split())
    documents = [json.loads(Path(name).read_text(encoding="utf-8")) for name in (first, second)]
    assert documents[0]["cut"] == documents[1]["cut"]
    assert documents[0]["schema"] == "tilewright.fused/1"
    assert sum(group["cycles"] for group in documents[0]["cut"]["groups"]) == documents[0]["cut"]["cycles"]


def test_a_front_has_a_line_per_cut(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "front.json"
    printed = run(capsys, *BLOCK, "--objective", "pareto", "--json", str(path))
    front = json.loads(path.read_text(encoding="utf-8"))["front"]
    assert [point["cycles"] for point in front] == sorted(point["cycles"] for point in front)
    assert all(f"{point['cycles']:,}" in printed for point in front)


def test_without_fusion_both_cuts_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert "DRAM traffic 100.0% of unfused, EDP 100.0% of unfused" in run(capsys, *CORE, "--largest-group", "1")


def test_relaxed_rules_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "rules: rows may be cut, one-byte partial sums" in run(capsys, *CORE, "--cut-rows", "--narrow-sums")


def test_a_budget_that_ends_the_search_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert "stopped before the end" in run(capsys, *CORE, "--budget", "0.0001ms")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "scores,softmx"), "unknown operator 'softmx'"),
        (("--largest-group", "0"), "--largest-group 0: must be at least 1"),
        (("--budget", "200"), "--budget 200: write a time"),
        (("--trees", "missing.yaml"), "missing.yaml: cannot read the trees"),
        (("--trees", "x.yaml", "--budget", "1s"), "--budget has no meaning with --trees"),
        (("--trees", "x.yaml", "--largest-group", "2"), "--largest-group has no meaning with --trees"),
        (("--trees", "x.yaml", "--objective", "pareto"), "--objective pareto has no meaning with --trees"),
        (("--objective", "pareto", "--yaml", "x.yaml"), "--yaml has no meaning with --objective pareto"),
    ],
)
def test_senseless_options_are_refused(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, *BLOCK, *arguments)


def test_models_of_other_operators_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "fused loop nests are made of matmuls and row-wise operators" in refused(capsys, "map-block", "resnet50")


def test_a_row_that_fits_nowhere_says_what_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--set", 'accumulator.capacity="2 KiB"', "--only", "attention_norm")
    assert cli.main((*BLOCK, *options)) == 2
    assert "the smallest accumulator that would do has 3 KiB" in capsys.readouterr().err
