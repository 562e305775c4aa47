"""``tilewright plot``: a picture of a run or a sweep that was written to a file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mapper.commands.outputs import open_outputs
from mapper.commands.plot_options import OF_RUNS, OF_STORES
from mapper.commands.plot_stores import store_figure
from mapper.commands.problems import CommandError
from mapper.commands.windows import Window, read_window
from mapper.plots.roofline import draw_roofline, roofline_info
from mapper.reports.documents import DocumentError
from mapper.reports.saved_run import SavedRun, read_run
from simulator.report import Report
from simulator.views.causes import cycle_causes, draw_causes
from simulator.views.occupancy import draw_occupancy, occupancy
from simulator.views.plots import breakdown, draw_breakdown
from simulator.views.style import SIZES, Size, save
from simulator.views.timeline import draw_timeline, timeline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw: TypeAlias = Callable[[SavedRun, Window | None, Size], "Figure"]

WITH_WINDOW = ("timeline", "occupancy")
STORE_ONLY = ("x", "y", "value", "where")


def execute(options: argparse.Namespace) -> int:
    """Read, draw and write."""
    if options.window is not None and options.kind not in WITH_WINDOW:
        raise CommandError(f"--window is for {' and '.join(WITH_WINDOW)}, not for {options.kind}")
    for name in STORE_ONLY:
        if getattr(options, name) and options.kind not in OF_STORES:
            raise CommandError(f"--{name} is for the store of a sweep ({', '.join(OF_STORES)}), not for {options.kind}")
    window = read_window(options.window, "--window")
    with ExitStack() as stack:
        output = open_outputs(stack, {"plot": options.out}, (options.source,))["plot"]
        if options.kind in OF_STORES:
            figure = store_figure(options, SIZES[options.size])
        else:
            figure = _drawn(options.kind, options.source, window, SIZES[options.size])
        output.finish(lambda path: save(figure, path, output.path.suffix[1:].lower()))
    return 0


def _drawn(kind: str, source: str, window: Window | None, size: Size) -> Figure:
    assert kind in OF_RUNS, "the parser lets only known kinds through"
    try:
        return DRAWN[kind](read_run(Path(source)), window, size)
    except DocumentError as problem:
        raise CommandError(str(problem)) from None
    except ValueError as problem:
        # A picture of nothing: the info functions say of what.
        raise CommandError(f"{source}: {problem}") from None


def _breakdown(run: SavedRun, window: Window | None, size: Size) -> Figure:
    return draw_breakdown(breakdown(run.simulation, without_constants(run), run.absorbed), size)


def without_constants(run: SavedRun) -> Report:
    """Return the estimate without operators of which it is the machine file's constant, as the simulation is."""
    kept = tuple(part for part in run.estimate.by_op if part.name not in run.estimated)
    return replace(run.estimate, by_op=kept)


def _causes(run: SavedRun, window: Window | None, size: Size) -> Figure:
    return draw_causes(cycle_causes(run.simulation), size)


def _roofline(run: SavedRun, window: Window | None, size: Size) -> Figure:
    port = run.machine.section("dram").number("bytes_per_cycle")
    return draw_roofline(roofline_info(run.simulation, port, run.absorbed), size)


def _timeline(run: SavedRun, window: Window | None, size: Size) -> Figure:
    _needs_timeline(run)
    return draw_timeline(timeline(run.simulation, window), size)


def _occupancy(run: SavedRun, window: Window | None, size: Size) -> Figure:
    _needs_timeline(run)
    return draw_occupancy(occupancy(run.simulation, window, run.capacities()), size)


def _needs_timeline(run: SavedRun) -> None:
    if not run.simulation.spans:
        raise ValueError("has no timeline; run it again with --timeline")


DRAWN: dict[str, Draw] = {
    "breakdown": _breakdown,
    "causes": _causes,
    "roofline": _roofline,
    "timeline": _timeline,
    "occupancy": _occupancy,
}
