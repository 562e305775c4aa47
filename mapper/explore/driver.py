"""An exploration from its definition to its store: ask, leave out what breaks a limit, compute, tell, go on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import hwconfigs
from hwconfigs import SpecError
from mapper.explore.asking import Asker
from mapper.explore.definition import Exploration
from mapper.nest.bounds.pareto import minimal
from mapper.sweep.driver import Progress, Told, engine_for, shared_cache
from mapper.sweep.engines import Engine, Work
from mapper.sweep.model_version import model_version
from mapper.sweep.outcome import Outcome, Status
from mapper.sweep.points import CacheChoice, Resolver, Task, point_of
from mapper.sweep.store import Store, StoredPoint
from mapper.sweep.work import evaluate

if TYPE_CHECKING:
    import optuna

STALE = 64
"""Trials in a row that ask for nothing new, after which the first machine that nobody asked for comes next."""


MOST_STALE = 10_000
"""Of those, trials after which nobody looks for another machine."""


MOST_WALKED = 1_000_000
"""Combinations that are looked through for one that keeps the filters, and nobody asked for: some seconds."""


@dataclass(frozen=True, slots=True)
class Explored:
    """What an exploration found."""

    front: tuple[StoredPoint, ...]
    """Machines that no other one beats in all objectives, by the first of them."""
    computed: int
    """In this call; the others were in the store."""
    failed: int
    tried: int
    """Different machines that keep the limits."""
    refused: int
    """Different machines that break a limit."""
    exhausted: bool
    """Whether there is no machine left, or none was found for long."""


def explore(
    exploration: Exploration,
    store: str | Path,
    *,
    jobs: int = 1,
    dask: str | None = None,
    retry_failed: bool = False,
    cache: bool | CacheChoice = True,
    progress: Told | None = None,
    work: Work = evaluate,
) -> Explored:
    """Search machines and return the front; a store that has rows is gone on with, to the same end.

    Parameters
    ----------
    exploration
        What to search.
    store
        Path of the SQLite file, made if there is none.
    jobs, dask
        Worker processes, or the scheduler of a cluster; what is found does not depend on them.
    retry_failed
        Whether machines that failed before are computed again.
    cache
        Share searches and simulations with other points and sweeps, in the user's cache or another one.
    progress, work
        Told after each point; computes a point, in place of mapping and simulating it.

    Raises
    ------
    SweepError
        When the exploration, the store or the cluster makes no sense, or optuna is not there.
    """
    asker = Asker(exploration)
    _require_a_machine(exploration)
    with (
        closing(engine_for(exploration.sweep, jobs, dask)) as engine,
        Store.to_write(store, model_version()) as opened,
    ):
        known: tuple[Status, ...] = ("done",) if retry_failed else ("done", "failed")
        search = _Search(exploration, asker, opened, engine, shared_cache(cache), known, progress, work)
        search.run()
        opened.note("explore", json.dumps({"objectives": exploration.columns, "seed": exploration.seed}))
        opened.sync()
        return search.explored()


def _require_a_machine(exploration: Exploration) -> None:
    """Refuse what no machine could run, before any file is made."""
    sweep = exploration.sweep
    if next(sweep.choices(MOST_WALKED), None) is None:
        first = min(MOST_WALKED, sweep.combinations)
        raise sweep.problem(f"filters: none of the first {first:,} combinations of the axes is left")
    if "machine" not in sweep.names:
        _require_base(exploration)


def _require_base(exploration: Exploration) -> None:
    """Refuse a machine or a workload that cannot be, and what asks for an area that nobody knows."""
    base = Resolver(model_version()).task(point_of(exploration.sweep, {}))
    where = f"{base.point.model} on {base.point.machine}"
    if base.problem or base.spec is None or base.point.settings is None:
        raise exploration.sweep.problem(f"{where}: {base.problem}")
    energy = hwconfigs.load_energy(base.point.settings.energy or base.spec.energy)
    wanted = {*exploration.objectives, *(limit.kind.name for limit in exploration.limits)} & {"area", "leakage"}
    if wanted and energy.silicon is None:
        raise exploration.sweep.problem(
            f"{where}: explore: {', '.join(sorted(wanted))}: the energy table {energy.name} knows no die"
        )


class _Search:
    """The state of a search: what was asked for, and what is known of it."""

    def __init__(
        self,
        exploration: Exploration,
        asker: Asker,
        store: Store,
        engine: Engine,
        cache: CacheChoice | None,
        known: tuple[Status, ...],
        told: Told | None,
        work: Work,
    ) -> None:
        self._exploration, self._asker, self._store, self._engine = exploration, asker, store, engine
        self._told, self._work = told, work
        sweep = exploration.sweep
        self._resolver = Resolver(store.model_version, sweep.timeout_s, sweep.memory_bytes, cache)
        store.begin(self._resolver.digest(sweep))
        self._energy = lru_cache(64)(hwconfigs.load_energy)
        self._unseen: Iterator[dict[str, object]] = exploration.sweep.choices(MOST_WALKED)
        self._known: dict[str, StoredPoint] = {stored.key: stored for stored in store.rows(statuses=known)}
        self._keys: dict[str, None] = {}
        """Keys of the machines tried, in the order of asking."""
        self._asked: set[str] = set()
        """Values of all trials, as texts."""
        self._refused: set[str] = set()
        self._computed = self._failed = 0
        self._exhausted = False

    def run(self) -> None:
        """Try machines, batch by batch, until there are enough or none is left."""
        while len(self._keys) < self._exploration.trials and not self._exhausted:
            wanted = min(self._exploration.batch, self._exploration.trials - len(self._keys))
            trials, tasks = self._next_batch(wanted)
            self._compute(tasks)
            for trial, key in trials:
                self._asker.tell(trial, self._objectives(key))

    def _next_batch(self, wanted: int) -> tuple[list[tuple[optuna.trial.Trial, str]], list[Task]]:
        """Return trials with the keys of their machines, and so many machines that were not tried before."""
        trials: list[tuple[optuna.trial.Trial, str]] = []
        tasks: list[Task] = []
        stale = 0
        while len(tasks) < wanted and not self._exhausted:
            if stale >= MOST_STALE or (stale >= STALE and not self._ask_for_unseen()):
                self._exhausted = True
                break
            trial, values = self._asker.ask()
            self._asked.add(_text(values))
            task = self._task(values)
            is_new = task is not None and task.key not in self._keys
            stale = 0 if is_new else stale + 1
            if task is None:
                self._asker.tell(trial, None)
                continue
            if is_new:
                self._keys[task.key] = None
                tasks.append(task)
            trials.append((trial, task.key))
        return trials, tasks

    def _ask_for_unseen(self) -> bool:
        """Let the first combination that nobody asked for come next; return whether there is one."""
        values = next((values for values in self._unseen if _text(values) not in self._asked), None)
        if values is not None:
            self._asker.ask_next_for(values)
        return values is not None

    def _task(self, values: dict[str, object]) -> Task | None:
        """Return the task of a combination; None if it breaks a filter or a limit."""
        sweep = self._exploration.sweep
        if not all(one.holds(values) for one in sweep.filters):
            return None
        task = self._resolver.task(point_of(sweep, values))
        if task.spec is None or task.point.settings is None:
            return task
        try:
            energy = self._energy(task.point.settings.energy or task.spec.energy).bind(task.spec)
        except SpecError:
            return task  # the run says what is wrong
        if all(limit.keeps(task.spec, energy) for limit in self._exploration.limits):
            return task
        self._refused.add(task.key)
        return None

    def _compute(self, tasks: Sequence[Task]) -> None:
        """Compute what the store does not have."""
        self._store.plan((task.key, task.point) for task in tasks)
        open_tasks = (task for task in tasks if task.key not in self._known)
        for task, outcome in self._engine.outcomes(open_tasks, self._work):
            self._store.finish(task.key, outcome)
            self._known[task.key] = _stored(task, outcome)
            self._computed += 1
            self._failed += outcome.status == "failed"
            if self._told is not None:
                done = self._computed - self._failed
                skipped = sum(key in self._known for key in self._keys) - self._computed
                self._told(Progress(self._exploration.trials, skipped, 0, done, self._failed))

    def _objectives(self, key: str) -> tuple[float, ...] | None:
        stored = self._known[key]
        numbers = [stored.metrics.get(column) for column in self._exploration.columns]
        if stored.status != "done" or not all(isinstance(number, int | float) for number in numbers):
            return None
        return tuple(float(number) for number in numbers)  # type: ignore[arg-type]

    def explored(self) -> Explored:
        """Return the front of what was tried."""
        rows = [(key, numbers) for key in self._keys if (numbers := self._objectives(key)) is not None]
        best = minimal(np.array([numbers for _, numbers in rows])).tolist() if rows else []
        chosen = sorted((rows[place] for place in best), key=lambda row: row[1])
        front = tuple(self._store.find(key) for key, _ in chosen)
        return Explored(
            front, self._computed, len(self._keys) - len(rows), len(self._keys), len(self._refused), self._exhausted
        )


def _text(values: dict[str, object]) -> str:
    return json.dumps(values, sort_keys=True)


def _stored(task: Task, outcome: Outcome) -> StoredPoint:
    return StoredPoint(
        0, task.key, outcome.status, task.point, outcome.metrics, outcome.digest, outcome.reason, outcome.trace,
        outcome.seconds,
    )  # fmt: skip
