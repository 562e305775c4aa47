"""A stranger's file or word costs a line, and no longer than a moment: what hung, crashed or misled before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mapper import cli

RUN = ("run", "bert-base", "--seq", "16")
MAP = ("map", "16x16x16")
NESTS = (*MAP, "--mapspace", "loop-nest")
MACHINE = "description: changed\nsource: test\n"


def complaints(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert cli.main(list(arguments)) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "" and lines
    assert [line for line in lines if not line.startswith("tilewright: ") or len(line) > 700] == []
    return lines


READERS = {
    "--hw": (*RUN, "--hw"), "--energy": (*RUN, "--energy"), "model": ("run",), "--fusion": (*RUN, "--fusion"),
    "--mapping": (*MAP, "--mapping"), "--constraints": (*NESTS, "--constraints"), "show": ("show", "mapping"),
    "--trees": ("map-block", "bert-base", "--seq", "16", "--trees"), "--rtl": ("validate", "--rtl"),
    "--firesim": ("validate", "--firesim"), "--normaliser": ("validate", "--normaliser"),
    "--timeloop": ("validate", "--timeloop"),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_regular_file_is_refused_at_once(
    reader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for suffix in (".yaml", ".json"):
        pipe = tmp_path / f"pipe{suffix}"
        os.mkfifo(pipe)
        (line,) = complaints(capsys, *READERS[reader], str(pipe))
        assert "is a pipe, not a regular file" in line
    (line,) = complaints(capsys, *READERS[reader], "/dev/zero")
    assert "is a device, not a regular file" in line


def test_a_machine_does_not_extend_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "mine.yaml").write_text(f"extends: pipe.yaml\n{MACHINE}", encoding="utf-8")
    (line,) = complaints(capsys, *RUN, "--hw", str(tmp_path / "mine.yaml"))
    assert "extends: " in line and "is a pipe" in line


@pytest.mark.parametrize("reader", [name for name in READERS if name not in ("--rtl", "--firesim", "--normaliser")])
def test_large_files_are_not_read(reader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "large.yaml").write_text("a: [" + "1, " * 4_000_000 + "1]\n", encoding="utf-8")
    lines = complaints(capsys, *READERS[reader], str(tmp_path / "large.yaml"))
    assert any("larger than the " in line for line in lines)


def test_many_values_are_too_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of 30,000 unknown keys would be compared with all that are known."""
    text = MACHINE + "".join(f"key{number}: 1\n" for number in range(30_000))
    (tmp_path / "many.yaml").write_text(text, encoding="utf-8")
    (line,) = complaints(capsys, *RUN, "--hw", str(tmp_path / "many.yaml"))
    assert "more than 20,000 values" in line
    text = MACHINE + "".join(f"key{number}: 1\n" for number in range(300))
    (tmp_path / "many.yaml").write_text(text, encoding="utf-8")
    assert complaints(capsys, *RUN, "--hw", str(tmp_path / "many.yaml"))[-1].endswith("more problems")


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ("*" * 5000 + "q", "unknown dimension"),
        ("m" + "*" * 5000 + "m", "no order of m, k, n is left"),
        ("[" + "mkn, " * 5000 + "mkn]", "a list of 5,001; at most 1,000 choices can be named"),
        ("{not: [" + ", ".join(["'" + "*m" * n + "*'" for n in range(1, 900)]) + "]}", "no order of m, k, n is left"),
    ],
)
def test_orders_without_end(order: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quoted = order if order[0] in "[{" else f"'{order}'"
    (tmp_path / "c.yaml").write_text(f"levels: {{dram: {{order: {quoted}}}}}\n", encoding="utf-8")
    assert any(says in line for line in complaints(capsys, *NESTS, "--constraints", str(tmp_path / "c.yaml")))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*RUN, "--set", "array.rows=0x" + "f" * 5000), "array.rows"),
        ((*RUN, "--set", "array.rows=" + "9" * 5000), "array.rows"),
        ((*RUN, "--set", "array.input_bits=32"), "arrays of floating point are not modelled"),
        ((*RUN, "--hw", "gemmini_ibert", "--set", "vector.kernels=softmax"), "must be a list, as in [softmax]"),
        ((*RUN, "--hw", "gemmini", "--hw", "gemmini_ibert"), "argument --hw: given twice: gemmini, then gemmini_ibert"),
        ((*RUN, "--batch", "1", "--batch", "2"), "argument --batch: given twice: 1, then 2"),
        (("run", "bert-base", "gpt2"), "unrecognized arguments: gpt2"),
        ((*RUN, "--hw", "a\x1b[2Jb"), r"a\x1b[2Jb"),
        ((*RUN, "--hw", "a\nb"), "tilewright: a"),
    ],
)
def test_words(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        assert cli.main(list(arguments)) == 2
    except SystemExit as end:
        assert end.code == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said) < 800 and "\x1b" not in said


@pytest.mark.parametrize("content", ["- a\n", "word\n", "3\n"])
@pytest.mark.parametrize("reader", ["--mapping", "--fusion", "--trees", "show", "--constraints"])
def test_lists_and_words_in_the_place_of_a_mapping(
    content: str, reader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "f.yaml").write_text(content, encoding="utf-8")
    (line,) = complaints(capsys, *READERS[reader], str(tmp_path / "f.yaml"))
    assert "must be a mapping with the keys" in line or "must be a table of keys" in line


def test_a_constraint_file_of_comments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("# levels:\n", encoding="utf-8")
    (line,) = complaints(capsys, *NESTS, "--constraints", str(tmp_path / "c.yaml"))
    assert "the file is empty: it holds nothing but comments" in line


def test_what_a_tile_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("levels: {scratchpad: {tile: {m: 32}}}\n", encoding="utf-8")
    lines = complaints(capsys, *NESTS, "--constraints", str(tmp_path / "c.yaml"))
    assert any("a tile is what scratchpad hands on to the next memory" in line for line in lines)


def test_files_of_any_ending_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word that names a file is that file, unless it is a shipped name."""
    monkeypatch.chdir(tmp_path)
    Path("machine.txt").write_text(f"\ufeffextends: tiny_4x4\n{MACHINE}", encoding="utf-8")
    Path("gemmini").write_text("no machine", encoding="utf-8")
    model = "name: mine\nsource: me\nfamily: gpt\nlayers: 2\nd_model: 16\nheads: 2\nd_ffn: 16\n"
    Path("model.txt").write_text(model, encoding="utf-8")
    assert cli.main(["run", "model.txt", "--hw", "machine.txt", "--seq", "4", "--finalists", "0"]) == 0
    assert "mine prefill seq 4 on machine" in capsys.readouterr().out
    assert cli.main(["show", "hw", "gemmini"]) == 0


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """What leaves to the screen and into every kind of file can be read again."""
    machine = os.fsencode(tmp_path) + b"/m\xff.yaml"
    Path(os.fsdecode(machine)).write_text(f"extends: tiny_4x4\n{MACHINE}", encoding="utf-8")
    command: list[str | bytes] = [sys.executable, "-m", "mapper.cli", *MAP, "--hw", machine]
    files = ["--json", "r.json", "--yaml", "m.yaml", "--trace", "t.json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    done = subprocess.run([*command, *files], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    for name in ("r.json", "t.json"):
        assert json.loads((tmp_path / name).read_text(encoding="utf-8"))
    again = subprocess.run(
        [*command, "--mapping", "m.yaml"], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert (again.returncode, again.stderr) == (0, b"")


def test_half_a_character_in_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It ended in a traceback, after the whole simulation."""
    config = {
        "_name_or_path": "\ud800", "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 16,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (line,) = complaints(capsys, "run", str(tmp_path), "--seq", "4", "--json", str(tmp_path / "r.json"))
    assert "_name_or_path: holds half of a character" in line
