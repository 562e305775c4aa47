"""Sweeps and work of points that take no time, shared by the tests of this folder and by processes that they start."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from mapper.settings import RunSettings
from mapper.sweep import Sweep
from mapper.sweep.outcome import Outcome
from mapper.sweep.points import Task

LOG = "TILEWRIGHT_TEST_LOG"
"""Environment variable: a file that gets one line for each point that is computed."""


def trivial_sweep(points: int, **options: object) -> Sweep:
    """Return a sweep of one axis whose points need no search."""
    axes = {"seed": {"from": 0, "to": points - 1, "step": 1}}
    return Sweep.of("16x16x16", "tiny_4x4", RunSettings(), axes=axes, **options)  # type: ignore[arg-type]


def counted(task: Task) -> Outcome:
    """Log the point, and let its seed be its result."""
    settings = task.point.settings
    assert settings is not None
    if LOG in os.environ:
        with Path(os.environ[LOG]).open("a") as file:
            file.write(f"{task.key}\n")
    return Outcome({"cycles": settings.seed, "half": settings.seed / 2 + 0.1}, digest=f"{settings.seed:064x}")


def slow(task: Task) -> Outcome:
    """Take 20 ms."""
    time.sleep(0.02)
    return counted(task)


def deadly(task: Task) -> Outcome:
    """Kill the process at seed 5."""
    settings = task.point.settings
    assert settings is not None
    if settings.seed == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return counted(task)


def endless(task: Task) -> Outcome:
    """Never return at seed 1, and let nothing interrupt it."""
    settings = task.point.settings
    assert settings is not None
    while settings.seed == 1:
        try:
            time.sleep(0.01)
        except BaseException:
            continue
    return counted(task)
