"""Plain text: aligned columns and wrapped sentences."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 120
"""Longest line of a report [characters]."""


def columns(
    rows: Sequence[Sequence[str]],
    *,
    rules: Iterable[int] = (),
    right: Iterable[int] = (),
    left: Iterable[int] = (),
) -> list[str]:
    """Return rows as lines with aligned columns; a rule stands before each row number in ``rules``.

    ``right`` are the columns aligned to the right, save those in ``left``.
    """
    aligned_right = set(right) - set(left)
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        if number in set(rules):
            lines.append("-" * (sum(widths) + 2 * len(widths) - 2))
        cells = [
            cell.rjust(width) if index in aligned_right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def printable(text: str) -> str:
    """Return a text that came from a file with what steers a terminal, or breaks a line, spelt out."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def wrapped(text: str) -> list[str]:
    """Return a sentence as lines of at most `WIDTH` columns."""
    return textwrap.wrap(text, WIDTH)
