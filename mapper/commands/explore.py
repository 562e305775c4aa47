"""``tilewright explore``: machines that no other one beats in several objectives, searched into a store."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mapper.commands.exit_codes import INTERRUPTED, NOTHING_RAN
from mapper.commands.point_progress import point_progress
from mapper.commands.problems import CommandError
from mapper.commands.sweep import cache_of
from mapper.explore.definition import Exploration, read_exploration
from mapper.explore.driver import Explored, explore
from mapper.reports.quantities import area, energy, quantity, size
from mapper.reports.text import columns, printable

SHOWN = 30
"""Machines of a front on the screen."""


def execute(options: argparse.Namespace) -> int:
    """Search and print the front; an interrupt keeps every machine that was computed."""
    if options.jobs is not None and options.dask is not None:
        raise CommandError("--jobs is for this computer and --dask for a cluster: give one of them")
    cache = cache_of(options)
    exploration = read_exploration(options.file)
    store = options.store or f"{Path(options.file).stem}.sqlite"
    jobs = 1 if options.jobs is None else options.jobs
    with point_progress(exploration.trials, quiet=options.quiet) as told:
        try:
            found = explore(
                exploration, store, jobs=jobs, dask=options.dask, retry_failed=options.retry_failed, cache=cache,
                progress=told,
            )  # fmt: skip
        except KeyboardInterrupt:
            print(f"tilewright: interrupted: {store} keeps what was computed; run the same again", file=sys.stderr)
            return INTERRUPTED
    print("\n".join([*_lines(exploration, found), "", *_summary(exploration, found, store)]), flush=True)
    return 0 if found.front else NOTHING_RAN


def _lines(exploration: Exploration, found: Explored) -> list[str]:
    if not found.front:
        return ["no machine keeps the limits" if found.refused and not found.tried else "no machine could be computed"]
    names = exploration.sweep.names
    rows = [("row", *names, *exploration.objectives)]
    for stored in found.front[:SHOWN]:
        values = [printable(str(stored.point.values[name])) for name in names]
        rows.append((str(stored.row), *values, *_shown(exploration.columns, stored.metrics)))
    return columns(rows, rules=(1,), right=range(len(rows[0])))


def _shown(names: Sequence[str], metrics: Mapping[str, object]) -> list[str]:
    """Objectives for people, by their columns."""
    words = []
    for name in names:
        number = metrics[name]
        assert isinstance(number, int | float), "machines on the front have all objectives"
        words.append(
            {
                "latency_s": lambda value: quantity(value, "s"),
                "edp_js": lambda value: quantity(value, "J s"),
                "energy_pj": energy,
                "area_mm2": lambda value: area(value * 1e6),
                "dram_bytes": size,
            }[name](number)
        )
    return words


def _summary(exploration: Exploration, found: Explored, store: str) -> list[str]:
    more = [f"{len(found.front) - SHOWN} more on the front"] if len(found.front) > SHOWN else []
    broken = f", {found.refused:,} others break a limit" if found.refused else ""
    failed = f", {found.failed:,} of them cannot run" if found.failed else ""
    end = "; no machine is left" if found.exhausted and found.tried < exploration.trials else ""
    told = (
        f"{len(found.front):,} of {found.tried:,} machines are beaten by none in {', '.join(exploration.objectives)}"
        f"{failed}{broken}; {found.computed:,} computed now{end}"
    )
    again = f" --pareto {','.join(exploration.columns)}' shows them again" if found.front else "' shows the reasons"
    return [*more, told, *([f"'tilewright results {store}{again}"] if found.tried else [])]
