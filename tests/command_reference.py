"""`mapper/COMMANDS.md`: every command with its options, read from the parser.

``python -m tests.command_reference`` writes the page; `test_pages` holds it to the parser.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from mapper import cli
from tests.pages import ROOT

PAGE = ROOT / "mapper" / "COMMANDS.md"

INTRODUCTION = """\
# Every command and option

Generated from the parser by `python -m tests.command_reference`; do not edit it. [The command, by
example](commands/README.md) shows what they are for. Exit codes: 0 good; 1 a lost gate, a drift, or a check that
failed; 2 wrong input, one line for each problem; 130 interrupted.
"""


def text() -> str:
    """Return the page."""
    whole = cli.parser()
    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    summaries = {choice.dest: choice.help or "" for choice in commands._choices_actions}
    index = "\n".join(f"- [`{name}`](#{name}): {summaries[name]}" for name in commands.choices)
    return "\n".join([INTRODUCTION, index, *(_command(name, parser) for name, parser in commands.choices.items())])


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    """Return one section: what the command is given, then its options by group."""
    given = [action for action in parser._actions if not action.option_strings]
    usage = " ".join(["tilewright", name, *map(_metavar, given)])
    lines = [f"\n## `{name}`\n", f"{parser.description}\n", f"    {usage} [options]\n", *_table("given", given)]
    for group in parser._action_groups:
        options = [action for action in group._group_actions if action.option_strings and action.dest != "help"]
        lines += _table(group.title or "options", options)
    return "\n".join(lines)


def _table(title: str, actions: list[argparse.Action]) -> Iterator[str]:
    if actions:
        yield f"| {title} | |\n|---|---|"
        yield "\n".join(f"| `{_spelt(action)}` | {_help(action)} |" for action in actions) + "\n"


def _spelt(action: argparse.Action) -> str:
    """Return an option with what follows it."""
    names = ", ".join(action.option_strings)
    return " ".join(filter(None, [names, _metavar(action)])).replace("|", "\\|")


def _metavar(action: argparse.Action) -> str:
    """Return what stands for the value of an argument, or nothing for a flag."""
    if action.nargs == 0:
        return ""
    choices = "" if action.choices is None else "{" + ",".join(map(str, action.choices)) + "}"
    shown = str(action.metavar or choices or action.dest.upper())
    return f"{shown} [{shown} ...]" if action.nargs == "+" else shown


def _help(action: argparse.Action) -> str:
    values = {**vars(action), "prog": "tilewright"}
    return ((action.help or "") % values).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
