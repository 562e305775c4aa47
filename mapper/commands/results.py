"""``tilewright results``: the rows of a store as a table, and as files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mapper.commands.outputs import open_outputs
from mapper.commands.problems import CommandError
from mapper.reports import quantities
from mapper.reports.text import columns, printable
from mapper.sweep.export import WRITERS
from mapper.sweep.model_version import model_version
from mapper.sweep.results import ALWAYS, Cell, Table, filtered, ordered, pareto, table_of
from mapper.sweep.store import Store

SHOWN_ROWS = 50
"""Rows on the screen unless more are asked for."""

LONGEST_CELL = 48


def execute(options: argparse.Namespace) -> int:
    """Print what is asked for; files get every column."""
    if options.rows is not None and options.rows < 0:
        raise CommandError(f"--rows {options.rows}: must be 0 (all) or more")
    for path in options.out:
        if Path(path).suffix.lower() not in WRITERS:
            raise CommandError(f"--out {path}: must end with {', '.join(WRITERS)}")
    with Store.to_read(options.store) as store, ExitStack() as stack:
        names = {f"out {path}": path for path in options.out}
        outputs = open_outputs(stack, names, (options.store,))
        counts, version = store.counts(), store.model_version
        table = _chosen(table_of(store), options)
        asked = [name.removeprefix("-") for given in (options.pareto, options.sort) for name in _named_columns(given)]
        shown = _named_columns(options.columns) or _screen_columns(table, asked)
        most = SHOWN_ROWS if options.rows is None else options.rows
        lines = _lines(table.narrowed(shown), most)
        print(f"{options.store}: {counts.done:,} done, {counts.failed:,} failed, {counts.waiting:,} waiting")
        if version != model_version():
            print(f"note: computed by model {printable(version)}; this is {model_version()}")
        if len(plans := set(table.column("plan"))) > 1:
            last = f"--where 'plan == {store.plans}' shows the last one's"
            print(f"note: rows of {len(plans)} sweeps, told apart by 'plan'; {last}")
        print("\n".join(lines), flush=True)
        for output in outputs.values():
            write = WRITERS[output.path.suffix.lower()]
            output.finish(lambda path, write=write: write(table, path))  # type: ignore[misc]
    return 0


def _chosen(table: Table, options: argparse.Namespace) -> Table:
    table = filtered(table, options.where)
    if options.pareto is not None:
        table = pareto(table, _named_columns(options.pareto))
    return ordered(table, _named_columns(options.sort)) if options.sort else table


def _named_columns(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _screen_columns(table: Table, asked: Sequence[str]) -> tuple[str, ...]:
    """Row, status, what changes between the rows, the main numbers, those asked for, and reasons if a row has one."""
    axes = table.varied()
    plan = ["plan"] if len(set(table.column("plan"))) > 1 else []
    named = [name for name in ("model", "machine") if name not in axes and len(set(table.column(name))) > 1]
    numbers = [name for name in ALWAYS if name in table.columns]
    reasons = ["reason"] if any(table.column("reason")) else []
    return tuple(dict.fromkeys(["row", *plan, "status", *named, *axes, *numbers, *asked, *reasons]))


def _lines(table: Table, most: int) -> list[str]:
    if not table.rows:
        return ["no rows"]
    rows = table.rows[:most] if most else table.rows
    lines = [[_shown(name, cell) for name, cell in zip(table.columns, row, strict=True)] for row in rows]
    right = [place for place in range(len(table.columns)) if _is_number(table, place)]
    text = columns([[printable(name) for name in table.columns], *lines], rules=[1], right=right)
    rest = len(table.rows) - len(rows)
    return [*text, f"... {rest:,} more: --rows 0 prints all"] if rest else text


def _is_number(table: Table, place: int) -> bool:
    return all(isinstance(row[place], int | float | None) for row in table.rows)


def _shown(name: str, cell: Cell) -> str:
    """Return a cell for people; files have the plain numbers."""
    if cell is None:
        return "-"
    if isinstance(cell, float) and name.endswith("_s") and not name.endswith("_js"):
        return quantities.quantity(cell, "s")
    if isinstance(cell, float) and name.endswith("_pj"):
        return quantities.energy(cell)
    if isinstance(cell, float):
        return f"{cell:.4g}"
    if isinstance(cell, int) and name not in ("row", "plan"):
        return f"{cell:,}"
    text = printable(str(cell))
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 3] + "..."
