"""Simulated cycles per CPU second, exact and default, and what the default costs in accuracy.

    python tests/benchmarks/simulation_speed.py [--sequences 128 512 2048]

One line per run: CPU seconds of the simulation alone and cycles per CPU second, with every loop simulated and with
steady
loops passed over, and the largest difference of any operator between the two. Needs an installed tilewright.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mapper import evaluate, pipeline
from simulator.report import Report


def measure(model: str, machine: str, seq: int) -> str:
    """Both modes on one block of a model; only the calls of ``simulate`` are timed."""
    times: list[float] = []
    results: list[Report] = []
    for exact in (True, False):
        with timed_simulation() as seconds:
            results.append(pipeline.run(model, machine, seq=seq, exact=exact).simulation)
        times.append(seconds[0])
    exact_run, quick = results
    pairs = zip(quick.by_op, exact_run.by_op, strict=True)
    worst = max(abs(a.cycles / b.cycles - 1) for a, b in pairs if b.cycles)
    cycles = sum(report.cycles for report in exact_run.by_op)
    rates = [cycles / seconds / 1e6 for seconds in times]
    return (
        f"{model:10s} {seq:5d} {machine:14s} exact {times[0]:6.2f} s {rates[0]:6.2f} M/s   "
        f"default {times[1]:6.2f} s {rates[1]:6.2f} M/s   worst operator {worst:.2%}"
    )


@contextmanager
def timed_simulation() -> Iterator[list[float]]:
    """Add up the CPU seconds spent in the calls of ``simulate``."""
    seconds = [0.0]
    originals = evaluate.simulate, evaluate.count

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            start = time.process_time()
            result = function(*arguments, **options)
            seconds[0] += time.process_time() - start
            return result

        return wrapper

    evaluate.simulate, evaluate.count = timed(originals[0]), timed(originals[1])
    try:
        yield seconds
    finally:
        evaluate.simulate, evaluate.count = originals


def main() -> None:
    """Parse the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--models", nargs="+", default=["bert-base", "gpt2"])
    parser.add_argument("--hw", default="gemmini_ibert")
    options = parser.parse_args()
    for model in options.models:
        for seq in options.sequences:
            sys.stdout.write(measure(model, options.hw, seq) + "\n")


if __name__ == "__main__":
    main()
