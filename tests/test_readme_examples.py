"""Every example of the README is copied into a fresh folder and run by a shell, line after line.

At small sizes always; with ``-m slow`` as it is written, and then what the README shows is what it prints.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = re.findall(r"^```sh\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
SHOWN = re.findall(r"^```text\n(\$ tilewright .*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
FILES = dict(re.findall(r"^```yaml\n# ([a-z_]+\.yaml)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL))
"""By name: blocks that say which file they are."""

MINUTES = ("tilewright study", "tilewright validate", "tilewright generate", "--lm-head")
"""Commands that are long at any size: as they are written or not at all."""

ELSEWHERE = ("pip install", "--normaliser rows.csv")
"""Lines that have tests of their own: an installation, and a file that is not shipped."""

MAIN = "tilewright run bert-base --hw gemmini_ibert --seq 512"
"""The first command, whose output `test_readme` holds to the text."""


def small(line: str) -> str:
    """The same command at a size of tens, with the mappings that the estimate finds the best."""
    line = re.sub(r"--(seq|context|prompt) \d+", r"--\1 16", line)
    line = re.sub(r"\b(\d+x)?\d+x\d+x\d+\b", lambda found: f"{found[1] or ''}32x48x16", line)
    line = re.sub(r"--finalists \d\d+", "--finalists 2", line)
    if line.startswith("tilewright run") and "--finalists" not in line:
        line = line.replace("tilewright run", "tilewright run --finalists 0")
    return line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the reader has: a configuration, and a command that is installed."""
    config = {
        "model_type": "bert", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 128, "max_position_embeddings": 512, "hidden_act": "gelu",
    }  # fmt: skip
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "tilewright"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mapper.cli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return tmp_path


def run(line: str, folder: Path) -> str:
    """Run one line of a shell and return what it prints."""
    paths = {"PYTHONPATH": str(ROOT), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    environment = {**os.environ, **paths, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        ["bash", "-e", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    # A busy computer takes so long that a sweep tells how far it is.
    told = [text for text in done.stderr.splitlines() if " per minute, " not in text]
    assert (done.returncode, told) == (0, []), line
    return done.stdout


def lines(block: str) -> Iterator[str]:
    for line in block.splitlines():
        if not any(word in line for word in ELSEWHERE) and line.partition("  #")[0].strip() != MAIN:
            yield line


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.split("\n")[0][:40])
def test_examples_at_a_small_size(block: str, folder: Path) -> None:
    for line in lines(block):
        if not any(word in line for word in MINUTES):
            run(small(line), folder)


@pytest.mark.slow
@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.split("\n")[0][:40])
def test_examples_as_they_are_written(block: str, folder: Path) -> None:
    for line in lines(block):
        run(line, folder)


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(block, marks=[pytest.mark.slow] if block.startswith("$ tilewright explore") else [])
        for block in SHOWN
        if not block.startswith(f"$ {MAIN}\n")
    ],
    ids=lambda block: block.split("\n")[0],
)
def test_what_the_readme_shows_is_printed(shown: str, folder: Path, update_golden: bool) -> None:
    """Refresh with ``python -m pytest tests/test_readme_examples.py --update-golden``."""
    for name, content in FILES.items():
        (folder / name).write_text(content, encoding="utf-8")
    commands = re.findall(r"^\$ (.*)$", shown, flags=re.MULTILINE)
    printed = "".join(f"$ {command}\n{run(command, folder)}" for command in commands)
    if update_golden:
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        (ROOT / "README.md").write_text(text.replace(shown, printed), encoding="utf-8")
        pytest.skip("README.md was rewritten")
    assert shown == printed, "the README shows an older output; refresh it with --update-golden"


def test_the_examples_are_found() -> None:
    assert len(SHELL) >= 5
    assert sum(block.count("\ntilewright ") for block in SHELL) >= 30
