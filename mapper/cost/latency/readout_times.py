"""Cycles in which a readout unit, such as the normaliser, passes over the complete rows of a result tile.

The unit itself knows its time (`simulator.units.unit.ReadoutUnit.cycles`): it is asked for low tiles of every height,
and a further block of rows takes what the last one of those took.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hwconfigs import HardwareSpec
from simulator.arrays import Floats, Ints
from simulator.units import readout_unit

FOLLOWED = 4
"""Blocks of rows for which the unit is asked: its slots have found their pace by then."""


def readout_cycles(rows: Ints, cols: int, kernel: str, spec: HardwareSpec) -> Floats:
    """Return the cycles from the first read of each tile until its last row has left (columns, or tables of them).

    Parameters
    ----------
    rows
        Rows of the tiles.
    cols
        Elements of a row.
    kernel
        What the unit evaluates.
    spec
        A machine with a unit for the kernel.
    """
    side = spec.array.rows
    known = _of_low_tiles(cols, kernel, spec)
    beyond = np.maximum(0, -(-rows // side) - FOLLOWED)
    pace = known[FOLLOWED * side] - known[(FOLLOWED - 1) * side]
    cycles: Floats = known[rows - beyond * side] + beyond * pace
    return cycles


@lru_cache(maxsize=64)
def _of_low_tiles(cols: int, kernel: str, spec: HardwareSpec) -> Floats:
    """Cycles by the number of rows, up to those that are followed."""
    unit = readout_unit(kernel, spec)
    if unit is None:
        raise ValueError(f"{spec.name} has no unit that reads {kernel} out")
    rows = range(1, FOLLOWED * spec.array.rows + 1)
    cycles = [unit.cycles(number, cols, kernel, spec, issued=False) for number in rows]
    return np.array([0.0, *cycles])
