"""The DRAM has a clock of its own: what it takes stays in seconds when the machine's clock changes.

Machine files may give its times in cycles. A layer that changes the clock on top of them, a file that extends another
or an override, first turns them into seconds, which become cycles of the new clock at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from hwconfigs import quantity
from hwconfigs.limits import CLOCK_MHZ

CLOCK = ("clock_mhz", "clock")
"""How a machine file may call its clock."""

DEFAULT_MHZ = 1000.0
"""Clock of a machine that does not say [MHz]."""

OWN_TIMES = ("latency_cycles", "evict_cycles", "write_miss_cycles", "write_back_cycles", "write_back_hold_cycles")
"""Times of the memory; ``request_cycles`` is the way to its port, on the chip."""

OF_PAGES = "_cycles"
"""End of the names of the times in ``dram.pages``."""


def keep_seconds(values: dict[str, Any], clock_mhz: float) -> None:
    """Replace cycles in the ``dram`` section of a machine by the seconds that they are at a clock, in place."""
    dram = values.get("dram")
    if not isinstance(dram, dict):
        return
    for key in OWN_TIMES:
        _to_seconds(dram, key, clock_mhz)
    pages = dram.get("pages")
    if isinstance(pages, dict):
        for key in [key for key in pages if key.endswith(OF_PAGES)]:
            _to_seconds(pages, key, clock_mhz)
    rate = _number(dram.get("bytes_per_cycle"), "B/cycle")
    if rate is not None:
        dram["bytes_per_cycle"] = f"{rate * clock_mhz!r} MB/s"


def clock_of(values: Mapping[str, object]) -> float | None:
    """Return the clock of a machine [MHz], or None if it is itself wrong (that is reported elsewhere)."""
    try:
        number = quantity.frequency_mhz(values.get(CLOCK[0], DEFAULT_MHZ))
    except ValueError:
        return None
    slowest, fastest = CLOCK_MHZ
    return float(number) if isinstance(number, int | float) and slowest <= number <= fastest else None


def _to_seconds(section: dict[str, Any], key: str, clock_mhz: float) -> None:
    cycles = _number(section.get(key), "cycles")
    if cycles is not None:
        section[key] = f"{1000.0 * cycles / clock_mhz!r} ns"


def _number(value: object, unit: str) -> float | None:
    """Return a plain number, or that of a text in a unit of the clock; None for what is in seconds, or wrong."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return None
    try:
        return quantity.in_units(
            value, "a number", dict.fromkeys((unit, unit.removesuffix("s")), Fraction(1)), f"8 {unit}"
        )
    except ValueError:
        return None
