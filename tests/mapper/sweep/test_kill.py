"""A sweep that is killed loses nothing, computes nothing twice, and ends with the table of one that was not."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mapper.sweep import Store, run
from mapper.sweep.results import table_of
from tests.mapper.sweep.points import LOG, counted, trivial_sweep

POINTS = 200

DRIVER = """
import sys
from mapper.sweep import run
from tests.mapper.sweep.points import slow, trivial_sweep
run(trivial_sweep({points}), sys.argv[1], jobs=int(sys.argv[2]), work=slow)
"""


def start(store: Path, jobs: int, log: Path, repository: Path) -> subprocess.Popen[bytes]:
    """Start a driver of the sweep in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(repository), LOG: str(log)}
    command = [sys.executable, "-c", DRIVER.format(points=POINTS), str(store), str(jobs)]
    return subprocess.Popen(command, env=environment, cwd=repository)


def committed(store: Path) -> list[str]:
    """Return the keys of the points that are done, as any reader sees them."""
    if not store.exists():
        return []
    try:
        with Store.to_read(store) as opened:
            return [row.key for row in opened.rows(statuses=("done",))]
    except ValueError:  # the driver is just making the file
        return []


def table(store: Path) -> list[dict[str, object]]:
    with Store.to_read(store) as opened:
        rows = list(table_of(opened).dicts())
    return [{name: cell for name, cell in row.items() if name != "seconds"} for row in rows]


@pytest.mark.parametrize("jobs", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(4, marks=pytest.mark.slow)])
def test_killed_at_three_random_moments(tmp_path: Path, repository: Path, jobs: int) -> None:
    store, moments = tmp_path / "s.sqlite", random.Random(jobs)
    kept: list[str] = []
    for kill in range(3):
        log = tmp_path / f"log{kill}"
        log.touch()
        driver = start(store, jobs, log, repository)
        wanted = len(kept) + moments.randint(5, 50)
        while len(committed(store)) < wanted:
            assert driver.poll() is None, "the sweep ended before it could be killed"
            time.sleep(moments.uniform(0.0, 0.05))
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        assert not set(kept) & set(log.read_text().split()), "a point that was there is computed again"
        now = committed(store)
        assert set(kept) <= set(now), "a point is lost"
        kept = now
    log = tmp_path / "log"
    assert start(store, jobs, log, repository).wait() == 0
    computed = log.read_text().split()
    assert not set(kept) & set(computed)
    assert len(kept) + len(computed) == len(set(kept) | set(computed)) == POINTS
    run(trivial_sweep(POINTS), tmp_path / "whole.sqlite", work=counted)
    assert table(store) == table(tmp_path / "whole.sqlite")
    assert sqlite3.connect(store).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_workers_end_with_their_driver(tmp_path: Path, repository: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    driver = start(tmp_path / "s.sqlite", 2, log, repository)
    while len(log.read_text().split()) < 10:
        assert driver.poll() is None
        time.sleep(0.02)
    workers = children(driver.pid)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    deadline = time.monotonic() + 20
    while (left := [pid for pid in workers if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers and not left


def children(parent: int) -> list[int]:
    """Return the processes that a process started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(entry.parent.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
