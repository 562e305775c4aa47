"""Plain text: aligned columns, wrapped sentences, and quantities in units for people."""

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


def size(count: float) -> str:
    """Return bytes for people: ``1.5 MiB``."""
    return _scaled(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def energy(pj: float) -> str:
    """Return energy for people: ``3.2 µJ``."""
    return _scaled(pj, 1000, ("pJ", "nJ", "µJ", "mJ", "J", "kJ"))


def percent(part: float, whole: float) -> str:
    """Return ``part`` of ``whole`` in percent; ``-`` of nothing."""
    return f"{100 * part / whole:.1f}%" if whole else "-"


def totals(latency_s: float, clock_mhz: float, energy_pj: float, edp_js: float) -> str:
    """Return latency, energy and their product in one line."""
    return (
        f"latency {latency_s * 1e3:.4g} ms at {clock_mhz:g} MHz, energy {energy_pj * 1e-9:.4g} mJ, EDP {edp_js:.4g} J s"
    )


def _scaled(value: float, step: int, units: Sequence[str]) -> str:
    for unit in units[:-1]:
        # 999.95 would round to a fourth digit, so the next unit starts a little below the step.
        if value < step - 0.05:
            return f"{value:.0f} {unit}" if unit == units[0] else f"{value:.1f} {unit}"
        value /= step
    return f"{value:.1f} {units[-1]}"


def wrapped(text: str) -> list[str]:
    """Return a sentence as lines of at most `WIDTH` columns."""
    return textwrap.wrap(text, WIDTH)
