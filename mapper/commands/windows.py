"""Windows of cycles as they are written on the command line: ``0:100000``."""

from __future__ import annotations

from typing import TypeAlias

from mapper.commands.problems import CommandError

Window: TypeAlias = tuple[int, int]
"""First cycle, and the one after the last."""

CYCLE_DIGITS = 18
"""Digits of the largest cycle that an option takes: an integer of 64 bits."""


def read_window(text: str | None, option: str) -> Window | None:
    """Return the cycles that an option names, None if it was not given.

    Raises
    ------
    CommandError
        When they are no two cycles, or nothing lies between them.
    """
    if text is None:
        return None
    ends = text.split(":")
    if len(ends) != 2 or not all(end.isascii() and end.isdecimal() and len(end) <= CYCLE_DIGITS for end in ends):
        raise CommandError(f"{option} {text}: write two cycles, first:last, as in 0:100000")
    first, last = map(int, ends)
    if first >= last:
        raise CommandError(f"{option} {text}: is empty, {first:,} is not before {last:,}")
    return first, last
