"""What a sweep saves: its CPU time beside that of a single run for every machine.

    PYTHONPATH=. python tests/benchmarks/sweep_against_runs.py [--seq 512] [--jobs 2] [--runs 8] [--axes mixed]

Sixty-four machines run BERT-Base. ``mixed``: four scratchpads, four DRAM latencies and four supplies, of which the last
move energies alone. ``apart``: no two machines share a cycle, so that only the start is paid once. The cache is empty
at first. Single runs are those of the command line; the median of some of them, evenly spread over the machines, stands
for all, half before the sweep and half behind it, for a busy computer stretches CPU times, too. A run that is not
counted comes first: a fresh checkout compiles.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mapper.settings import RunSettings
from mapper.sweep import Sweep, run
from mapper.sweep.points import CacheChoice

LIMIT = 0.5

SCRATCHPADS, LATENCIES = ["128 KiB", "256 KiB", "512 KiB", "1 MiB"], [80, 100, 120, 140]

AXES: Mapping[str, Mapping[str, Sequence[object]]] = {
    "mixed": {
        "scratchpad.capacity": SCRATCHPADS, "dram.latency": LATENCIES, "supply": ["0.7 V", "0.8 V", "0.9 V", "1 V"]
    },
    "apart": {"scratchpad.capacity": SCRATCHPADS, "dram.latency": LATENCIES, "l2.latency": [20, 24, 28, 32]},
}  # fmt: skip


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it started and that ended [s]."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def single(values: Mapping[str, object], seq: int) -> float:
    """Return the CPU time of one run from the command line [s]."""
    before = cpu_seconds()
    changes = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "mapper.cli", "run", "bert-base", "--hw", "gemmini_ibert", "--seq", str(seq)]
    subprocess.run([*command, "--quiet", *changes], check=True)
    return cpu_seconds() - before


def main() -> None:
    """Print both CPU times, their ratio, and the wall time of the sweep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seq", type=int, default=512)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--axes", choices=AXES, default="mixed")
    options = parser.parse_args()
    sweep = Sweep.of("bert-base", "gemmini_ibert", RunSettings(seq=options.seq), axes=AXES[options.axes])
    points = list(sweep.choices())
    chosen = [points[number * len(points) // options.runs] for number in range(options.runs)]
    single({}, options.seq)
    alone = [single(values, options.seq) for values in chosen[::2]]
    with tempfile.TemporaryDirectory() as folder:
        before, began = cpu_seconds(), time.perf_counter()
        cache = CacheChoice(f"{folder}/points.sqlite", 2**30)
        done = run(sweep, Path(folder) / "s.sqlite", jobs=options.jobs, cache=cache).done
        wall, cpu = time.perf_counter() - began, cpu_seconds() - before
    alone += [single(values, options.seq) for values in chosen[1::2]]
    all_alone = statistics.median(alone) * len(points)
    verdict = "holds" if cpu <= LIMIT * all_alone else "LOST"
    told = f"median of {len(alone)}: {min(alone):.1f} to {max(alone):.1f} CPU s"
    sys.stdout.write(
        f"{done} machines by {options.jobs} jobs: {cpu:.0f} CPU s, {wall:.0f} s of wall time; {len(points)} single "
        f"runs ({told}) {all_alone:.0f} CPU s; ratio {cpu / all_alone:.2f} (limit {LIMIT:g} {verdict})\n"
    )


if __name__ == "__main__":
    main()
