"""Costs of combinations of chains, one of each group, as broadcast columns: exact for rows, a bound for ideal ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapper.nest.structure import Structure, Tile
from mapper.nest.tables import Table

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Combined:
    """Costs of combinations, of their common shape."""

    energy: Floats
    cycles: Floats
    """Infinite where nothing fits."""
    choice: NDArray[np.int64]
    """Which tiles have a second copy: an index into the choices given to `Combiner`."""


class Combiner:
    """Evaluates one structure; the groups' tables are given in the order of ``item.groups``."""

    def __init__(self, item: Structure, choices: Sequence[frozenset[int]]) -> None:
        self.item, self.choices = item, tuple(choices)
        self._copies = 2.0 if item.accounting.double_buffer_capacity else 1.0

    def __call__(self, tables: Sequence[Table]) -> Combined:
        """Costs of one combination per cell of the tables' broadcast shape."""
        energy = sum((table.energy for table in tables), np.float64(self.item.energy.constant))
        words, whole = zip(
            *(self._words(tile, number, tables) for number, tile in enumerate(self.item.tiles)), strict=True
        )
        steps = np.float64(1.0)
        for table in tables:
            steps = steps * table.steps
        loads = np.float64(0.0)
        for number, port in enumerate(self.item.ports):
            load = sum((table.loads[number] for table in tables), np.float64(port.constant))
            loads = np.maximum(loads, load)
        serial = [self._serial(tile, number, whole[number], tables) for number, tile in enumerate(self.item.tiles)]
        best, chosen = np.float64(np.inf), np.int64(0)
        for index, doubled in enumerate(self.choices):
            cycles = steps + sum(serial[number] for number in range(len(serial)) if number not in doubled)
            cycles = np.where(self._fits(words, whole, doubled), np.maximum(cycles, loads), np.inf)
            chosen = np.where(cycles < best, index, chosen)
            best = np.minimum(best, cycles)
        energy, best, chosen = np.broadcast_arrays(energy, np.ceil(best), chosen)
        return Combined(energy, best, chosen)

    def _words(self, tile: Tile, number: int, tables: Sequence[Table]) -> tuple[Floats, Mask]:
        """(words of one copy, whether it is the whole tensor)."""
        words, whole = np.float64(tile.words if tile.spilled is None else 1.0), np.bool_(True)
        for table, dims in zip(tables, self.item.groups, strict=True):
            for dim in dims:
                if dim in tile.dims:
                    words = words * table.extents[tile.level, dim]
                    whole = whole & table.whole.get((tile.level, dim), np.bool_(False))
            if number in table.spilled:
                words = words * np.where(table.spilled[number], float(tile.words), 1.0)
        return words, whole

    def _fits(self, words: Sequence[Floats], whole: Sequence[Mask], doubled: frozenset[int]) -> Mask:
        fits = np.bool_(True)
        for _, room, tiles in self.item.rooms:
            taken = np.float64(0.0)
            for number in tiles:
                copies = np.where(whole[number], 1.0, self._copies) if number in doubled else 1.0
                taken = taken + words[number] * copies
            fits = fits & (taken <= room)
        return fits

    def _serial(self, tile: Tile, number: int, whole: Mask, tables: Sequence[Table]) -> Floats | float:
        if tile.serial is None:
            return 0.0
        load = sum((table.serial[number] for table in tables), np.float64(tile.serial.constant))
        return np.where(whole, 0.0, load)

    def taken(self, tables: Sequence[Table], choice: NDArray[np.int64]) -> Floats:
        """Words taken in all memories together under the chosen buffering."""
        total = np.zeros(choice.shape)
        for number, tile in enumerate(self.item.tiles):
            words, whole = self._words(tile, number, tables)
            doubled = np.isin(choice, [index for index, names in enumerate(self.choices) if number in names])
            total = total + words * np.where(doubled & ~whole, self._copies, 1.0)
        return total
