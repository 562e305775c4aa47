"""Pictures of a table of many points: heat map, parallel coordinates, distribution, and the front of two columns.

A table is rows of named cells; the info functions take what they need from it, so that neither a store nor a file is
known here. Pictures of points are readable without colours: numbers stand in the cells of a heat map, lines differ in
dashes, and curves in their marks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mapper.nest.bounds.pareto import minimal
from mapper.plots.column_units import shown_column
from mapper.plots.pareto_front import FrontPoints

TableRow: TypeAlias = Mapping[str, object]

MOST_CELLS = 30
"""Values of an axis of a heat map."""

MOST_LINES = 400
"""Lines of parallel coordinates."""


def number(row: TableRow, column: str) -> float | None:
    """Return the number in a cell; None if there is none."""
    value = row.get(column)
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value) else None
    )


def _finished(rows: Sequence[TableRow], columns: Sequence[str]) -> list[TableRow]:
    """Return the rows that have numbers in all of these columns.

    Raises
    ------
    ValueError
        When none has.
    """
    found = [row for row in rows if all(number(row, column) is not None for column in columns)]
    if not found:
        raise ValueError(f"no row has numbers in {', '.join(columns)}")
    return found


def _numbers(rows: Sequence[TableRow], column: str) -> list[float]:
    return [value for row in rows if (value := number(row, column)) is not None]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The best value of one column for each pair of values of two others."""

    title: str
    x_name: str
    y_name: str
    value_name: str
    x: tuple[str, ...]
    y: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    """By y, then by x; None where no point has a value."""
    points: int
    """Points per cell at most: of several, the best is shown."""


def heat_map(rows: Sequence[TableRow], x: str, y: str, value: str, title: str = "") -> HeatMap:
    """Return the numbers of a heat map; the order along its axes is that of the rows.

    Raises
    ------
    ValueError
        When no row has the value, or an axis has too many.
    """
    found = _finished(rows, [value])
    names = [list(dict.fromkeys(str(row.get(axis)) for row in found)) for axis in (x, y)]
    for axis, values in zip((x, y), names, strict=True):
        if len(values) > MOST_CELLS:
            raise ValueError(
                f"{axis} has {len(values)} values, a heat map shows {MOST_CELLS}; narrow them with --where"
            )
    cells: dict[tuple[str, str], list[float]] = {}
    for row in found:
        cells.setdefault((str(row.get(y)), str(row.get(x))), []).extend(_numbers([row], value))
    factor, shown = shown_column(value, _numbers(found, value))
    table = tuple(
        tuple(factor * min(cells[line, column]) if (line, column) in cells else None for column in names[0])
        for line in names[1]
    )
    most = max(map(len, cells.values()))
    return HeatMap(title, x, y, shown, tuple(names[0]), tuple(names[1]), table, most)


@dataclass(frozen=True, slots=True)
class ParallelAxis:
    """One vertical axis."""

    name: str
    places: tuple[float, ...]
    """Where each line meets it, 0 at the bottom and 1 at the top."""
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Parallel:
    """Lines over several axes."""

    title: str
    axes: tuple[ParallelAxis, ...]
    best: tuple[bool, ...]
    """Which lines no other one beats in all measures."""
    measures: tuple[str, ...]


def parallel(rows: Sequence[TableRow], axes: Sequence[str], measures: Sequence[str], title: str = "") -> Parallel:
    """Return the numbers of parallel coordinates.

    Parameters
    ----------
    rows, title
        What is drawn.
    axes
        Columns that were chosen; texts stand in the order of the rows.
    measures
        Columns of numbers, the less the better.

    Raises
    ------
    ValueError
        When no row has all measures, or there are too many lines.
    """
    found = _finished(rows, measures)
    if len(found) > MOST_LINES:
        raise ValueError(f"{len(found)} rows, parallel coordinates show {MOST_LINES}; narrow them with --where")
    best = set(minimal(np.array([[number(row, name) for name in measures] for row in found], dtype=float)).tolist())
    drawn = [*(_chosen(found, name) for name in axes), *(_measured(found, name) for name in measures)]
    return Parallel(title, tuple(drawn), tuple(place in best for place in range(len(found))), tuple(measures))


def _chosen(rows: Sequence[TableRow], name: str) -> ParallelAxis:
    """Values that were chosen, evenly spaced."""
    values = list(dict.fromkeys(str(row.get(name)) for row in rows))
    step = 1.0 / (len(values) - 1) if len(values) > 1 else 0.0
    place = {value: at * step if step else 0.5 for at, value in enumerate(values)}
    return ParallelAxis(name, tuple(place[str(row.get(name))] for row in rows), tuple((place[v], v) for v in values))


def _measured(rows: Sequence[TableRow], name: str) -> ParallelAxis:
    """Numbers, from the least at the bottom to the largest."""
    plain = _numbers(rows, name)
    factor, shown = shown_column(name, plain)
    values = [factor * value for value in plain]
    low, high = min(values), max(values)
    spread = high - low
    places = tuple((value - low) / spread if spread else 0.5 for value in values)
    steps = (0.0, 0.25, 0.5, 0.75, 1.0) if spread else (0.5,)
    return ParallelAxis(shown, places, tuple((step, f"{low + step * spread:.4g}") for step in steps))


@dataclass(frozen=True, slots=True)
class Spread:
    """How often which value occurs, relative to the least."""

    title: str
    value_name: str
    least: float
    relative: tuple[float, ...]
    """Ascending, 1 for the least."""
    edges: tuple[float, ...]
    shares: tuple[float, ...]
    """Of the values between neighbouring edges."""
    marks: tuple[tuple[str, float], ...] = ()
    """Values to be named: name, relative value."""

    def share_within(self, factor: float) -> float:
        """Return the share of values up to so many times the least."""
        return float(np.searchsorted(self.relative, factor, side="right")) / len(self.relative)


BINS_PER_DECADE = 15


def distribution(
    values: Sequence[float], name: str, title: str = "", marks: Mapping[str, float] | None = None
) -> Spread:
    """Return histogram and cumulated shares of positive values.

    Raises
    ------
    ValueError
        When there is none.
    """
    positive = sorted(value for value in values if value > 0)
    if not positive:
        raise ValueError(f"no row has a positive number in {name}")
    least = min([positive[0], *(marks or {}).values()])
    relative = np.array(positive) / least
    decades = max(np.log10(relative[-1]), 1.0 / BINS_PER_DECADE)
    edges = np.logspace(0.0, decades * 1.0000001, 1 + max(1, round(decades * BINS_PER_DECADE)))
    counts, _ = np.histogram(relative, edges)
    named = tuple((mark, value / least) for mark, value in (marks or {}).items())
    shares = tuple(float(count) / len(positive) for count in counts)
    return Spread(title, name, least, tuple(relative.tolist()), tuple(edges.tolist()), shares, named)


def front_of(rows: Sequence[TableRow], x: str, y: str, labels: Sequence[str], title: str = "") -> FrontPoints:
    """Return the Pareto front of two columns; points are named by the values of ``labels``.

    Raises
    ------
    ValueError
        When no row has both.
    """
    found = _finished(rows, [x, y])
    table = np.array([[number(row, x), number(row, y)] for row in found], dtype=float)
    front = sorted(minimal(table).tolist(), key=lambda place: (table[place][0], table[place][1]))
    names = tuple(", ".join(str(found[place].get(label)) for label in labels) for place in front)
    (x_factor, x_shown), (y_factor, y_shown) = (
        shown_column(x, table[:, 0].tolist()),
        shown_column(y, table[:, 1].tolist()),
    )
    table = table * np.array([x_factor, y_factor])
    beaten = tuple((float(a), float(b)) for place, (a, b) in enumerate(table) if place not in set(front))
    xs, ys = (tuple(float(table[place][column]) for place in front) for column in (0, 1))
    best = min(range(len(front)), key=lambda place: xs[place] * ys[place]) if min(xs + ys) > 0 else None
    return FrontPoints(title, x_shown, y_shown, xs, ys, names, best, beaten)
