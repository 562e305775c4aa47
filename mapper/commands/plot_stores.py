"""Pictures of the store of a sweep, for ``tilewright plot``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mapper.commands.problems import CommandError
from mapper.plots.draw_tables import draw_heat_map, draw_parallel, draw_spread
from mapper.plots.pareto_front import draw_front
from mapper.plots.tables import distribution, front_of, heat_map, number, parallel
from mapper.sweep.results import Table, filtered, table_of
from mapper.sweep.store import Store
from simulator.views.style import Size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURES = ("latency_s", "energy_pj", "edp_js")


def store_figure(options: argparse.Namespace, size: Size) -> Figure:
    """Return the picture that the options ask for; a `CommandError` if there is nothing to draw."""
    with Store.to_read(options.source) as store:
        table = filtered(table_of(store), options.where)
    for name in (options.x, options.y, options.value):
        if name is not None:
            table.column(name)  # names the nearest one if there is none
    try:
        return _figure(options, table, size)
    except ValueError as problem:
        raise CommandError(f"{options.source}: {problem}") from None


def _figure(options: argparse.Namespace, table: Table, size: Size) -> Figure:
    rows, title = list(table.dicts()), Path(options.source).name
    varied = [axis for axis in table.varied() if len(set(map(str, table.column(axis)))) > 1]
    if options.kind == "front":
        named = f"{title}; labels: {', '.join(varied)}" if varied else title
        return draw_front(front_of(rows, options.x or MEASURES[0], options.y or MEASURES[1], varied, named), size)
    if options.kind == "parallel":
        measures = [name for name in MEASURES if name in table.columns]
        return draw_parallel(parallel(rows, varied, measures, title), size)
    value = options.value or MEASURES[0]
    if options.kind == "distribution":
        numbers = [found for row in rows if (found := number(row, value)) is not None]
        return draw_spread(distribution(numbers, value, title), size)
    names = [*(name for name in (options.x, options.y) if name), *varied]
    if len(dict.fromkeys(names)) < 2:
        raise ValueError("a heat map needs two axes with several values; name columns with --x and --y")
    x = options.x or next(name for name in varied if name != options.y)
    y = options.y or next(name for name in varied if name != x)
    return draw_heat_map(heat_map(rows, x, y, value, title), size)
