"""Every example of every page is run, line after line, in a fresh folder.

In the default run at small sizes, by calls of the command; with ``-m slow`` as it is written, by a shell. What a page
shows as output is what the command prints.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mapper import cli
from tests.pages import MAIN, PAGES, ROOT, Page, hold_picture

MINUTES = ("tilewright study", "tilewright validate", "tilewright generate", "--lm-head")
"""Commands that are long at any size: as they are written or not at all."""

ELSEWHERE = ("pip install", "--normaliser rows.csv")
"""Lines that have tests of their own: an installation, and a file that is not shipped."""

SHELL = [pytest.param(page, block, id=f"{page}: {block[:30]}") for page in PAGES for block in page.blocks("sh")]
SHOWN = [
    pytest.param(
        page, block, id=f"{page}: {block.splitlines()[0]}",
        marks=[pytest.mark.slow] if block.startswith("$ tilewright explore") else [],
    )
    for page in PAGES
    for block in page.shown()
    if not block.startswith(f"$ {MAIN}\n")  # which `test_readme` holds to the text
]  # fmt: skip


def small(line: str) -> str:
    """The same command at a size of tens, with the mappings that the estimate finds the best."""
    line = re.sub(r"--(seq|context|prompt) \d+", r"--\1 16", line)
    line = re.sub(r"\b(\d+x)?\d+x\d+x\d+\b", lambda found: f"{found[1] or ''}32x48x16", line)
    line = re.sub(r"--finalists \d\d+", "--finalists 2", line)
    if line.startswith("tilewright run") and "--finalists" not in line:
        line = line.replace("tilewright run", "tilewright run --finalists 0")
    return line


@dataclass(frozen=True, slots=True)
class Folder:
    """Where a reader stands: with a configuration, and a command that is installed."""

    path: Path

    def call(self, line: str) -> str:
        """Run one line in this process if it is one command, and return what it prints."""
        words = shlex.split(line, comments=True)
        if words[0] != "tilewright":
            return self.shell(line)
        words, target = (words[:-2], words[-1]) if words[-2] == ">" else (words, None)
        printed, told = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(told):
            code = cli.main(words[1:])
        assert (code, _told(told.getvalue())) == (0, []), line
        if target is not None:
            (self.path / target).write_text(printed.getvalue(), encoding="utf-8")
        return printed.getvalue()

    def shell(self, line: str) -> str:
        """Run one line by a shell, and return what it prints."""
        done = subprocess.run(
            ["bash", "-e", "-c", line], cwd=self.path, env=os.environ, capture_output=True, text=True, check=False
        )
        assert (done.returncode, _told(done.stderr)) == (0, []), line
        return done.stdout


def _told(text: str) -> list[str]:
    # A busy computer takes so long that a sweep tells how far it is.
    return [line for line in text.splitlines() if " per minute, " not in line]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
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
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Folder(tmp_path)


def lines(block: str) -> Iterator[str]:
    """Lines of a shell that no other test runs."""
    for line in block.splitlines():
        if not any(word in line for word in ELSEWHERE) and line.partition("  #")[0].strip() != MAIN:
            yield line


def lay_out(page: Page, folder: Folder, *, small: bool = False) -> None:
    """Write the files that a page shows."""
    for name, content in page.files().items():
        (folder.path / name).write_text(
            content.replace("model: bert-base", "model: path/to/config.json") if small else content, encoding="utf-8"
        )


def hold_pictures(page: Page, line: str, folder: Folder, update: bool) -> None:
    """Compare what a line drew with the picture of that name that the page shows, if it does."""
    for name in re.findall(r"(?:-o|--plot) (\S+\.png)", line):
        if (shown := page.picture(name)) is not None:
            hold_picture(shown, folder.path / name, update)


@pytest.mark.parametrize(("page", "block"), SHELL)
def test_examples_at_a_small_size(page: Page, block: str, folder: Folder, update_golden: bool) -> None:
    """Pictures of blocks that are small as they are written are compared with those shown, or refreshed."""
    lay_out(page, folder, small=True)
    run = [line for line in lines(block) if not any(word in line for word in MINUTES)]
    as_written = run == [small(line) for line in run] and "model: bert-base" not in "".join(page.files().values())
    for line in run:
        folder.call(small(line))
        if as_written:
            hold_pictures(page, line, folder, update_golden)


@pytest.mark.slow
@pytest.mark.parametrize(("page", "block"), SHELL)
def test_examples_as_they_are_written(page: Page, block: str, folder: Folder, update_golden: bool) -> None:
    lay_out(page, folder)
    for line in lines(block):
        folder.shell(line)
        hold_pictures(page, line, folder, update_golden)


@pytest.mark.parametrize(("page", "shown"), SHOWN)
def test_what_a_page_shows_is_printed(page: Page, shown: str, folder: Folder, update_golden: bool) -> None:
    """Refresh with ``python -m pytest tests/test_readme_examples.py --update-golden``."""
    lay_out(page, folder)
    commands = re.findall(r"^\$ (.*)$", shown, flags=re.MULTILINE)
    printed = "".join(f"$ {command}\n{folder.call(command)}" for command in commands)
    if update_golden:
        page.rewrite(shown, printed)
        pytest.skip(f"{page} was rewritten")
    assert shown == printed, f"{page} shows an older output; refresh it with --update-golden"


def test_the_examples_are_found() -> None:
    assert len(SHELL) >= 5
    assert len(SHOWN) >= 3
    assert sum(block.count("\ntilewright ") for page in PAGES for block in page.blocks("sh")) >= 30
