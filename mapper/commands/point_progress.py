"""How far a sweep is: a bar with rate and time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from mapper.sweep.driver import Progress, Told

if TYPE_CHECKING:
    from tqdm import tqdm

LINE_SECONDS = 30.0
"""Between two lines, and before the first one: a log of a night stays readable."""


@contextmanager
def point_progress(points: int, *, quiet: bool) -> Iterator[Told]:
    """Show rate and time left on standard error, nothing if it is to be quiet."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bar(points) as show:
            yield show
    else:
        yield _Lines(points)


@contextmanager
def _bar(points: int) -> Iterator[Told]:
    bars: list[tqdm[NoReturn]] = []

    def show(progress: Progress) -> None:
        if not bars:
            from tqdm import tqdm

            # Points that were there before say nothing of the rate.
            bars.append(tqdm(total=points, initial=progress.skipped, unit="point", leave=False, file=sys.stderr))
        if progress.failed:
            bars[0].set_postfix_str(f"{progress.failed} failed", refresh=False)
        bars[0].update(progress.seen - bars[0].n)

    try:
        yield show
    finally:
        for bar in bars:
            bar.close()


class _Lines:
    """Prints a line when the last one is long ago."""

    def __init__(self, points: int) -> None:
        self._points = points
        self._began = self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last < LINE_SECONDS:
            return
        self._last = now
        rate = (progress.done + progress.failed) / (now - self._began)
        left = (self._points - progress.seen) / rate if rate else 0.0
        failed = f", {progress.failed:,} failed" if progress.failed else ""
        print(
            f"tilewright: {progress.seen:,} of {self._points:,} points{failed}, {60 * rate:.3g} per minute, "
            f"{left / 60:.0f} min left",
            file=sys.stderr,
            flush=True,
        )
