"""What a sweep costs beside the work of its points: time of each by engine, and the memory of the driver.

    PYTHONPATH=. python tests/benchmarks/sweep_overhead.py [--points 10000] [--jobs 2]

Points do nothing. The limit is for the CPU time of driver and workers together over the points, the start of workers
included: a busy computer stretches the wall time, which is printed beside it, many times over. The driver's memory is
looked at after a tenth of the points and at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from mapper.settings import RunSettings
from mapper.sweep import Progress, Sweep, run
from mapper.sweep.outcome import Outcome
from mapper.sweep.points import Task

LIMIT_MS = 5.0


def nothing(task: Task) -> Outcome:
    """Return a row as large as a real one."""
    assert task.point.settings is not None
    return Outcome({f"metric_{number}": task.point.settings.seed + 0.1 for number in range(24)}, digest="0" * 64)


def resident_mib() -> float:
    """Return the memory of this process [MiB]."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def measure(points: int, jobs: int, folder: Path) -> tuple[float, float, float, float]:
    """Return wall and CPU time of a point [ms], and the memory after a tenth of them and at the end [MiB]."""
    axes = {
        "scratchpad.capacity": {"from": "4 KiB", "to": "40 KiB", "step": "4 KiB"},
        "seed": {"from": 1, "to": points // 10, "step": 1},
    }
    sweep = Sweep.of("bert-base", "gemmini_ibert", RunSettings(seq=16), axes=axes)
    memory: list[float] = []
    began: list[float] = []

    def told(progress: Progress) -> None:
        if not began:  # the workers have started
            began.append(time.perf_counter())
        if progress.seen in (points // 10, points):
            memory.append(resident_mib())

    before = cpu_seconds()
    run(sweep, folder / f"{jobs}.sqlite", jobs=jobs, work=nothing, progress=told)
    wall = time.perf_counter() - began[0]
    return wall / points * 1e3, (cpu_seconds() - before) / points * 1e3, memory[0], memory[-1]


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the workers that ended [s]."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Print one line for each number of jobs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1, 2])
    options = parser.parse_args()
    for jobs in options.jobs:
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu, early, late = measure(options.points, jobs, Path(folder))
        verdict = "holds" if cpu < LIMIT_MS else "LOST"
        sys.stdout.write(
            f"{jobs} jobs: CPU {cpu:.2f} ms per point (limit {LIMIT_MS:g} ms {verdict}), wall {wall:.2f} ms, driver "
            f"{early:.1f} MiB after a tenth, {late:.1f} MiB after {options.points:,} points\n"
        )


if __name__ == "__main__":
    main()
