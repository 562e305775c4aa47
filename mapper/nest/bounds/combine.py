"""Costs of combinations of chains, one of each group, as broadcast columns: exact for rows, a bound for ideal ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from mapper.nest.bounds.chain_tables import Table
from mapper.nest.bounds.reuse_structure import Affine, Pair, Structure, Tile
from simulator.arrays import Floats, Ints

Real: TypeAlias = Any
"""A float64 column of any shape, or one number."""


Slid: TypeAlias = dict[Pair, Any]
"""Visits of a sliding input's pairs, weighted with its halos."""


@dataclass(frozen=True, slots=True)
class Combined:
    """Costs of combinations, of their common shape."""

    energy: Floats
    cycles: Floats
    """Infinite where nothing fits."""
    choice: Ints
    """Bits of the tiles that have a second copy."""


class Combiner:
    """Evaluates one structure; the groups' tables are given in the order of ``item.groups``.

    Parameters
    ----------
    item
        What is evaluated.
    choices
        Allowed sets of tiles (indices) with a second copy. They must be a product over rooms: the best set is chosen
        room by room, because the time that copies save is a sum and each room has a limit of its own.
    """

    def __init__(self, item: Structure, choices: Sequence[frozenset[int]]) -> None:
        self.item = item
        self._copies = 2.0 if item.accounting.double_buffer_capacity else 1.0
        limited = {number for _, _, tiles in item.rooms for number in tiles}
        free = tuple(number for number in range(len(item.tiles)) if number not in limited)
        rooms = [*((float(words), tiles) for _, words, tiles in item.rooms), *([(np.inf, free)] if free else [])]
        self._rooms = [
            (words, tiles, sorted({choice & frozenset(tiles) for choice in choices}, key=lambda c: (len(c), sorted(c))))
            for words, tiles in rooms
        ]

    def doubled(self, choice: int) -> frozenset[int]:
        """Tiles with a second copy, from a value of `Combined.choice`."""
        return frozenset(number for number in range(len(self.item.tiles)) if choice >> number & 1)

    def __call__(self, tables: Sequence[Table]) -> Combined:
        """Costs of one combination per cell of the tables' broadcast shape."""
        energy = sum((table.energy for table in tables), np.float64(self.item.energy.constant))
        slid = self._slid(tables)
        energy = energy + _weighed(self.item.energy, slid)
        taken = [self._words(tile, number, tables) for number, tile in enumerate(self.item.tiles)]
        words, whole = [words for words, _ in taken], [whole for _, whole in taken]
        cycles: Real = 1.0
        for table in tables:
            cycles = cycles * table.steps
        serial = [
            self._serial(tile, number, whole[number], tables, slid) for number, tile in enumerate(self.item.tiles)
        ]
        chosen: Any = 0
        for room, tiles, choices in self._rooms:
            best: Real = np.inf
            which: Any = 0
            for doubled in choices:
                used: Real = 0.0
                waits: Real = 0.0
                for number in tiles:
                    copies = np.where(whole[number], 1.0, self._copies) if number in doubled else 1.0
                    used = used + words[number] * copies
                    waits = waits if number in doubled else waits + serial[number]
                waits = np.where(used <= room, waits, np.inf)
                if len(choices) > 1:
                    which = np.where(waits < best, sum(1 << number for number in doubled), which)
                    waits = np.minimum(best, waits)
                else:
                    which = sum(1 << number for number in doubled)
                best = waits
            cycles, chosen = cycles + best, chosen + which
        for number, port in enumerate(self.item.ports):
            load = sum((table.loads[number] for table in tables), np.float64(port.constant)) + _weighed(port, slid)
            cycles = np.maximum(cycles, load)
        energy, cycles, chosen = np.broadcast_arrays(energy, np.ceil(cycles), chosen)
        return Combined(energy, cycles, chosen)

    def _words(self, tile: Tile, number: int, tables: Sequence[Table]) -> tuple[Real, Any]:
        """(words of one copy, whether it is the whole tensor)."""
        slides = self.item.slides if tile.tensor == "input" else ()
        words: Real = float(tile.words if tile.spilled is None else 1.0)
        whole: Any = True
        for table, dims in zip(tables, self.item.groups, strict=True):
            for dim in dims:
                if dim in tile.dims:
                    whole = whole & table.whole.get((tile.level, dim), False)
                    if not (slides and any(dim in slide.dims for slide in slides)):
                        words = words * table.extents[tile.level, dim]
            if number in table.spilled:
                words = words * np.where(table.spilled[number], float(tile.words), 1.0)
        for slide in slides:
            a, b = (
                next(table.extents[tile.level, dim] for table in tables if (tile.level, dim) in table.extents)
                for dim in slide.dims
            )
            first, second = slide.overlap
            words = words * (a * b - np.maximum(a - first, 0.0) * np.maximum(b - second, 0.0))
        return words, whole

    def _serial(self, tile: Tile, number: int, whole: Any, tables: Sequence[Table], slid: Slid) -> Real:
        if tile.serial is None:
            return 0.0
        load = sum((table.serial[number] for table in tables), np.float64(tile.serial.constant))
        return np.where(whole, 0.0, load + _weighed(tile.serial, slid))

    def _slid(self, tables: Sequence[Table]) -> Slid:
        """Visits of the input's pairs, times the growth of its words by halos."""
        if not self.item.slides:
            return {}
        found: Slid = {}
        for pair, visits in tables[0].visits.items():
            words: Real = visits
            for slide in self.item.slides:
                beyond: Real = 1.0
                for dim in slide.dims:
                    owner = next(i for i, dims in enumerate(self.item.groups) if dim in dims)
                    beyond = beyond * tables[owner].beyond.get((pair[1], dim), 0.0)
                words = words * ((slide.pairs - beyond) / slide.extent)
            found[pair] = words
        return found

    def taken(self, tables: Sequence[Table], choice: Ints) -> Floats:
        """Words taken in all memories together under the chosen buffering."""
        total = np.zeros(choice.shape)
        for number, tile in enumerate(self.item.tiles):
            words, whole = self._words(tile, number, tables)
            doubled = (choice >> number & 1) > 0
            total = total + words * np.where(doubled & ~whole, self._copies, 1.0)
        return total


def _weighed(line: Affine, slid: Slid) -> Real:
    """A cost's part that depends on a sliding input."""
    total: Real = 0.0
    for pair, weight in line.terms if slid else ():
        if pair in slid:
            total = total + weight * slid[pair]
    return total
