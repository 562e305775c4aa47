"""One benchmark, two checkouts: run in turn, pair by pair, and compared case by case.

    python tests/benchmarks/SCRIPT.py [options] --against DIR [--pairs N]

Each checkout runs its own copy of the script on its own packages, each run in a process of its own. Times are CPU
seconds, since others may use the machine; the runs of a pair follow each other, and take turns in who is first, so that
a machine that slows down slows both. A ratio above 1 says that this checkout is slower. What the two print is the only
thing that they share, so a case is as exact as its printed digits: "sum of the cases" and "whole process" say more than
a single short case does.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

OPTIONS = argparse.ArgumentParser(add_help=False)
OPTIONS.add_argument("--against", type=Path, metavar="DIR", help="a second checkout, run in turn with this one")
OPTIONS.add_argument("--pairs", type=int, default=5, metavar="N", help="runs of each of the two checkouts [5]")

Seconds: TypeAlias = dict[str, float]
"""CPU seconds by case."""

Reader: TypeAlias = Callable[[str], Seconds]
"""Takes the times of the cases from what a benchmark prints."""

SUM, WHOLE = "sum of the cases", "whole process"


def compared(script: str, read: Reader) -> bool:
    """With ``--against`` on the command line, run both checkouts and print their ratios; without it, return False.

    Parameters
    ----------
    script
        ``__file__`` of the benchmark.
    read
        Finds the cases in what the benchmark of either checkout prints.

    Raises
    ------
    SystemExit
        The second checkout has no such benchmark, or a run printed no case.
    """
    options, arguments = OPTIONS.parse_known_args()
    if options.against is None:
        return False
    this_script = Path(script).resolve()
    root = this_script.parents[2]
    scripts = this_script, options.against.resolve() / this_script.relative_to(root)
    if not scripts[1].is_file():
        sys.exit(f"--against {options.against}: there is no {this_script.relative_to(root)}")
    runs: list[tuple[Seconds, Seconds]] = []
    for number in range(options.pairs):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        times = {checkout: timed(scripts[checkout], arguments, read) for checkout in order}
        runs.append((times[0], times[1]))
        sys.stderr.write(f"pair {number + 1} of {options.pairs}: {times[0][WHOLE]:.1f} s, {times[1][WHOLE]:.1f} s\n")
    sys.stdout.write(table(runs))
    return True


def timed(script: Path, arguments: list[str], read: Reader) -> Seconds:
    """Run one checkout's script once."""
    root = script.parents[2]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cases = read(process.stdout)
    if not cases:
        sys.exit(f"{script}: no case in what it printed (exit code {process.returncode})\n{process.stderr}")
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**cases, SUM: sum(cases.values()), WHOLE: whole}


def table(runs: list[tuple[Seconds, Seconds]]) -> str:
    """Median, least and largest ratio of this checkout's time to the other's, for the cases that both have."""
    first, second = runs[0]
    names = [name for name in first if name in second]
    width = max(map(len, names))
    lines = [f"{'this checkout / the other':<{width}}  {'median':>7} {'least':>7} {'largest':>7} {'other':>12}"]
    for name in names:
        ratios = [ours[name] / theirs[name] for ours, theirs in runs if theirs[name] > 0]
        if not ratios:
            lines.append(f"{name:<{width}}  too short to compare")
            continue
        seconds = statistics.median(theirs[name] for _, theirs in runs)
        spread = f"{statistics.median(ratios):>7.3f} {min(ratios):>7.3f} {max(ratios):>7.3f}"
        lines.append(f"{name:<{width}}  {spread} {seconds:>10.4g} s")
    return "\n".join(lines) + "\n"
