"""The README is executed: its Python runs, its commands exist, its output is what the command prints."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from mapper import cli

MAIN = "tilewright run bert-base --hw gemmini_ibert --seq 512"
INSTALL_AND_TEST = "python -m pip install '.[test]' && python -m pytest -n auto"


@pytest.fixture(scope="module")
def text(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def output_of(command: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert cli.main(shlex.split(command)[1:]) == 0
    return printed.getvalue()


def test_files_named_in_the_text_exist(text: str, repository: Path) -> None:
    """Except those that "Extending" adds, which its own test writes."""
    before, rest = text.split("\n## Extending\n")
    prose = before + rest.split("\n## ", 1)[1]
    named = set(re.findall(r"`(?:python )?([a-z_]+/[a-z_/0-9]+\.(?:py|yaml|json|csv))", prose))
    assert named
    assert [path for path in sorted(named) if not (repository / path).is_file()] == []
    assert re.findall(r"`([a-z_0-9]+\.(?:py|csv))`", prose) == [], "name files by their path, which this test checks"


def test_both_commands_are_shown_complete(text: str) -> None:
    shell = "".join(blocks(text, "sh")).splitlines()
    assert f"python -m pip install . && {MAIN}" in shell
    assert INSTALL_AND_TEST in shell


def test_every_command_shown_is_accepted(text: str) -> None:
    shown = re.findall(r"(?:^|&& )(tilewright [^#\n]+)", "".join(blocks(text, "sh")), flags=re.MULTILINE)
    assert len(shown) >= 5
    for command in shown:
        cli.parser().parse_args(shlex.split(command.partition(" > ")[0])[1:])


def test_python_of_the_readme_runs_at_a_small_size(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    # Blocks that begin with a path are files of the section "Extending", which has tests of its own.
    (code,) = (block for block in blocks(text, "python") if not block.startswith("# "))
    assert "seq=512" in code
    exec(compile(code.replace("seq=512", "seq=32"), "README.md", "exec"), {})
    assert "mJ" in capsys.readouterr().out


def test_links_lead_to_files(text: str, repository: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    assert targets
    assert [target for target in targets if not (repository / target).exists()] == []


def test_output_shown_is_that_of_the_main_command(text: str, repository: Path, update_golden: bool) -> None:
    """Refresh with ``python -m pytest tests/test_readme.py --update-golden``."""
    (shown,) = (block for block in blocks(text, "text") if block.startswith(f"$ {MAIN}"))
    printed = f"$ {MAIN}\n" + output_of(MAIN)
    if update_golden:
        (repository / "README.md").write_text(text.replace(shown, printed), encoding="utf-8")
        pytest.skip("README.md was rewritten")
    assert shown == printed, "the README shows an older output; refresh it with --update-golden"


def test_scoreboard_shown_is_that_of_the_shipped_rows(text: str) -> None:
    """The Verilator part of the README's scoreboard is what ``tilewright validate`` prints now, and its gates hold."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert cli.main(["validate"]) == 0
    assert "9 gates: all hold" in printed.getvalue()
    now = [line.split() for line in printed.getvalue().split("\n\n")[0].splitlines()[2:]]
    (board,) = (block for block in blocks(text, "text") if block.startswith("simulated against measured"))
    shown = [line.split() for line in board.splitlines()]
    assert [line for line in now if line not in shown] == []
