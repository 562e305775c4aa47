"""What every page promises: files and links are there, commands are accepted, Python runs, generated pages are current.

Its examples are run by `test_readme_examples`; files that "Extending" shows by `tests/extending`.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from mapper import cli
from tests import command_reference, field_reference
from tests.pages import PAGES, README, ROOT, Page, hold_picture, page

EXTENDING = page("mapper/testing/README.md")
ACCURACY = page("mapper/validation/README.md")
GENERATED = {module.PAGE: module.text for module in (command_reference, field_reference)}

every_page = pytest.mark.parametrize("page", PAGES, ids=str)


@every_page
def test_files_named_in_the_text_exist(page: Page) -> None:
    """Except those that "Extending" adds, which its own tests write."""
    named = set(re.findall(r"`(?:python )?([a-z_]+/[a-z_/0-9]+\.(?:py|yaml|json|csv))", page.text))
    if page != EXTENDING:
        assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


@every_page
def test_links_lead_to_files(page: Page) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.text)
    assert [target for target in targets if not (page.path.parent / target).exists()] == []


def test_every_page_is_linked_from_the_front_door() -> None:
    linked = {(ROOT / target).resolve() for target in re.findall(r"\]\(([^)#:]+\.md)\)", README.text)}
    assert [str(one) for one in PAGES if one != README and one.path not in linked] == []


@every_page
def test_every_command_shown_is_accepted(page: Page) -> None:
    shown = re.findall(r"(?:^|&& )(tilewright [^#\n]+)", "".join(page.blocks("sh")), flags=re.MULTILINE)
    for command in shown:
        cli.parser().parse_args(shlex.split(command.partition(" > ")[0])[1:])


@pytest.mark.parametrize("page", [one for one in PAGES if one.code()], ids=str)
def test_python_of_a_page_runs_at_a_small_size(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    for code in page.code():
        small = code.replace("seq=512", "seq=16, finalists=0")
        assert small != code, "the size is one that this test makes small"
        exec(compile(small, str(page), "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_a_generated_page_is_current(path: Path, update_golden: bool) -> None:
    """Refresh with ``python -m pytest tests/test_pages.py --update-golden``."""
    text = GENERATED[path]()
    if update_golden:
        path.write_text(text, encoding="utf-8")
        pytest.skip(f"{path.name} was rewritten")
    assert path.read_text(encoding="utf-8") == text, "refresh it with --update-golden"


def test_the_reference_of_fields_tells_all_of_them() -> None:
    text = field_reference.text()
    assert all(f"\n## `{name}`\n" in text for name in field_reference.SECTIONS)
    assert "| `capacity` | bytes | - | 256 KiB |" in text and "| `ports` | number | - | 1 |" in text
    assert "| `latency` | cycles | - | 40 |" in text and "set in the measurement" in text
    empty = [line for line in text.splitlines() if line.startswith("| `") and re.search(r"\|\s+\|", line)]
    assert {line.split("`")[1] for line in empty} == set(field_reference.TEXTS), "no source, or no text"


def test_the_reference_of_commands_tells_all_of_them() -> None:
    text = command_reference.text()
    assert all(f"\n## `{name}`\n" in text for name in ("run", "map", "sweep", "explore", "plot", "validate"))
    assert "| `-o, --out FILE` |" in text and "| `MODEL` |" in text and "%(" not in text


def test_scoreboard_and_scatter_shown_are_those_of_the_shipped_rows(tmp_path: Path, update_golden: bool) -> None:
    """The Verilator part of the scoreboard is what ``tilewright validate`` prints now, and its gates hold."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert cli.main(["validate", "--plot", str(tmp_path / "validation.png")]) == 0
    for one in (README, ACCURACY):
        shown_there = one.picture("validation.png")
        assert shown_there is not None
        hold_picture(shown_there, tmp_path / "validation.png", update_golden)
    assert "9 gates: all hold" in printed.getvalue()
    now = [line.split() for line in printed.getvalue().split("\n\n")[0].splitlines()[2:]]
    (board,) = (block for block in ACCURACY.blocks("text") if block.startswith("simulated against measured"))
    shown = [line.split() for line in board.splitlines()]
    assert [line for line in now if line not in shown] == []
    assert _in_words(printed.getvalue()) in " ".join(README.text.split())


def _in_words(scoreboard: str) -> str:
    """Return what the front door says of the scoreboard."""
    found = re.findall(r"^(\S.*?) +(\d+) +([\d.]+) % +[\d.]+ % +[+-]([\d.]+) %", scoreboard, flags=re.MULTILINE)
    rows = {name: (count, mean, worst) for name, count, mean, worst in found}
    products, commands = rows["products"], rows["single commands and chains"]
    second = rows["second SoC: products"]
    return (
        f"products {products[1]} % off in the mean and {products[2]} % at worst ({products[0]} rows), single commands "
        f"and chains {commands[1]} and {commands[2]} % ({commands[0]} rows), and products of a second SoC {second[1]} "
        f"and {second[2]} %"
    )
