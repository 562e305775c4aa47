"""The same sweep on a real Dask cluster of two worker processes on this computer, one of which is killed midway."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mapper.errors import SweepError
from mapper.sweep import Progress, Store, Sweep, run
from mapper.sweep.dask_engine import _as_this_version
from mapper.sweep.model_version import model_version
from mapper.sweep.points import Resolver, points_of
from mapper.sweep.results import table_of
from tests.mapper.sweep.points import counted, deadly, slow, trivial_sweep

distributed: Any = pytest.importorskip("distributed")

pytestmark = pytest.mark.filterwarnings("default")  # Dask's own warnings, of ports and of workers that die


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two worker processes that may be killed, and come back."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as running:
        yield running


def table(store: Path) -> list[dict[str, object]]:
    with Store.to_read(store) as opened:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in table_of(opened).dicts()]


def test_a_worker_that_is_killed_midway_loses_no_point(tmp_path: Path, cluster: Any) -> None:
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.seen == 60:
            killed.append(next(iter(cluster.workers.values())).process.process.pid)
            os.kill(killed[0], signal.SIGKILL)

    store = tmp_path / "dask.sqlite"
    assert run(trivial_sweep(200), store, dask=cluster.scheduler_address, work=slow, progress=kill).done == 200
    assert killed
    run(trivial_sweep(200), tmp_path / "local.sqlite", work=counted)
    assert table(store) == table(tmp_path / "local.sqlite")
    # The store remembers what a cluster computed: nothing is sent a second time.
    assert run(trivial_sweep(200), store, dask=cluster.scheduler_address, work=deadly).skipped == 200


def test_points_of_the_real_model(tmp_path: Path, cluster: Any) -> None:
    sweep = Sweep.of("24x16x40", "tiny_4x4", axes={"dram.latency": [20, 40], "accumulator.capacity": ["3 B", "1 KiB"]})
    result = run(sweep, tmp_path / "dask.sqlite", dask=cluster.scheduler_address)
    assert (result.done, result.failed) == (2, 2)
    run(sweep, tmp_path / "local.sqlite")
    assert table(tmp_path / "dask.sqlite") == table(tmp_path / "local.sqlite")


@pytest.mark.parametrize("silent", [pytest.param(False, marks=pytest.mark.slow), True], ids=["nobody", "says nothing"])
def test_an_address_that_does_not_answer(tmp_path: Path, silent: bool) -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        if silent:
            door.listen()
        began = time.monotonic()
        with pytest.raises(SweepError, match="no scheduler answers there") as caught:
            run(trivial_sweep(5), tmp_path / "s.sqlite", dask=f"tcp://127.0.0.1:{door.getsockname()[1]}")
    assert time.monotonic() - began < 10
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["", "nonsense", "tcp://", "missing.json", "x" * 300])
def test_no_address(tmp_path: Path, address: str) -> None:
    with pytest.raises(SweepError, match="--dask"):
        run(trivial_sweep(5), tmp_path / "s.sqlite", dask=address)


def test_a_door_of_another_protocol(tmp_path: Path) -> None:
    """Its words, read as Dask's, would be the length of a message of 3 EiB."""

    def answer() -> None:
        caller, _ = door.accept()
        with caller, suppress(OSError):
            caller.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nhello hello")
            caller.recv(1024)

    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(SweepError, match="no scheduler answers there"):
            run(trivial_sweep(5), tmp_path / "s.sqlite", dask=f"tcp://127.0.0.1:{door.getsockname()[1]}")


def test_a_worker_of_another_version_computes_nothing(tmp_path: Path) -> None:
    """It is asked with each point, for it may have joined after the sweep began."""
    (task,) = (Resolver(model_version()).task(point) for point in points_of(trivial_sweep(1)))
    assert _as_this_version(model_version(), counted, task).status == "done"
    with pytest.raises(SweepError, match="results of two models are never mixed"):
        _as_this_version("0.0.0+other", counted, task)


def test_a_limit_of_memory_needs_workers_of_one_thread(tmp_path: Path) -> None:
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, silence_logs=50
    ) as running:
        with pytest.raises(SweepError, match="has 2 threads, .* one thread each"):
            run(trivial_sweep(2, memory_bytes=2**30), tmp_path / "s.sqlite", dask=running.scheduler_address)
        assert not (tmp_path / "s.sqlite").exists()
        assert run(trivial_sweep(2), tmp_path / "s.sqlite", dask=running.scheduler_address, work=counted).done == 2
