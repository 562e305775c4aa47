"""``tilewright show hw A B`` and ``tilewright list``."""

from __future__ import annotations

import pytest

import hwconfigs
import workloads
from mapper import cli
from mapper.reports.text import WIDTH


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert cli.main(arguments) == 0
    return capsys.readouterr().out.splitlines()


def test_only_what_differs_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(["show", "hw", "gemmini", "gemmini_ibert"], capsys)
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert rows["accumulator.capacity_bytes"] == ["65536", "131072"]
    assert rows["vector.lanes"] == ["-", "16"]
    assert "array.rows" not in rows
    assert "die.area" in rows
    assert lines[-1].endswith("other values are equal")


def test_a_machine_beside_itself(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(["show", "hw", "gemmini", "gemmini"], capsys)
    assert not any(line.startswith("key") for line in lines)


def test_one_model_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "model", "gpt2", "bert-base"]) == 2
    assert "show model takes one name; 'tilewright compare' runs several models" in capsys.readouterr().err


def test_a_line_for_each_machine_and_model(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(["list"], capsys)
    first = [line.split()[0] for line in lines if line]
    for name in (*hwconfigs.available(), *workloads.available()):
        assert first.count(name) == 1
    assert max(map(len, lines)) <= WIDTH
    (ibert,) = [line for line in lines if line.startswith("gemmini_ibert ")]
    assert "16x16" in ibert and "softmax, layernorm, gelu" in ibert and "I-BERT" in ibert
