"""Runs inputs in a process of its own, whose time and memory are bounded, and tells those that broke a promise.

``python tests/fuzz/run.py --inputs 20000`` from the root; ``--kind``, ``--first`` and ``--seconds`` choose which.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fuzz.cases import KINDS, case  # noqa: E402

MOST_SECONDS = 10
"""CPU time of an input, of the user and of the system."""

MOST_BYTES = 2**30
"""Memory that inputs of one process may add."""

LONGEST_LINE = 700

AT_WORK = 20
"""Points that a sweep has computed which runs out of its time for their number."""


class TooLong(BaseException):
    """An input ran out of its time; no handler of the program takes it."""


def broken(kind: str, seed: int) -> str:
    """Run one input in the present process; what is wrong with its answer, or nothing."""
    from mapper import cli

    one = case(kind, seed)
    for name, content in one.files.items():
        Path(name).write_bytes(content)
    out, err = io.StringIO(), io.StringIO()

    def too_long(*_: object) -> None:
        raise TooLong

    signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main(one.arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 2
    except TooLong:
        if rows_done(Path.cwd()) >= AT_WORK:
            return ""  # a sweep of many points, each of which is quick
        return f"more than {MOST_SECONDS} s"
    except BaseException:
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return _wrong(code, out.getvalue(), err.getvalue()) or wrong_in_stores(Path.cwd())


def _wrong(code: int, out: str, err: str) -> str:
    """What is wrong with an exit code and what was printed; ``nan`` and ``inf`` are results of accepted nonsense."""
    complaints = err.splitlines()
    if code not in (0, 1, 2):
        return f"exit code {code}"
    if code == 2 and not complaints:
        return "refused without a word"
    if code == 2 and any(not line.startswith("tilewright") or len(line) > LONGEST_LINE for line in complaints):
        return f"no clear lines: {err[:300]}"
    words = out.replace("(", " ").split()
    if code == 0 and any(word in ("nan", "inf", "-inf") for word in words):
        return f"nonsense accepted: {out[:300]}"
    return ""


def wrong_in_stores(folder: Path) -> str:
    """What is wrong with rows that a sweep left: a fault of the program is one, though the sweep goes on."""
    for path in folder.glob("*.sqlite"):
        with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(path)) as store:
            found = store.execute(
                "SELECT reason, trace FROM points WHERE trace != '' OR reason GLOB 'fault of*' "
                "OR reason GLOB 'needs more memory*' OR reason GLOB 'the process that*'"
            ).fetchone()
            if found is not None:
                return f"a row of the sweep failed: {found[0]}: {(found[1] or '')[-1500:]}"
    return ""


def rows_done(folder: Path) -> int:
    """How many points a sweep has computed, that has not ended."""
    done = 0
    for path in folder.glob("*.sqlite"):
        with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(path)) as store:
            done += store.execute("SELECT count(*) FROM points WHERE status != 'waiting'").fetchone()[0]
    return done


def peak_bytes() -> int:
    """Most memory that this process took since the last call."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak * 1024


def worker(kind: str, first: int, count: int) -> None:
    """Run inputs in a folder of their own, one line of JSON each."""
    from mapper import cli

    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MOST_BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**26, resource.RLIM_INFINITY))
    at_first = peak_bytes()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        # A fresh checkout compiles at its first products, which is no fault of an input.
        with contextlib.redirect_stdout(io.StringIO()):
            for product in ("8x8x8", "64x64x64"):
                cli.main(["map", product, "--hw", "gemmini", "--finalists", "0"])
        for seed in range(first, first + count):
            for left in Path(folder).iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            began = time.process_time()
            wrong = broken(kind, seed)
            peak = max(0, peak_bytes() - at_first)
            if peak > MOST_BYTES:
                wrong = wrong or f"more than 1 GiB: {peak:,} bytes"
            sys.stdout.write(json.dumps([kind, seed, wrong, time.process_time() - began, peak]) + "\n")
            sys.stdout.flush()
        os.chdir("/")


def _address_space() -> int:
    """Bytes that are mapped once everything that inputs need is imported."""
    import mapper.commands.run
    import mapper.commands.sweep
    import mapper.commands.validate  # noqa: F401

    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


class Answer(NamedTuple):
    """What became of an input."""

    kind: str
    seed: int
    wrong: str
    """Empty if every promise was kept."""
    seconds: float = 0.0
    """CPU time."""
    peak_bytes: int = 0
    """Memory beyond that of the imported program."""


def run(kind: str, first: int, count: int, seconds: float) -> Iterator[Answer]:
    """Yield the answers to inputs, by processes that may die."""
    done = first
    while done < first + count:
        command = [sys.executable, __file__, "--worker", kind, str(done), str(first + count - done)]
        process = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=max(1.0, seconds), errors="replace"
        )
        lines = process.stdout.splitlines()
        for line in lines:
            yield Answer(*json.loads(line))
        done += len(lines)
        if done < first + count:
            yield Answer(kind, done, f"the process ended with {process.returncode}: {process.stderr[-300:]}")
            done += 1


def main() -> int:
    """Run inputs of all kinds and print what broke; exit code 1 if anything did."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--inputs", type=int, default=220, help="in all, shared by the kinds")
    options.add_argument("--kind", choices=KINDS, help="only this one")
    options.add_argument("--first", type=int, default=0, help="first seed")
    options.add_argument("--seconds", type=float, default=36_000.0, help="wall time of a process")
    options.add_argument("--worker", nargs=3)
    given = options.parse_args()
    if given.worker:
        kind, first, count = given.worker
        worker(kind, int(first), int(count))
        return 0
    kinds = [given.kind] if given.kind else list(KINDS)
    tally: Counter[str] = Counter()
    longest, most = 0.0, 0
    for kind in kinds:
        for answer in run(kind, given.first, -(-given.inputs // len(kinds)), given.seconds):
            tally[answer.kind] += 1
            longest, most = max(longest, answer.seconds), max(most, answer.peak_bytes)
            if answer.wrong:
                tally["broken"] += 1
                sys.stdout.write(f"{answer.kind} {answer.seed}: {answer.wrong}\n")
                sys.stdout.flush()
    sys.stdout.write(f"{sum(tally.values()) - tally['broken']} inputs, {tally['broken']} broken, ")
    sys.stdout.write(f"longest {longest:.1f} CPU s, most memory {most / 2**20:.0f} MiB; {dict(tally)}\n")
    return 1 if tally["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
