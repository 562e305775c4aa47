"""What values may be: ranges wide enough for every machine and narrow enough to compute with, and words of a list."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import AfterValidator

from hwconfigs.errors import suggestion

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


def one_of(word: str, allowed: Iterable[str]) -> str:
    """Return ``word`` if it is allowed.

    Raises
    ------
    ValueError
        When it is not, with the word that was probably meant.
    """
    choices = tuple(allowed)
    if word not in choices:
        raise ValueError(f"{shortened(repr(word))} is not known{suggestion(word[:SHOWN_CHARACTERS], choices)}")
    return word


def shortened(text: str) -> str:
    """``text`` cut to a length that fits a message."""
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
