"""Progress bars on a terminal, silence elsewhere, and what was finished when the user interrupts."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from mapper.search.options import SearchProgress
from simulator.report import Report

if TYPE_CHECKING:
    from tqdm import tqdm


class OperatorProgress:
    """Called by the pipeline after each operator with (operators done, operators in all, its report)."""

    def __init__(self) -> None:
        self.finished: list[Report] = []
        self.total = 0
        self._bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> OperatorProgress:
        return self

    def __call__(self, done: int, total: int, report: Report) -> None:
        self.finished.append(report)
        self.total = total
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="op", leave=False, file=sys.stderr)
        self._bar.set_description(report.name, refresh=False)
        self._bar.update(done - self._bar.n)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if kind is not None and issubclass(kind, KeyboardInterrupt) and self.finished:
            from mapper.reports.run_tables import finished_table

            print(finished_table(self.finished))
            print(f"interrupted: {len(self.finished)} of {self.total} operators were simulated", flush=True)


@contextmanager
def search_bar() -> Iterator[SearchProgress]:
    """Evaluations per second and the best value on a terminal, nothing elsewhere."""
    bars: list[tqdm[NoReturn]] = []

    def show(evaluated: int, seconds: float, best: float) -> None:
        del seconds
        if not sys.stderr.isatty():
            return
        if not bars:
            from tqdm import tqdm

            bars.append(tqdm(unit=" evaluations", unit_scale=True, leave=False, file=sys.stderr))
        bar = bars[0]
        if evaluated < bar.n:  # the next problem
            bar.reset()
        if math.isfinite(best):  # a front has no best
            bar.set_postfix_str(f"best {best:.6g}", refresh=False)
        bar.update(evaluated - bar.n)

    try:
        yield show
    finally:
        for bar in bars:
            bar.close()
