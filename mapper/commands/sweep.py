"""``tilewright sweep``: many points over machines, workloads and settings, into a store that can be gone on with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hwconfigs import quantity
from mapper.commands.exit_codes import INTERRUPTED, NOTHING_RAN
from mapper.commands.point_progress import point_progress
from mapper.commands.problems import CommandError
from mapper.reports.text import printable
from mapper.sweep.cache import SMALLEST_BYTES, default_path
from mapper.sweep.driver import Progress, count_points, run
from mapper.sweep.points import CacheChoice
from mapper.sweep.store import Store
from mapper.sweep.sweep_file import read_sweep


def execute(options: argparse.Namespace) -> int:
    """Compute what the store does not have yet; an interrupt keeps every point that arrived."""
    if options.jobs is not None and options.dask is not None:
        raise CommandError("--jobs is for this computer and --dask for a cluster: give one of them")
    cache = cache_of(options)
    store = options.store or f"{Path(options.file).stem}.sqlite"
    sweep = read_sweep(options.file)
    last = Progress(count_points(sweep, allow_many=options.yes))
    with point_progress(last.points, quiet=options.quiet) as show:

        def told(progress: Progress) -> None:
            nonlocal last
            last = progress
            show(progress)

        try:
            last = run(
                sweep,
                store,
                jobs=1 if options.jobs is None else options.jobs,
                dask=options.dask,
                resume=options.resume,
                retry_failed=options.retry_failed,
                allow_many=options.yes,
                cache=cache,
                progress=told,
            )
        except KeyboardInterrupt:
            print(f"tilewright: interrupted: {_summary(last, store)}; run the same again to go on", file=sys.stderr)
            return INTERRUPTED
    print(f"{_summary(last, store)}; 'tilewright results {store}' shows them", flush=True)
    if last.done or last.done_before:
        return 0
    with Store.to_read(store) as opened:
        first = next(opened.rows(statuses=("failed",)), None)
    if first is not None:
        print(f"tilewright: nothing could be computed; row {first.row}: {printable(first.reason)}", file=sys.stderr)
    return NOTHING_RAN


def cache_of(options: argparse.Namespace) -> bool | CacheChoice:
    """Return what points share: nothing, the user's cache, or that cache with another size."""
    if options.cache_size is None:
        return not options.no_cache
    if options.no_cache:
        raise CommandError("--cache-size has no meaning with --no-cache")
    try:
        size = quantity.size_bytes(options.cache_size)
    except ValueError as problem:
        raise CommandError(f"--cache-size: {problem}") from None
    if not isinstance(size, int) or size < SMALLEST_BYTES:
        raise CommandError(f"--cache-size {options.cache_size}: must be at least 1 MiB")
    return CacheChoice(str(default_path()), size)


def _summary(progress: Progress, store: str) -> str:
    parts = [f"{progress.done:,} computed"]
    parts += [f"{progress.failed:,} failed"] if progress.failed else []
    parts += [f"{progress.skipped:,} there before or equal to others"] if progress.skipped else []
    return f"{store}: {', '.join(parts)} of {progress.points:,} points"
