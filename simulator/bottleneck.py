"""What bounds a run: the unit whose own work, or whose lateness, takes most of the time."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.report import UnitTime

MEMORY_STALLS = ("load latency", "DRAM bandwidth", "request slots")
"""Stalls of the load unit while it waits for data."""


def bound_of(units: Mapping[str, UnitTime]) -> str:
    """One of ``simulator.report.BOUNDS``.

    The array's time is divided by what it did: stepping (compute); waiting for mvins, preloads that their lateness
    exposes, and reads held up by their writes (load); waiting for mvouts (store). Time in which it had nothing to do
    goes
    to the unit that worked most meanwhile.
    """
    execute = units["execute"]
    stalls = execute.stall_cycles
    shares = {
        "compute": execute.busy_cycles,
        "load": sum(stalls.get(cause, 0) for cause in ("load", "exposed preload", "bank conflict")),
        "store": stalls.get("store", 0),
        "normaliser": 0,
        "host": stalls.get("issue", 0),
    }
    normaliser = units["normaliser"].busy_cycles
    others = {
        "host": units["host"].busy_cycles,
        "load": units["load"].busy_cycles + sum(units["load"].stall_cycles.get(cause, 0) for cause in MEMORY_STALLS),
        "store": units["store"].busy_cycles - normaliser,
        "normaliser": normaliser,
    }
    shares[max(others, key=lambda name: others[name])] += execute.idle_cycles
    return max(shares, key=lambda name: shares[name])
