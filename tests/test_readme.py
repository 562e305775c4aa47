"""The front door: short, complete, and its first output is what the command prints."""

from __future__ import annotations

import contextlib
import io
import shlex
from pathlib import Path

import pytest

from mapper import cli
from tests.pages import MAIN, README, hold_picture

INSTALL_AND_TEST = "python -m pip install '.[test]' && python -m pytest -n auto"
LONGEST = 200
"""Lines of the README."""


def output_of(command: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert cli.main(shlex.split(command)[1:]) == 0
    return printed.getvalue()


def test_it_is_short() -> None:
    assert len(README.text.splitlines()) <= LONGEST


def test_both_commands_are_shown_complete() -> None:
    shell = "".join(README.blocks("sh")).splitlines()
    assert f"python -m pip install . && {MAIN}" in shell
    assert INSTALL_AND_TEST in shell


def test_output_and_picture_shown_are_those_of_the_main_command(update_golden: bool, tmp_path: Path) -> None:
    """Refresh with ``python -m pytest tests/test_readme.py --update-golden``."""
    (shown,) = (block for block in README.shown() if block.startswith(f"$ {MAIN}\n"))
    picture = README.picture("bert_base.png")
    assert picture is not None
    printed = f"$ {MAIN}\n" + output_of(f"{MAIN} --plot {tmp_path / picture.name}")
    hold_picture(picture, tmp_path / picture.name, update_golden)
    if update_golden:
        README.rewrite(shown, printed)
        pytest.skip("README.md was rewritten")
    assert shown == printed, "the README shows an older output; refresh it with --update-golden"
