"""Tables of results as files: CSV, JSON, and Parquet by the extra ``tables``."""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mapper.errors import SweepError
from mapper.reports.text import printable
from mapper.sweep.results import Cell, Table

SCHEMA = "tilewright.results/1"


FORMULA = ("=", "+", "-", "@")
"""First characters by which a spreadsheet takes a text for a formula, and runs it."""


def write_csv(table: Table, path: Path) -> None:
    """Write one line for each row; cells without a value are empty, floats are exact, and no text is a formula."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(_harmless, table.columns))
        writer.writerows(map(_harmless, row) for row in table.rows)


def _harmless(cell: Cell) -> Cell:
    """Return a text without control characters that no spreadsheet runs; numbers as they are."""
    if not isinstance(cell, str):
        return cell
    text = printable(cell)
    return f"'{text}" if text.startswith(FORMULA) else text


def write_json(table: Table, path: Path) -> None:
    """Write the rows as objects, cells without a value left out."""
    rows = [{name: cell for name, cell in row.items() if cell is not None} for row in table.dicts()]
    document = {"schema": SCHEMA, "columns": table.columns, "rows": rows}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_parquet(table: Table, path: Path) -> None:
    """Write typed columns; one that has texts among its numbers becomes text.

    Raises
    ------
    SweepError
        When pyarrow is not installed.
    """
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise SweepError("Parquet needs the extra 'tables': python -m pip install 'tilewright[tables]'") from None
    columns = {name: _typed(table.column(name)) for name in table.columns}
    parquet.write_table(pyarrow.table(columns), path)


def _typed(cells: list[object]) -> list[object]:
    """Return cells of one type."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {int, float}:
        return [float(cell) if float in kinds and isinstance(cell, int) else cell for cell in cells]
    return cells if len(kinds) <= 1 else [None if cell is None else str(cell) for cell in cells]


WRITERS: Mapping[str, Callable[[Table, Path], None]] = {
    ".csv": write_csv, ".json": write_json, ".parquet": write_parquet,
}  # fmt: skip
"""By the ending of the file's name."""
