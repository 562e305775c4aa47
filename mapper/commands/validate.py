"""``tilewright validate``: the simulator against measured hardware, row by row."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mapper.commands.answers import Answer, json_file, picture_file
from mapper.commands.exit_codes import BAD_INPUT, GATE_FAILED
from mapper.commands.outputs import open_outputs
from mapper.commands.problems import CommandError
from mapper.validation import scoreboard
from mapper.validation.gates import verdicts
from mapper.validation.measured import firesim, normaliser_rows, programs
from mapper.validation.measured.results import RowResults
from mapper.validation.measured.rows import MeasuredTable, ValidationError, read_table
from mapper.validation.measured.runner import Progress, run_firesim, run_normaliser, run_rtl
from simulator.views.style import SIZES, Size

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from tqdm import tqdm


def execute(options: argparse.Namespace) -> int:
    """Run the rows, print the scoreboard. 0: all gates hold, 1: one fails, 2: a row makes no sense."""
    if options.without_patch and options.firesim is None and (options.estimate or options.timeloop is not None):
        raise CommandError("--without-patch is for FireSim rows: give --firesim")
    if options.without_program_constants and (options.estimate or options.timeloop is not None):
        raise CommandError("--without-program-constants is for Verilator rows: leave out --estimate and --timeloop")
    if options.estimate:
        return _estimate(options)
    if options.seed is not None:
        raise CommandError("--seed is for random mappings: give --estimate")
    if options.timeloop is None:
        return _measured(options)
    if options.rtl is None and options.firesim is None and options.normaliser is None:
        return _timeloop(options)
    if options.json is not None:
        raise CommandError("--json: give --timeloop alone, or leave it out; one file holds one comparison")
    return max(_timeloop(options), _measured(options))


def _estimate(options: argparse.Namespace) -> int:
    """The estimate against the simulation. 0: all gates hold, 1: one fails."""
    from mapper.validation import estimate_accuracy

    if options.seed is not None and options.seed < 0:
        raise CommandError(f"--seed: {options.seed} is not 0 or more")
    measured = (options.rtl, options.firesim, options.normaliser, options.timeloop, options.plot)
    if any(value is not None for value in measured):
        others = "--rtl, --firesim, --normaliser, --timeloop, --plot"
        raise CommandError(f"--estimate: simulates mappings of its own; leave out {others}")
    with ExitStack() as stack:
        outputs = open_outputs(stack, {"json": options.json}, ())
        with _bar() as progress:
            sampling = estimate_accuracy.SAMPLING
            if options.seed is not None:
                sampling = replace(sampling, seed=options.seed)
            comparison = estimate_accuracy.compare(
                sampling=sampling, progress=lambda done, total: progress("mappings", done, total)
            )
        files = {"json": json_file(lambda: estimate_accuracy.as_dict(comparison))}
        Answer(estimate_accuracy.text(comparison), files).deliver(outputs)
    return 0 if comparison.holds else GATE_FAILED


def _timeloop(options: argparse.Namespace) -> int:
    """The loop-nest model against Timeloop's runs. 0: all agree, 1: a value differs, 2: a run makes no sense."""
    from mapper.validation import timeloop

    if options.plot is not None and options.rtl is None and options.firesim is None and options.normaliser is None:
        raise CommandError("--plot shows measured rows; --timeloop alone has none")
    with ExitStack() as stack:
        outputs = open_outputs(stack, {"json": options.json}, (options.timeloop,))
        comparison = timeloop.compare(Path(options.timeloop))
        files = {"json": json_file(lambda: timeloop.as_dict(comparison))}
        Answer(timeloop.text(comparison), files).deliver(outputs)
    if comparison.problems:
        return BAD_INPUT
    return GATE_FAILED if comparison.mismatches else 0


def _measured(options: argparse.Namespace) -> int:
    """The simulator against measured cycles."""
    rtl, from_firesim, of_normaliser = _tables(options)
    read = (options.rtl, options.firesim, options.normaliser)
    with ExitStack() as stack:
        outputs = open_outputs(stack, {"json": options.json, "plot": options.plot}, read)
        with _bar() as progress:
            results = RowResults((), ())
            if rtl is not None:
                results += run_rtl(rtl, progress, core_cycles=not options.without_program_constants)
            if of_normaliser is not None:
                results += run_normaliser(of_normaliser, progress)
            if from_firesim is not None:
                results += _run_firesim(from_firesim, progress, patched=not options.without_patch)
        files = {
            "json": json_file(lambda: scoreboard.as_dict(results)),
            "plot": picture_file(lambda: _scatter(results, SIZES[options.size])),
        }
        Answer(scoreboard.text(results), files).deliver(outputs)
    if results.bad:
        return BAD_INPUT
    return GATE_FAILED if any(not verdict.holds for verdict in verdicts(results.run)) else 0


def _tables(options: argparse.Namespace) -> tuple[MeasuredTable | None, MeasuredTable | None, MeasuredTable | None]:
    """Verilator, FireSim and normaliser rows of the files named; Verilator rows that are shipped if none is."""
    try:
        rtl = _table(options.rtl, programs.REQUIRED)
        if options.rtl is None and options.normaliser is None:
            with as_file(files("mapper.validation") / "data" / "gemmini_rtl.csv") as path:
                rtl = read_table(path, programs.REQUIRED)
        return rtl, _table(options.firesim, firesim.REQUIRED), _table(options.normaliser, normaliser_rows.REQUIRED)
    except ValidationError as problem:
        raise CommandError(str(problem)) from problem


def _table(name: str | None, required: tuple[str, ...]) -> MeasuredTable | None:
    return None if name is None else read_table(Path(name), required)


def _run_firesim(table: MeasuredTable, progress: Progress, *, patched: bool) -> RowResults:
    try:
        return run_firesim(table, progress, _processors(), patched)
    except BrokenProcessPool:
        raise CommandError(f"{table.path}: a worker process was killed, probably for want of memory") from None


def _scatter(results: RowResults, size: Size) -> Figure:
    from mapper.validation.plots import draw_scatter, scatter

    return draw_scatter(scatter(results.run), size)


def _processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _bar() -> Iterator[Progress]:
    """A bar on a terminal, nothing elsewhere."""
    bars: dict[str, tqdm[NoReturn]] = {}

    def show(source: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            return
        if source not in bars:
            from tqdm import tqdm

            bars[source] = tqdm(total=total, unit="row", leave=False, file=sys.stderr, desc=source)
        bars[source].update(done - bars[source].n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()
