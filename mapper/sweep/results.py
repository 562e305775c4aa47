"""Results of a sweep as a table: filtered, sorted, reduced to a Pareto front."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, get_args

import numpy as np

from hwconfigs.errors import suggestion
from mapper.errors import SweepError
from mapper.nest.bounds.pareto import minimal
from mapper.sweep.filters import read_filter
from mapper.sweep.outcome import Status
from mapper.sweep.store import Store, StoredPoint

Cell: TypeAlias = object
"""Number, text, or None."""

STATUSES = set(get_args(Status))

FIXED = ("row", "status", "model", "machine")
ALWAYS = ("cycles", "latency_s", "energy_pj", "edp_js")
"""Columns of the table on the screen besides row, status and axes."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name, and rows of equally many cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    axes: tuple[str, ...] = ()
    """Columns that sweeps chose the values of."""

    def column(self, name: str) -> list[Cell]:
        """Return the cells of a column; a `SweepError` with the nearest name if there is none."""
        if name not in self.columns:
            raise SweepError(f"unknown column {name!r}{suggestion(name, self.columns)}")
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def taken(self, places: Iterable[int]) -> Table:
        """Return some of the rows, in the order given."""
        return replace(self, rows=tuple(self.rows[place] for place in places))

    def varied(self) -> tuple[str, ...]:
        """Return the axes that some row has a value of; each sweep has its own."""
        return tuple(name for name in self.axes if any(cell is not None for cell in self.column(name)))

    def narrowed(self, names: Sequence[str]) -> Table:
        """Return some of the columns, in the order given."""
        cells = [self.column(name) for name in names]
        return Table(tuple(names), tuple(zip(*cells, strict=True)) if self.rows else ())

    def dicts(self) -> Iterator[dict[str, Cell]]:
        """Yield each row by name of its columns."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)


def table_of(store: Store, statuses: Sequence[Status] = ("done", "failed", "waiting")) -> Table:
    """Return all rows of a store: number, status, values of the axes, metrics, reason and key."""
    found: list[Mapping[str, Cell]] = []
    axes: dict[str, None] = {}
    for stored in store.rows(statuses=statuses):
        found.append(_cells(stored))
        axes.update(dict.fromkeys(stored.point.values))
    names: dict[str, None] = dict.fromkeys(FIXED)
    for cells in found:
        names.update(dict.fromkeys(cells))
    last = ("reason", "seconds", "plan", "key")
    columns = tuple(name for name in names if name not in last) + last
    return Table(columns, tuple(tuple(cells.get(name) for name in columns) for cells in found), tuple(axes))


def _cells(stored: StoredPoint) -> Mapping[str, Cell]:
    point = stored.point
    # An axis that bears the name of a metric keeps it; the metric is the same thing then.
    return {
        "row": stored.row, "status": stored.status, "model": point.model, "machine": point.machine,
        **{name: _plain(value) for name, value in point.values.items()}, **stored.metrics,
        "reason": stored.reason or None, "seconds": stored.seconds, "plan": stored.plan, "key": stored.key,
    }  # fmt: skip


def _plain(value: object) -> Cell:
    return value if isinstance(value, int | float | str | None) else str(value)


def filtered(table: Table, conditions: Iterable[str]) -> Table:
    """Return the rows that fulfil all conditions, such as ``"latency_s < 0.1"``; cells without a value fulfil none."""
    read = [read_filter(text, frozenset(table.columns)) for text in conditions]
    for one in read:
        for name, value in one.texts():
            known = {str(cell) for cell in table.column(name)} | (STATUSES if name == "status" else set())
            if value not in known and "did you mean" in (near := suggestion(value, known)):
                raise SweepError(f"filters: {one.text}: no row has {value}{near}")
    kept = [
        place
        for place, row in enumerate(table.dicts())
        if all(all(row.get(word, 0) is not None for word in one.words) and one.holds(row) for one in read)
    ]
    return table.taken(kept)


def ordered(table: Table, names: Sequence[str]) -> Table:
    """Return the rows sorted by columns, the first one first; ``-name`` sorts downwards, cells without a value last."""
    order = list(range(len(table.rows)))
    for name in reversed(names):
        cells = table.column(name.removeprefix("-"))
        order = [place for place in order if cells[place] is not None]
        order.sort(key=lambda place: _rank(cells[place]), reverse=name.startswith("-"))
        order += [place for place in range(len(cells)) if cells[place] is None]
    return table.taken(order)


def _rank(cell: Cell) -> tuple[int, float, list[tuple[str, int]]]:
    """Numbers before texts; in texts, numbers by their value."""
    if isinstance(cell, int | float):
        return 0, float(cell), []
    return 1, 0.0, [(word, int(digits or 0)) for word, digits in re.findall(r"(\D+|^)(\d*)", str(cell))]


def pareto(table: Table, names: Sequence[str]) -> Table:
    """Return the rows that no other one beats in all columns at once; less is better, more with ``-name``.

    Raises
    ------
    SweepError
        For a column that has no numbers.
    """
    columns = [[_signed(cell, name) for cell in table.column(name.removeprefix("-"))] for name in names]
    rows = list(zip(*columns, strict=True))
    numbers = [place for place, row in enumerate(rows) if None not in row]
    if not numbers:
        raise SweepError(f"no row has numbers in {', '.join(name.removeprefix('-') for name in names)}")
    return table.taken(numbers[place] for place in minimal(np.array([rows[place] for place in numbers])))


def _signed(cell: Cell, name: str) -> float | None:
    """Return a number that is to be small; None of what is no number."""
    if not isinstance(cell, int | float):
        return None
    return -float(cell) if name.startswith("-") else float(cell)
