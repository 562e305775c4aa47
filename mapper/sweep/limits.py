"""Limits of one point: its time and its memory, kept from inside the process that computes it.

The time is kept by raising `PointTimeout` in the thread that computes, which happens between two steps of Python; the
memory by the operating system, which refuses allocations beyond it. What neither can end, such as a loop inside
compiled code, is ended by an engine that can kill the worker.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import resource
except ImportError:  # a system without limits of a process
    resource = None  # type: ignore[assignment]

GRACE_SECONDS = 10.0
"""What a point gets beyond its time before its worker is killed [s]."""


class PointTimeout(BaseException):
    """The time of a point is over; no handler of ordinary errors swallows it."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `PointTimeout` inside once the time is over; None: never."""
    if seconds is None:
        yield
        return
    thread, lock, ended = threading.get_ident(), threading.Lock(), False

    def interrupt() -> None:
        with lock:
            if not ended:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(PointTimeout))

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        # Whoever holds the lock has raised already: nothing comes after this block.
        with lock:
            ended = True
        timer.cancel()


@contextmanager
def memory_limit(most_bytes: int | None) -> Iterator[None]:
    """Let allocations inside fail with `MemoryError` once the process takes so much memory; None: never."""
    held = _held_bytes()
    if most_bytes is None or resource is None or held is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    # The limit counts addresses, of which a process has many that take no memory.
    addresses, resident = held
    limit = addresses + max(0, most_bytes - resident)
    resource.setrlimit(resource.RLIMIT_AS, (limit if before[1] < 0 else min(limit, before[1]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _held_bytes() -> tuple[int, int] | None:
    """Return the addresses and the memory of this process; None where the system does not tell."""
    try:
        addresses, resident = Path("/proc/self/statm").read_text().split()[:2]
    except OSError:
        return None
    page = resource.getpagesize()
    return int(addresses) * page, int(resident) * page
