"""``--json -`` and ``--quiet``: what scripts take from standard output, and nothing beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from mapper import cli

SMALL = ("--hw", "tiny_4x4", "--finalists", "0")


@pytest.mark.parametrize(
    "command",
    [
        ("map", "8x8x8", *SMALL), ("map", "8x8x8", "--mapspace", "loop-nest", "--hw", "tiny_4x4"),
        ("map", "8x8x8", "--objective", "pareto", "--hw", "tiny_4x4"),
        ("map-block", "bert-base", "--seq", "4", "--only", "ffn1"),
    ],
)  # fmt: skip
def test_json_alone(command: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main([*command, "--json", "-"]) == 0
    said = capsys.readouterr().out
    assert json.loads(said)
    assert cli.main([*command, "--json", str(tmp_path / "r.json"), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "r.json").read_text(encoding="utf-8") == said


def test_a_mapping_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["map", "8x8x8", *SMALL, "--yaml", "-"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["problem"] == {"m": 8, "k": 8, "n": 8}


def test_two_texts_on_one_output_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["map", "8x8x8", *SMALL, "--yaml", "-", "--json", "-"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "asked for by --json and --yaml" in captured.err


def test_complaints_are_still_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["map", "8x8x8", "--hw", "nowhere", "--json", "-"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("tilewright: nowhere")


def test_twelve_products_are_twelve_times_one(capsys: pytest.CaptureFixture[str]) -> None:
    one, twelve = (
        json.loads(capsys.readouterr().out)
        for shape in ("8x8x8", "12x8x8x8")
        if cli.main(["map", shape, *SMALL, "--json", "-"]) == 0
    )
    assert twelve["workload"]["macs"] == 12 * one["workload"]["macs"]
    assert twelve["workload"]["config"]["repeat"] == 12
    assert cli.main(["map", "12x8x8x8", "--mapspace", "loop-nest"]) == 2
    assert "loop nests and fronts are of one product" in capsys.readouterr().err
