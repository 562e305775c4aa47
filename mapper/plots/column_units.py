"""Units of columns, told from the end of their names: ``latency_s`` is shown as ``latency [µs]`` where that fits."""

from __future__ import annotations

import math
from collections.abc import Sequence

PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}

ENDS = (("_js", "J s", 1.0), ("_pj", "J", 1e-12), ("_s", "s", 1.0))
"""End of a name, its unit, and how much of it one is."""


def shown_column(name: str, values: Sequence[float]) -> tuple[float, str]:
    """Return the factor for the numbers of a column, and its name with the unit of what is shown."""
    for end, unit, one in ENDS:
        if name.endswith(end):
            largest = max((abs(value) for value in values), default=0.0) * one
            power = 3 * math.floor(math.log10(largest) / 3) if largest > 0 else 0
            power = min(max(power, min(PREFIXES)), max(PREFIXES))
            return one / 10.0**power, f"{name.removesuffix(end)} [{PREFIXES[power]}{unit}]"
    if name.endswith("_mm2"):
        return 1.0, f"{name.removesuffix('_mm2')} [mm²]"
    return 1.0, name
