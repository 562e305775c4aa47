"""Sizes that the tiles of one dimension may have, in units of what the array takes at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.arrays import Ints


@dataclass(frozen=True, slots=True)
class Grid:
    """Sizes that the tiles of one dimension may have."""

    size: int
    """The dimension [elements]."""
    unit: int
    """Elements per unit; the last unit may be smaller."""
    array: int
    """Elements that the array takes at once."""
    perfect: bool
    """Whether every tile divides the one outside it."""
    allowed: tuple[tuple[int, ...] | None, ...] = ()
    """Per level of a tile, outermost first: sizes left by constraints [units], None for all; empty for no constraints.
    """
    trips: tuple[tuple[int, ...] | None, ...] = ()
    """Per level: trips left by constraints, None for all; empty for no constraints."""
    coarse: tuple[int, ...] = ()
    """Only these sizes [units], for a first look; empty for all."""

    @property
    def units(self) -> int:
        """Size of the whole dimension [units]."""
        return -(-self.size // self.unit)

    @property
    def last(self) -> int:
        """The array's own tile [units]."""
        return max(1, self.array // self.unit)

    def elements(self, units: Ints) -> Ints:
        """Return tile sizes in elements."""
        return np.minimum(units * self.unit, self.size)
