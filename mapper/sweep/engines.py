"""Engines: where points are computed. Each takes tasks as it has room for them and yields outcomes as they arrive."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from mapper.errors import SweepError
from mapper.sweep.limits import GRACE_SECONDS
from mapper.sweep.outcome import Outcome
from mapper.sweep.points import Task

if TYPE_CHECKING:
    from joblib.externals.loky import ProcessPoolExecutor  # type: ignore[import-untyped]

Work: TypeAlias = Callable[[Task], Outcome]
"""Computes a point; it must be found by its name in another process, and raise nothing."""

MOST_JOBS = 1024

START_SECONDS = 60.0
"""How long workers may take to load the program [s]."""

KILLED = "the process that computed it was killed, probably for want of memory"


class Engine(Protocol):
    """Computes points."""

    def outcomes(self, tasks: Iterator[Task], work: Work) -> Iterator[tuple[Task, Outcome]]:
        """Yield each task with its outcome, in the order in which they arrive.

        Only so many tasks are taken from the iterator as are being computed or wait for a worker.
        """

    def close(self) -> None:
        """Compute nothing more."""


@dataclass(frozen=True, slots=True)
class InProcess:
    """Computes points one by one in the process that drives the sweep."""

    def outcomes(self, tasks: Iterator[Task], work: Work) -> Iterator[tuple[Task, Outcome]]:
        for task in tasks:
            yield task, work(task)

    def close(self) -> None:
        """Nothing runs between two points."""


def killed_reason(task: Task) -> str:
    """Say that a point killed its process; libraries of compiled code end it where memory is limited."""
    limit = "" if task.memory_bytes is None else f": its limit is {task.memory_bytes / 2**20:,.0f} MiB"
    return KILLED + limit


class ProcessPool:
    """Worker processes of joblib's executor (loky) on this computer.

    A worker that dies takes only its point with it: all points that were being computed then are tried once more, each
    alone in a fresh pool, and the one that kills its worker again has failed.
    """

    def __init__(self, jobs: int) -> None:
        if not 1 <= jobs <= MOST_JOBS:
            raise SweepError(f"jobs: {jobs}: must be 1 to {MOST_JOBS}")
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None
        self._ready: float | None = None
        """When the pool delivered its first outcome, or None: its workers may still be loading the program."""

    def outcomes(self, tasks: Iterator[Task], work: Work) -> Iterator[tuple[Task, Outcome]]:
        running: dict[Future[Outcome], tuple[Task, float]] = {}
        for task in tasks:
            running[self._submit(work, task, self._jobs)] = task, time.monotonic()
            # Without limits of time a second task for each worker waits in its queue, so that none is ever idle.
            room = self._jobs * (1 if task.timeout_s is not None else 2)
            while len(running) >= room:
                yield from self._arrived(running, work)
        while running:
            yield from self._arrived(running, work)

    def _submit(self, work: Work, task: Task, jobs: int) -> Future[Outcome]:
        if self._pool is None:
            from joblib.externals.loky import ProcessPoolExecutor

            self._ready = None
            self._pool = ProcessPoolExecutor(max_workers=jobs, initializer=_begin_worker, initargs=(os.getpid(),))
        future: Future[Outcome] = self._pool.submit(work, task)
        return future

    def _arrived(
        self, running: dict[Future[Outcome], tuple[Task, float]], work: Work
    ) -> Iterator[tuple[Task, Outcome]]:
        """Wait for something to happen and yield what arrived; ``running`` shrinks."""
        soonest = min(self._deadline(task, began) for task, began in running.values())
        left = max(0.0, soonest - time.monotonic()) if math.isfinite(soonest) else None
        arrived, _ = wait(running, timeout=left, return_when=FIRST_COMPLETED)
        broken = any(isinstance(future.exception(), BrokenProcessPool) for future in arrived)
        if broken or not arrived:
            yield from self._tried_again(running, work)
            return
        for future in arrived:
            self._ready = self._ready or time.monotonic()
            task, _ = running.pop(future)
            yield task, future.result()

    def _deadline(self, task: Task, began: float) -> float:
        """Return when a worker that is still at a task is killed."""
        if task.timeout_s is None:
            return math.inf
        start = began + START_SECONDS if self._ready is None else max(began, self._ready)
        return start + task.timeout_s + GRACE_SECONDS

    def _tried_again(
        self, running: dict[Future[Outcome], tuple[Task, float]], work: Work
    ) -> Iterator[tuple[Task, Outcome]]:
        """A worker died, or must be killed: compute what was running alone, one by one."""
        suspects = list(running.items())
        running.clear()
        late = [self._deadline(task, began) <= time.monotonic() for _, (task, began) in suspects]
        self.close()
        for (future, (task, _)), is_late in zip(suspects, late, strict=True):
            if future.done() and not future.cancelled() and future.exception() is None:
                yield task, future.result()
            elif is_late:
                yield task, Outcome(reason=_late(task))
            else:
                yield task, self._alone(work, task)

    def _alone(self, work: Work, task: Task) -> Outcome:
        future = self._submit(work, task, 1)
        left = self._deadline(task, 0.0)  # of a fresh pool, which nobody waited for yet
        try:
            return future.result(left if math.isfinite(left) else None)
        except BrokenProcessPool:
            return Outcome(reason=killed_reason(task))
        except TimeoutError:
            return Outcome(reason=_late(task))
        finally:
            self.close()

    def close(self) -> None:
        """Kill the workers: whatever they still compute is wanted no longer."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None


def _late(task: Task) -> str:
    return f"took longer than {task.timeout_s:g} s; its worker was killed"


def _begin_worker(driver: int) -> None:
    """Leave interrupts to the driver, and end with it even if it is killed."""
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
