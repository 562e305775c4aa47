"""Areas and leakage from one process to another: factors of Stillmaker and Baas, interpolated between their nodes.

Both ends of a step are looked up in one table and divided, so a node scaled to itself is 1 and a way back undoes a way
there, whichever nodes the table holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import exp, log
from typing import Annotated

from pydantic import BeforeValidator

from hwconfigs import quantity
from hwconfigs.limits import between

OLDEST_NM, NEWEST_NM = 130.0, 7.0

Node = Annotated[float, BeforeValidator(quantity.node_nm), between(NEWEST_NM, OLDEST_NM, "nm")]
"""Name of a process. [nm]"""

SOURCE = "A. Stillmaker, B. Baas, Integration 58 (2017), doi 10.1016/j.vlsi.2017.02.002, straight lines in log-log axes"

_AREA: Mapping[float, float] = {
    130: 6.4, 90: 2.8, 65: 1.5, 45: 1.0, 32: 0.46, 20: 0.21, 16: 0.19, 14: 0.17, 10: 0.10, 7: 0.059,
}  # fmt: skip
"""Area of the same circuit, relative to 45 nm."""

_LEAKAGE: Mapping[float, float] = {
    130: 3.07, 90: 1.90, 65: 1.24, 45: 1.0, 32: 0.66, 20: 0.22, 16: 0.17, 14: 0.14, 10: 0.12, 7: 0.094,
}  # fmt: skip
"""Energy of an operation at 0.8 V, relative to 45 nm: the factor that the source's users take for leakage, too."""


def area_factor(from_nm: float, to_nm: float) -> float:
    """Return by how much the area of a circuit grows from one node to another."""
    return _at(_AREA, to_nm) / _at(_AREA, from_nm)


def leakage_factor(from_nm: float, to_nm: float) -> float:
    """Return by how much the leakage of a circuit grows from one node to another."""
    return _at(_LEAKAGE, to_nm) / _at(_LEAKAGE, from_nm)


def _at(table: Mapping[float, float], node_nm: float) -> float:
    """Interpolate, or refuse a node beyond the table.

    Raises
    ------
    ValueError
        When the table ends before the node.
    """
    for (upper, above), (lower, below) in pairwise(table.items()):
        if lower <= node_nm <= upper:
            return below * exp(log(above / below) * log(node_nm / lower) / log(upper / lower))
    raise ValueError(f"{node_nm:g} nm is outside the scaling table, {NEWEST_NM:g} to {OLDEST_NM:g} nm")
