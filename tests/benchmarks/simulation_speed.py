"""How fast the simulation is, and what the shortcuts of the default mode cost in accuracy.

    python tests/benchmarks/simulation_speed.py                 the gates: BERT-Base and GPT-2 at 128, 512, 2048 tokens
    python tests/benchmarks/simulation_speed.py --against DIR [--rows NAME ...] [--runs N]    whole processes in turn
    python tests/benchmarks/simulation_speed.py --scaling [--picture FILE]    BERT and LLaMA at 128 to 16,384 tokens
    python tests/benchmarks/simulation_speed.py --curve         BERT-Base at 128 to 4096 tokens, default mode only
    python tests/benchmarks/simulation_speed.py --sequences 512 --models bert-base --hw gemmini
    python tests/benchmarks/simulation_speed.py --lines --sequences 512 --against DIR [--pairs N]

Each line is one block of a model under one mapping: ``library`` is the tile of Gemmini's own library, ``mapper`` the
mapper's choice. Times are CPU seconds of one core: of the simulation and its counting alone, and of the whole run (all
of it but the search for mappings). Cycles per second are simulated cycles of one block over the former. The last column
is the largest difference of any operator's cycles between the two modes. The first run ever compiles; start it twice.
Needs an installed tilewright. With ``--against`` a second checkout is run in turn: the commands of `speed_rows`, CPU
time and peak memory as ratios, or with ``--lines`` this table (`pairs`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pairs
import scaling_curve
import speed_rows

from mapper import pipeline
from mapper.compiler import Compiler
from mapper.evaluation import evaluate
from simulator.fast_forward.memory_times import MemoryTimes
from simulator.machine import PreparedProgram, prepare
from simulator.program import MatmulLoop
from simulator.report import Report

SEARCHES = {"library": "gemmini_auto", "mapper": "optimal"}

COLUMNS = "{:<10} {:>5} {:<8} {:<8} {:>8} {:>9} {:>11} {:>10} {:>9} {:>9}"
HEADINGS = (
    "model",
    "seq",
    "mapping",
    "mode",
    "loops",
    "M cycles",
    "simulation",
    "M cycles/s",
    "whole run",
    "worst op.",
)


@dataclass
class Seconds:
    """CPU seconds by purpose, and hardware loops gone through."""

    simulation: float = 0.0
    mapping: float = 0.0
    whole: float = 0.0
    loops: int = 0


def run(model: str, machine: str, seq: int, search: str, exact: bool) -> tuple[Report, Seconds]:
    """One run of the main path, timed."""
    with timed() as seconds:
        start = time.process_time()
        report = pipeline.run(model, machine, seq=seq, search=search, exact=exact).simulation
        seconds.whole = time.process_time() - start
    return report, seconds


@contextmanager
def timed() -> Iterator[Seconds]:
    """Add up the CPU seconds of what simulates and counts, and of the search for mappings.

    A call inside another one belongs to that: simulations that settle a mapping are part of its search.
    """
    seconds = Seconds()
    running: list[Callable[..., Any]] = []
    known: dict[tuple[str, MatmulLoop | None], int] = {}

    def wrap(function: Callable[..., Any], purpose: str) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            if function is prepare and not running:
                loops = [item for item in arguments[0].items if isinstance(item, MatmulLoop)]
                known[arguments[0].name, loops[0] if loops else None] = len(loops)
                seconds.loops = sum(known.values())
            running.append(function)
            start = time.process_time()
            result = function(*arguments, **options)
            running.pop()
            if not running:
                setattr(seconds, purpose, getattr(seconds, purpose) + time.process_time() - start)
            return result

        return wrapper

    places = [
        (evaluate, "prepare", "simulation"), (PreparedProgram, "simulate", "simulation"),
        (MemoryTimes, "all", "simulation"), (evaluate, "lent", "simulation"), (Compiler, "search", "mapping"),
        (Compiler, "settle", "mapping"),
    ]  # fmt: skip
    originals = [getattr(owner, name) for owner, name, _ in places]
    for (owner, name, purpose), original in zip(places, originals, strict=True):
        setattr(owner, name, wrap(original, purpose))
    try:
        yield seconds
    finally:
        for (owner, name, _), original in zip(places, originals, strict=True):
            setattr(owner, name, original)


def worst(quick: Report, exact: Report) -> str:
    """Largest relative difference of an operator's cycles, and which."""
    difference, name = max(
        (abs(a.cycles / b.cycles - 1), a.name) for a, b in zip(quick.by_op, exact.by_op, strict=True) if b.cycles
    )
    return f"{difference:.2%} {name}"


def line(model: str, seq: int, mapping: str, mode: str, report: Report, seconds: Seconds, difference: str) -> str:
    """One row of the table."""
    cycles = sum(part.cycles for part in report.by_op) / 1e6
    columns = (
        f"{seconds.loops:,}",
        f"{cycles:,.1f}",
        f"{seconds.simulation:.2f} s",
        f"{cycles / seconds.simulation:.1f}",
        f"{seconds.whole - seconds.mapping:.2f} s",
        difference,
    )
    return COLUMNS.format(model, seq, mapping, mode, *columns) + "\n"


def read_seconds(printed: str) -> pairs.Seconds:
    """CPU seconds of simulation and whole run by model, sequence, mapping and mode."""
    cases = {}
    for row in printed.splitlines()[1:]:
        model, seq, mapping, mode, _, _, simulation, _, _, whole, *_ = row.split()
        cases[f"{model} {seq} {mapping} {mode}: simulation"] = float(simulation)
        cases[f"{model} {seq} {mapping} {mode}: whole run"] = float(whole)
    return cases


def _printed(lines: Iterable[str]) -> None:
    for text in lines:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def main() -> None:
    """Parse the command line and print."""
    if "--lines" in sys.argv:
        sys.argv.remove("--lines")
        if pairs.compared(__file__, read_seconds):
            return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, parents=[pairs.OPTIONS]
    )
    parser.add_argument("--sequences", type=int, nargs="+", default=[128, 512, 2048])
    parser.add_argument("--models", nargs="+", default=["bert-base", "gpt2"])
    parser.add_argument("--mappings", nargs="+", choices=list(SEARCHES), default=list(SEARCHES))
    parser.add_argument("--hw", default="gemmini_ibert")
    parser.add_argument("--curve", action="store_true", help="BERT-Base over sequences, default mode only")
    parser.add_argument("--rows", nargs="+", choices=list(speed_rows.ROWS), help="whole processes, these alone")
    parser.add_argument("--runs", type=int, default=3, help="of each row or point, of which the median counts [3]")
    parser.add_argument("--limit", type=float, default=900, help="seconds after which a row or point is stopped [900]")
    parser.add_argument("--scaling", action="store_true", help="CPU time by sequence length, with its exponents")
    parser.add_argument("--picture", type=Path, help="where --scaling draws its curve")
    options = parser.parse_args()
    if options.scaling:
        return _printed(scaling_curve.curve(options.runs, options.limit, options.picture))
    if options.against is not None or options.rows:
        names = options.rows or list(speed_rows.ROWS)
        return _printed(speed_rows.compare(names, options.against, options.runs, options.limit))
    if options.curve:
        options.models, options.sequences = ["bert-base"], [128, 256, 512, 1024, 2048, 4096]
    pipeline.run("bert-base", options.hw, seq=128, search="gemmini_auto", exact=True)  # compiled code is loaded
    sys.stdout.write(COLUMNS.format(*HEADINGS) + "\n")
    for model in options.models:
        for seq in options.sequences:
            for mapping in options.mappings:
                arguments = model, options.hw, seq, SEARCHES[mapping]
                quick, seconds = run(*arguments, exact=False)
                if options.curve:
                    sys.stdout.write(line(model, seq, mapping, "default", quick, seconds, "-"))
                else:
                    exact, slow = run(*arguments, exact=True)
                    sys.stdout.write(line(model, seq, mapping, "exact", exact, slow, "-"))
                    sys.stdout.write(line(model, seq, mapping, "default", quick, seconds, worst(quick, exact)))
                sys.stdout.flush()


if __name__ == "__main__":
    main()
