"""Bad input of every kind: what and where in clear lines, exit code 2, no traceback, no file left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mapper import cli

RUN = ["run", "bert-base", "--seq", "16"]
MACHINE = "extends: gemmini\ndescription: changed\nsource: test\n"
HUGGING_FACE = {
    "model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "max_position_embeddings": 512,
}  # fmt: skip


def complaint(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: int = 1) -> str:
    before = sorted(tmp_path.rglob("*"))
    target = tmp_path / "report.json"
    wanted = [] if "--json" in arguments or arguments[0] == "show" else ["--json", str(target)]
    assert cli.main([*arguments, *wanted]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert all(line.startswith("tilewright: ") for line in captured.err.splitlines())
    assert 1 <= len(captured.err.splitlines()) <= lines
    assert sorted(tmp_path.rglob("*")) == before
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "bert-bse", "--seq", "16"], "did you mean 'bert-base'?"),
        ([*RUN, "--hw", "gemini"], "did you mean 'gemmini"),
        ([*RUN, "--set", "scratchpad.capcity=64 KiB"], "scratchpad.capcity: unknown key; did you mean 'capacity'?"),
        ([*RUN, "--set", "scratchpat.capacity=64 KiB"], "scratchpat"),
        ([*RUN, "--energy", "horrowitz"], "horrowitz"),
        (
            [*RUN, "--fusion", "gemini"],
            "--fusion gemini: neither none, auto, gemmini nor a file; did you mean 'gemmini'?",
        ),
    ],
)
def test_unknown_names(arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in complaint(arguments, tmp_path, capsys)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--check", "--check-step", "nan"], "--check-step nan: the real value of a step must be a positive number"),
        (["--check", "--check-step", "0.1.2"], "--check-step 0.1.2: the real value of a step must be a number"),
        (["--check-step", "0.1"], "--check-step needs --check"),
    ],
)
def test_steps_of_a_check(options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in complaint([*RUN, *options], tmp_path, capsys)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("scratchpad.capacity=64 parsecs", "parsecs"),
        ("scratchpad.capacity=-1", "scratchpad.capacity"),
        ("scratchpad.banks=many", "scratchpad.banks"),
        ("array.rows=8.5", "array.rows"),
        ("clock=fast", "clock"),
        ("scratchpad.capacity", "KEY=VALUE"),
    ],
)
def test_wrong_types_and_units(setting: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in complaint([*RUN, "--set", setting], tmp_path, capsys)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "bert-base", "--seq", "0"], "seq=0"),
        (["run", "bert-base", "--seq", "-5"], "seq=-5"),
        (["run", "bert-base"], "needs seq"),
        ([*RUN, "--batch", "0"], "batch=0"),
        ([*RUN, "--context", "16"], "context=16"),
        (["run", "gpt2", "--phase", "decode"], "needs context"),
        (["run", "bert-base", "--phase", "decode", "--context", "16"], "no decode phase"),
        (["map", "0x16x16"], "0x16x16"),
        (["map", "16x16"], "MxKxN"),
    ],
)
def test_impossible_shapes(arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in complaint(arguments, tmp_path, capsys)


def test_a_sequence_too_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "seq=99999999999" in complaint(["run", "bert-base", "--seq", "99999999999"], tmp_path, capsys)


def test_a_model_whose_tile_cannot_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """256 bytes are 16 rows of one block; a product needs one block of each operand."""
    settings = ["--set", "scratchpad.capacity=256 B"]
    said = complaint(["run", "bert-base", "--seq", "16", "--hw", "gemmini", *settings], tmp_path, capsys, lines=8)
    assert "scratchpad" in said


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", json.dumps(HUGGING_FACE)[:50], "truncated"),
        ("config.json", "[]", "one object"),
        ("config.json", json.dumps({**HUGGING_FACE, "hidden_size": "wide"}), "wide"),
        ("config.json", json.dumps({**HUGGING_FACE, "num_attention_heads": 7}), "7"),
        ("config.json", json.dumps({**HUGGING_FACE, "model_type": "mamba"}), "mamba"),
    ],
)
def test_model_files(name: str, content: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text(content)
    assert says in complaint(["run", str(tmp_path / name), "--seq", "16"], tmp_path, capsys)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("name: [half", "not readable as YAML"),
        (f"{MACHINE}scratchpad:\n  banks: 4\n  banks: 8\n", "repeated key"),
        (f"{MACHINE}scratchpad:\n  bank: 4\n  source: test\n", "did you mean"),
        ("", "empty"),
    ],
)
def test_machine_files(content: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two lines at most: what an unreadable file lacks besides is no news."""
    (tmp_path / "mine.yaml").write_text(content)
    assert says in complaint([*RUN, "--hw", str(tmp_path / "mine.yaml")], tmp_path, capsys, lines=2)


def test_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "noise.json").write_bytes(b"\xff\xfe\x00")
    assert "noise.json" in complaint(["run", str(tmp_path / "noise.json"), "--seq", "16"], tmp_path, capsys)
    assert "gone.json" in complaint(["run", str(tmp_path / "gone.json"), "--seq", "16"], tmp_path, capsys)
    assert "gone.yaml" in complaint([*RUN, "--hw", str(tmp_path / "gone.yaml")], tmp_path, capsys)


@pytest.mark.parametrize(("content", "says"), [("ops: [", "YAML"), ("ops: []\n", "schema"), (None, "cannot read")])
def test_mapping_files(content: str | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if content is not None:
        (tmp_path / "mapping.yaml").write_text(content)
    assert says in complaint(["show", "mapping", str(tmp_path / "mapping.yaml")], tmp_path, capsys, lines=8)


@pytest.mark.parametrize("option", ["--json", "--trace", "--plot"])
def test_outputs_are_checked_before_the_work(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mapper import pipeline

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the work has started")

    monkeypatch.setattr(pipeline, "run", never)
    said = complaint([*RUN, option, str(tmp_path / "no" / "x.png")], tmp_path, capsys)
    assert "cannot be written" in said


def test_settings_belong_to_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--set" in complaint(["show", "model", "gpt2", "--set", "a=1"], tmp_path, capsys)
