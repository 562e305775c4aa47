"""A sweep from its definition to its store: plan, skip what is done, compute, commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from mapper.errors import SweepError
from mapper.sweep.cache import DEFAULT_BYTES, default_path
from mapper.sweep.definition import Sweep
from mapper.sweep.engines import Engine, InProcess, ProcessPool, Work
from mapper.sweep.model_version import model_version
from mapper.sweep.points import CacheChoice, Resolver, Task, points_of
from mapper.sweep.store import Store
from mapper.sweep.sweep_file import read_sweep
from mapper.sweep.work import evaluate

MANY = 1_000_000
"""Points beyond which a sweep is probably a mistake."""

PLANNED_AT_ONCE = 64
"""Points that get their rows in one commit."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is."""

    points: int
    """Of the sweep."""
    skipped: int = 0
    """Done before, or equal to another point of the sweep."""
    done_before: int = 0
    """Of those skipped, what the store has numbers of."""
    done: int = 0
    failed: int = 0

    @property
    def seen(self) -> int:
        """Return how many points need nothing more."""
        return self.skipped + self.done + self.failed


Told: TypeAlias = Callable[[Progress], object]
"""Called after each point."""


def run(
    sweep: Sweep | str | Path,
    store: str | Path,
    *,
    jobs: int = 1,
    dask: str | None = None,
    resume: bool = True,
    retry_failed: bool = False,
    allow_many: bool = False,
    cache: bool | CacheChoice = True,
    progress: Told | None = None,
    work: Work = evaluate,
) -> Progress:
    """Compute the points of a sweep that its store does not have yet.

    Parameters
    ----------
    sweep
        A sweep, or the path of its file.
    store
        Path of the SQLite file, made if there is none. Interrupt and run again as often as you like.
    jobs
        Worker processes on this computer; results do not depend on them.
    dask
        Address of the scheduler of a Dask cluster that computes in place of them.
    resume, retry_failed
        Whether a store that has rows already may be gone on with; whether failed points are computed again, too.
    allow_many
        Allow more than `MANY` points.
    cache
        Share searches and simulations with other points and sweeps, in the user's cache or another one.
    progress, work
        Told after each point; computes a point, in place of mapping and simulating it.

    Raises
    ------
    SweepError
        Before any work when the sweep, the store or the cluster makes no sense; later when the store cannot be written
        any more. What was committed is kept.
    """
    chosen = sweep if isinstance(sweep, Sweep) else read_sweep(sweep)
    count = count_points(chosen, allow_many=allow_many)
    resolver = Resolver(model_version(), chosen.timeout_s, chosen.memory_bytes, shared_cache(cache))
    resolver.require_base(chosen)
    # The cluster comes first: without an answer no file is made.
    with closing(engine_for(chosen, jobs, dask)) as engine, Store.to_write(store, model_version()) as opened:
        if not resume and opened.counts().total:
            raise SweepError(f"{store}: has rows already; leave out --no-resume, or name another store")
        opened.begin(resolver.digest(chosen))
        return _drive(chosen, count, opened, engine, resolver, retry_failed, progress, work)


def shared_cache(cache: bool | CacheChoice) -> CacheChoice | None:
    """Return the cache that points share, None if they share none."""
    return CacheChoice(str(default_path()), DEFAULT_BYTES) if cache is True else cache or None


def count_points(sweep: Sweep, *, allow_many: bool = False) -> int:
    """Return how many points a sweep has.

    Raises
    ------
    SweepError
        When there is none, or there are more than `MANY` and nobody allowed that.
    """
    if sweep.combinations > MANY and not allow_many:
        raise sweep.problem(
            f"axes: {sweep.combinations:,} combinations are more than {MANY:,}; give --yes if that is meant"
        )
    count = sum(1 for _ in sweep.choices()) if sweep.filters else sweep.combinations
    if not count:
        raise sweep.problem(f"filters: none of the {sweep.combinations:,} combinations of the axes is left")
    return count


def engine_for(sweep: Sweep, jobs: int, dask: str | None) -> Engine:
    """Return where to compute: in this process, in others, or on a cluster."""
    if dask is not None:
        from mapper.sweep.dask_engine import DaskCluster

        return DaskCluster(dask, one_thread=sweep.memory_bytes is not None)
    # Limits may have to kill the process that computes, which must not be this one.
    limited = sweep.memory_bytes is not None or sweep.timeout_s is not None
    pool = ProcessPool(jobs)
    return pool if jobs > 1 or limited else InProcess()


def _drive(
    sweep: Sweep,
    count: int,
    store: Store,
    engine: Engine,
    resolver: Resolver,
    retry_failed: bool,
    told: Told | None,
    work: Work,
) -> Progress:
    skipped = done_before = done = failed = 0
    running: set[str] = set()
    open_statuses = ("waiting", "failed") if retry_failed else ("waiting",)

    def open_tasks() -> Iterator[Task]:
        nonlocal skipped, done_before
        points = points_of(sweep)
        while chunk := [resolver.task(point) for point in islice(points, PLANNED_AT_ONCE)]:
            statuses = store.plan((task.key, task.point) for task in chunk)
            for place in _apart([resolver.shared(task) for task in chunk]):
                task, status = chunk[place], statuses[place]
                # Of equal points the first is computed; once it is, the store knows.
                if status in open_statuses and task.key not in running:
                    running.add(task.key)
                    yield task
                else:
                    skipped += 1
                    done_before += status == "done"

    for task, outcome in engine.outcomes(open_tasks(), work):
        store.finish(task.key, outcome)
        running.discard(task.key)
        done += outcome.status == "done"
        failed += outcome.status == "failed"
        if told is not None:
            told(Progress(count, skipped, done_before, done, failed))
    store.sync()
    return Progress(count, skipped, done_before, done, failed)


def _apart(shared: Sequence[str]) -> list[int]:
    """Return places so that equal texts come one behind the other: several workers at once would share nothing yet.

    ``shared``: of each point, one text for those that have most simulations in common; empty if it shares nothing.
    """
    before: Counter[str] = Counter()
    turns = []
    for text in shared:
        turns.append(before[text])
        before[text] += bool(text)
    return sorted(range(len(turns)), key=turns.__getitem__)
