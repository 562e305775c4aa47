"""Whole processes, this checkout and another one in turn: CPU seconds and peak memory of each, and their ratios.

Rows are commands that users give. Each is run in a process of its own, in turns as in `pairs`, so that a machine that
is busy slows both down; memory is the largest resident set that the operating system saw. A row without a partner in
the other checkout, which stopped at the limit or refused, is shown in seconds and MiB alone.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """{{"model_type": "bert", "num_hidden_layers": 1, "hidden_size": {hidden}, "num_attention_heads": {heads},
"intermediate_size": 256, "max_position_embeddings": 512, "vocab_size": 1000}}"""
SMALL, NARROW = "small.json", "narrow.json"
CONFIGS = {SMALL: CONFIG.format(hidden=64, heads=4), NARROW: CONFIG.format(hidden=997, heads=997)}
"""One layer of 4 heads, and one of 997 heads of one channel."""

IMPORT = ("-c", "import mapper.pipeline")


@dataclass(frozen=True)
class Row:
    """A command, and the ratios that issue 12 asks for."""

    arguments: tuple[str, ...]
    """Of ``tilewright``, or of the interpreter."""
    cpu: float | None = None
    """Largest ratio of the CPU time."""
    memory: float | None = None
    """Largest ratio of the peak memory."""
    seconds: float | None = None
    mib: float | None = None
    fresh: bool = False
    """Without compiled code of earlier runs."""


def _run(model: str, seq: int, *more: str) -> tuple[str, ...]:
    return ("run", model, "--seq", str(seq), "--hw", "gemmini_ibert", *more)


ROWS = {
    "llama-2-7b-2048": Row(_run("llama-2-7b", 2048), 0.12, 0.12),
    "llama-2-7b-4096": Row(_run("llama-2-7b", 4096), mib=600),
    "bert-base-4096": Row(_run("bert-base", 4096), 0.12, 0.5),
    "bert-base-2048": Row(_run("bert-base", 2048), 0.3),
    "gpt2-xl-1024": Row(_run("gpt2-xl", 1024), 0.3, 0.4),
    "bert-base-512": Row(_run("bert-base", 512), 0.5),
    "bert-base-128": Row(_run("bert-base", 128), 0.6),
    "map-2048x4096x11008": Row(("map", "2048x4096x11008"), 0.1, mib=300),
    "map-16384x16384x16384": Row(("map", "16384x16384x16384"), seconds=20, mib=300),
    "batch-10000": Row(_run(SMALL, 8, "--batch", "10000"), mib=300),
    "batch-1000000": Row(_run(SMALL, 8, "--batch", "1000000"), mib=300),
    "narrow-batch-10000": Row(_run(NARROW, 8, "--batch", "10000"), mib=300),
    "narrow-batch-1000000": Row(_run(NARROW, 8, "--batch", "1000000"), mib=300),
    "import": Row(IMPORT, 0.6),
    "first-run": Row(_run("bert-base", 128), fresh=True),
}


class Cost(NamedTuple):
    """What one process took; no seconds if it was stopped, or refused its work."""

    seconds: float | None
    mib: float
    why: str = ""


def measured(row: Row, checkout: Path, configs: Path, limit: float) -> Cost:
    """Run a row once in a checkout, for at most ``limit`` seconds."""
    command = row.arguments if row.arguments[0] == "-c" else ("-m", "mapper.cli", *row.arguments)
    with _checkout(checkout, row.fresh) as root:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=configs, env={**os.environ, "PYTHONPATH": str(root)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stopped = threading.Timer(limit, process.kill)
        stopped.start()
        _, status, usage = os.wait4(process.pid, 0)
        in_time = stopped.is_alive()
        stopped.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    mib = usage.ru_maxrss / 1024
    if process.returncode:
        return Cost(None, mib, f"exit code {process.returncode}" if in_time else f"stopped after {limit:.0f} s")
    return Cost(usage.ru_utime + usage.ru_stime, mib)


@contextmanager
def _checkout(checkout: Path, fresh: bool) -> Iterator[Path]:
    if not fresh:
        yield checkout
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns("__pycache__", ".git", "*.nbc", "*.nbi"))
        yield copy


def compare(names: Sequence[str], against: Path | None, runs: int, limit: float) -> Iterator[str]:
    """Yield a line for each row.

    Parameters
    ----------
    names
        Keys of `ROWS`.
    against
        The other checkout; None: only this one is run.
    runs
        Of each row, after one that is not counted, unless it is about the first.
    limit
        After which a run is stopped [s].
    """
    pair = f"{'other':>6} {'ratio':>6} {'goal':>6}"
    yield f"{'row':<22} {'CPU s':>8}   {pair} {'MiB':>6} {pair}"
    with tempfile.TemporaryDirectory() as folder:
        for name, text in CONFIGS.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        for name in names:
            row = ROWS[name]
            costs: tuple[list[Cost], list[Cost]] = ([], [])
            places = (ROOT, against.resolve()) if against is not None else (ROOT,)
            for number in range(runs):
                for side in sorted(range(len(places)), reverse=number % 2 == 1):
                    # What did not end once is not tried again.
                    if number == 0 or costs[side][0].seconds is not None:
                        costs[side].append(measured(row, places[side], Path(folder), limit))
            yield _line(name, row, *costs)


def _line(name: str, row: Row, ours: list[Cost], theirs: list[Cost]) -> str:
    cpu, other_cpu = _median(ours, 0), _median(theirs, 0)
    mib, other_mib = _median(ours, 1), _median(theirs, 1)
    memory_goal = f"{row.mib:.0f}" if row.mib is not None else number(row.memory)
    goal = f"{row.seconds:.0f} s" if row.seconds is not None else number(row.cpu)
    ratio = cpu / other_cpu if cpu is not None and other_cpu else None
    memory = mib / other_mib if cpu is not None and other_cpu and mib is not None and other_mib else None
    columns = [f"{number(cpu):>8} {number(other_cpu):>8} {number(ratio):>6} {goal:>6}"]
    columns.append(f"{mib or 0:>6.0f} {other_mib or 0:>6.0f} {number(memory):>6} {memory_goal:>6}")
    why = [f"{who}: {costs[0].why}" for who, costs in (("this", ours), ("other", theirs)) if costs and costs[0].why]
    return " ".join([f"{name:<22}", *columns, *why]).rstrip()


def _median(costs: list[Cost], field: int) -> float | None:
    values = [cost[field] for cost in costs]
    numbers = [float(value) for value in values if value is not None]
    return statistics.median(numbers) if numbers else None


def number(value: float | None) -> str:
    """Return two digits behind the point, or a dash for what is missing."""
    return "-" if value is None else f"{value:.2f}"
