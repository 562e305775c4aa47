"""Ranges of quantities: wide enough for every machine, narrow enough for every computation with them."""

from __future__ import annotations

from pydantic import AfterValidator

CLOCK_MHZ = (1e-3, 1e6)
"""Slowest and fastest clock. [MHz]"""

SHOWN_CHARACTERS = 40
"""Longest piece of a wrong value that a message repeats."""


def between(low: float, high: float, unit: str = "") -> AfterValidator:
    """Refuse numbers outside ``low`` .. ``high``; the message says the range, in ``unit``."""
    allowed = f"{low:,g} .. {high:,.0f} {unit}".rstrip()

    def check(value: float) -> float:
        if not low <= value <= high:
            raise ValueError(f"must be in {allowed}, got {shortened(repr(value))}")
        return value

    return AfterValidator(check)


def shortened(text: str) -> str:
    """``text`` cut to a length that fits a message."""
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
