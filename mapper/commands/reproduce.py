"""``tilewright reproduce``: one row of a store again, compared to the bit. Exit code 1: it differs."""

from __future__ import annotations

import argparse

from mapper.commands.exit_codes import GATE_FAILED
from mapper.reports.text import printable
from mapper.sweep.reproduce import other_version, reproduce


def execute(options: argparse.Namespace) -> int:
    """Compute the row and say what differs."""
    result = reproduce(options.store, options.row)
    stored = result.stored
    values = ", ".join(f"{name}={value}" for name, value in stored.point.values.items())
    print(printable(f"row {stored.row}: {stored.point.model} on {stored.point.machine}, {values}"))
    if version := other_version(result):
        print(f"note: it was computed by model {printable(version)}")
    if not result.is_same_point:
        print("note: a file of its machine, workload or settings is another one now")
    if not result.differences:
        print("reproduced to the bit" if not stored.reason else printable(f"fails again: {stored.reason}"), flush=True)
        return 0
    print("\n".join(map(printable, result.differences)), flush=True)
    return GATE_FAILED
