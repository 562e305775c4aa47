"""A Dask cluster as engine: the scheduler's address is given, workers come and go as they like.

Dask computes the points of a worker that dies on another one; a point that kills several workers has failed.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hwconfigs.textfiles.reading import UnreadableFile, read_text
from mapper.errors import SweepError
from mapper.sweep.engines import Work, killed_reason
from mapper.sweep.model_version import model_version
from mapper.sweep.outcome import Outcome
from mapper.sweep.points import Task

ANSWER_SECONDS = 6.0
"""How long a scheduler may take to answer [s]."""

WAITING_PER_WORKER = 2
"""Points for each thread of the cluster that are sent ahead."""


class DaskCluster:
    """A running scheduler with its workers.

    Parameters
    ----------
    address
        As in ``tcp://10.0.0.1:8786``, or the path of a scheduler file.
    one_thread
        Whether workers must have one thread each: a limit of memory is one of the whole process.

    Raises
    ------
    SweepError
        When Dask is not installed, nobody answers, or a worker has another version of the model or too many threads.
    """

    def __init__(self, address: str, *, one_thread: bool = False) -> None:
        self._dask = _distributed()
        self._address = address
        # A connection that fails is told once, by the error below.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        given: dict[str, Any] = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
        try:
            _ask(self._dask, _address(address))
            self._client = self._dask.Client(**given, timeout=ANSWER_SECONDS, set_as_default=False)
            versions: dict[str, str] = self._client.run(model_version, on_error="return")
        except SweepError:
            raise
        except Exception as problem:  # what answers may be anything, and Dask reads it as its own protocol
            reason = " ".join(str(problem).split())[:200] or type(problem).__name__
            raise SweepError(f"--dask {address}: no scheduler answers there: {reason}") from None
        self._one_thread = one_thread
        self._require_one_thread(self._client.nthreads())
        for worker, version in versions.items():
            if version != model_version():
                self.close()
                raise SweepError(
                    f"--dask {address}: worker {worker} has model {version}, this is {model_version()}; "
                    "results of two models are never mixed"
                )

    def _require_one_thread(self, threads_of: Mapping[str, int]) -> None:
        """Refuse workers that compute several points in one process, if that may have just one."""
        for worker, threads in threads_of.items():
            if self._one_thread and threads > 1:
                self.close()
                raise SweepError(
                    f"--dask {self._address}: memory: worker {worker} has {threads} threads, whose points share its "
                    "memory: start workers with one thread each, or leave out the limit"
                )

    def close(self) -> None:
        """Leave the cluster, which goes on."""
        with suppress(Exception):
            self._client.close(timeout=ANSWER_SECONDS)

    def outcomes(self, tasks: Iterator[Task], work: Work) -> Iterator[tuple[Task, Outcome]]:
        """Yield each task with its outcome as it arrives; raises `SweepError` when the scheduler goes away."""
        running: dict[str, Task] = {}
        arriving = self._dask.as_completed(loop=self._client.loop)
        try:
            for task in tasks:
                arriving.add(self._submit(work, task, running))
                while len(running) >= self._room():
                    yield self._taken(next(arriving), running)
            while running:
                yield self._taken(next(arriving), running)
        finally:
            with suppress(Exception):
                self._client.cancel([f"tilewright-{task.key}" for task in running.values()])

    def _room(self) -> int:
        """Return how many points may be with the cluster, which may grow; 1 while it has no worker."""
        threads_of: dict[str, int] = self._client.nthreads() if self._client.status == "running" else {}
        self._require_one_thread(threads_of)
        return max(1, WAITING_PER_WORKER * sum(threads_of.values()))

    def _submit(self, work: Work, task: Task, running: dict[str, Task]) -> Any:
        future = self._client.submit(
            _as_this_version, model_version(), work, task, key=f"tilewright-{task.key}", pure=False
        )
        running[future.key] = task
        return future

    def _taken(self, future: Any, running: dict[str, Task]) -> tuple[Task, Outcome]:
        task = running.pop(future.key)
        if future.status == "finished":
            outcome: Outcome = future.result()
        elif future.status == "error":
            problem = future.exception()
            if isinstance(problem, SweepError):
                raise SweepError(f"--dask {self._address}: {problem}")
            killed = isinstance(problem, self._dask.KilledWorker)
            reason = killed_reason(task) if killed else f"fault of the cluster: {' '.join(str(problem).split())[:300]}"
            outcome = Outcome(reason=reason)
        else:
            raise SweepError(f"--dask {self._address}: the scheduler went away; what was committed is kept: run again")
        future.release()
        return task, outcome


def _as_this_version(version: str, work: Work, task: Task) -> Outcome:
    """Compute a point on a worker, which may have joined long after the sweep began.

    Raises
    ------
    SweepError
        When it has another version of the model.
    """
    if version != model_version():
        raise SweepError(
            f"a worker has model {model_version()}, this is {version}; results of two models are never mixed"
        )
    return work(task)


def _distributed() -> Any:
    """Return the package, whose types are not known where it is not installed; a `SweepError` if it is not."""
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise SweepError("--dask needs the extra 'cluster': python -m pip install 'tilewright[cluster]'") from None


def _address(text: str) -> str:
    """Return the address of a scheduler, which its file may name; an `OSError` or `ValueError` if there is none."""
    if not text.endswith(".json"):
        return text
    try:
        return str(json.loads(read_text(Path(text)))["address"])
    except UnreadableFile as problem:
        raise ValueError(str(problem)) from None


def _ask(dask: Any, address: str) -> None:
    """Raise unless a scheduler says who it is: a client waits for ever for one that accepts and says nothing."""

    async def identity() -> str:
        async with dask.rpc(address) as scheduler:
            answer = await asyncio.wait_for(scheduler.identity(), ANSWER_SECONDS)
        return str(answer["type"])

    if not address.startswith("tls:") and (kind := asyncio.run(identity())) != "Scheduler":
        raise ValueError(f"a {kind.lower()} answers")
