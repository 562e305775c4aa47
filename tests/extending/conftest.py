"""The page "Extending" as files, and a copy of the packages to add them to.

A block whose first line is ``# PATH`` is a whole new file; ``# PATH, after: LINE`` puts its further lines behind the
one line of an existing file that reads LINE. Files are written as shown, the comment included.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pages import page

PACKAGES = ("hwconfigs", "workloads", "simulator", "mapper")


@dataclass(frozen=True, slots=True)
class Block:
    """One code block of the page."""

    path: str
    """File that it is, or that it adds lines to; relative to the root."""
    after: str | None
    """The line behind which it is inserted; None for a whole file."""
    text: str


@dataclass(frozen=True, slots=True)
class Copy:
    """The packages in a folder of their own."""

    root: Path

    def add(self, block: Block) -> None:
        """Write a new file, or insert lines into an existing one."""
        target = self.root / block.path
        if block.after is None:
            assert not target.exists(), f"{block.path} exists already"
            target.write_text(block.text, encoding="utf-8")
            return
        lines = target.read_text(encoding="utf-8").splitlines(keepends=True)
        places = [number for number, line in enumerate(lines) if line.strip() == block.after]
        assert len(places) == 1, f"{block.path} has {len(places)} lines {block.after!r}"
        lines.insert(places[0] + 1, block.text)
        target.write_text("".join(lines), encoding="utf-8")

    def run(self, *arguments: str) -> str:
        """Run Python in the copy and return what it prints: ``run("file.py")``, ``run("-m", "mapper.cli", "list")``."""
        # The copy's own folder comes first on the path, before any installed tilewright.
        environment = {**os.environ, "PYTHONPATH": str(self.root)}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def extending() -> Callable[[str], tuple[Block, ...]]:
    """Code blocks of the section with this title, in their order."""
    shown = page("mapper/testing/README.md")

    def blocks(title: str) -> tuple[Block, ...]:
        found = re.findall(
            r"^```\w+\n# (\S+?)(?:, after: ([^\n]+))?\n(.*?)^```$", shown.section(title), flags=re.MULTILINE | re.DOTALL
        )
        return tuple(Block(path, after or None, code if after else f"# {path}\n{code}") for path, after, code in found)

    return blocks


@pytest.fixture
def packages(tmp_path: Path, repository: Path) -> Copy:
    """A copy of the packages; compiled modules come along, which saves their compilation."""
    for package in PACKAGES:
        shutil.copytree(repository / package, tmp_path / package)
    return Copy(tmp_path)
