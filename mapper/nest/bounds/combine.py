"""Costs of combinations of chains, one of each group, as broadcast columns: exact for rows, a bound for ideal ones.

A combination with ideal rows costs no more than any completion of it, because every cost and every room grows with the
columns; so what is too dear, or does not fit, with them is so with all rows that they stand for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from mapper.nest.bounds.chain_tables import ChainTable
from mapper.nest.bounds.reuse_structure import Affine, Copy, Pair, ReuseStructure
from simulator.arrays import Floats, Ints

Real: TypeAlias = Any
"""A float64 column of any shape, or one number."""

Mask: TypeAlias = Any
"""A boolean column of any shape, or one truth value."""

InputVisits: TypeAlias = dict[Pair, Any]
"""Visits of a sliding input's pairs, weighted with its halos."""


@dataclass(frozen=True, slots=True)
class Combined:
    """Costs of combinations, of their common shape."""

    energy: Floats
    cycles: Floats
    """Infinite where nothing fits."""
    doubled: Ints
    """Bits of the copies that have a second one."""

    def take(self, rows: Ints) -> Combined:
        """Return some rows of one column."""
        return Combined(self.energy[rows], self.cycles[rows], self.doubled[rows])

    def flat(self) -> Combined:
        """Return all combinations in one column."""
        return Combined(self.energy.ravel(), self.cycles.ravel(), self.doubled.ravel())


@dataclass(frozen=True, slots=True)
class _Room:
    """Copies that compete for one memory, and the sets of second copies that may be chosen there."""

    words: float
    copies: tuple[int, ...]
    choices: tuple[frozenset[int], ...]


class Combiner:
    """Evaluates one structure; the groups' tables are given in the order of ``structure.groups``.

    Parameters
    ----------
    structure
        What is evaluated.
    choices
        Allowed sets of second copies (positions in ``structure.copies``). They must be a product over memories: the
        best set is chosen memory by memory, because the time that second copies save is a sum and each memory has a
        limit of its own.
    """

    def __init__(self, structure: ReuseStructure, choices: Sequence[frozenset[int]]) -> None:
        self.structure = structure
        self._room_of_two = 2.0 if structure.accounting.double_buffer_capacity else 1.0
        limited = {number for capacity in structure.capacities for number in capacity.copies}
        unlimited = tuple(number for number in range(len(structure.copies)) if number not in limited)
        memories = [(float(capacity.words), capacity.copies) for capacity in structure.capacities]
        memories += [(np.inf, unlimited)] if unlimited else []
        self._rooms = [_Room(words, copies, _choices_within(choices, copies)) for words, copies in memories]

    def doubled(self, bits: int) -> frozenset[int]:
        """Return the copies that have a second one, from a value of `Combined.doubled`."""
        return frozenset(number for number in range(len(self.structure.copies)) if bits >> number & 1)

    def __call__(self, tables: Sequence[ChainTable]) -> Combined:
        """Return the costs of one combination per cell of the tables' broadcast shape."""
        structure = self.structure
        visits = self._input_visits(tables)
        energy = sum((table.energy for table in tables), np.float64(structure.energy.constant))
        energy = energy + _weighed(structure.energy, visits)
        steps: Real = 1.0
        for table in tables:
            steps = steps * table.steps
        # Ports work beside the array and beside each other, so the slowest of all sets the time.
        cycles, doubled = self._with_waiting(steps, tables, visits)
        for number, port in enumerate(structure.ports):
            load = sum((table.loads[number] for table in tables), np.float64(port.constant)) + _weighed(port, visits)
            cycles = np.maximum(cycles, load)
        energy, cycles, doubled = np.broadcast_arrays(energy, np.ceil(cycles), doubled)
        return Combined(energy, cycles, doubled)

    def _with_waiting(self, steps: Real, tables: Sequence[ChainTable], visits: InputVisits) -> tuple[Real, Any]:
        """(steps of the array and what it waits for transfers, infinite where nothing fits; bits of second copies)."""
        room, whole, serial = [], [], []
        for number, copy in enumerate(self.structure.copies):
            words, is_whole = self._words(copy, number, tables)
            room.append(words)
            whole.append(is_whole)
            serial.append(self._serial(copy, number, is_whole, tables, visits))
        cycles, doubled = steps, 0
        for memory in self._rooms:
            waits, bits = self._best_choice(memory, room, whole, serial)
            # One memory that does not hold its tiles makes the sum infinite.
            cycles, doubled = cycles + waits, doubled + bits
        return cycles, doubled

    def _best_choice(
        self, memory: _Room, room: Sequence[Real], whole: Sequence[Mask], serial: Sequence[Real]
    ) -> tuple[Real, Any]:
        """(least cycles of transfers that nothing overlaps, bits of the second copies); the first choice of equals."""
        best: Real = np.inf
        best_bits: Any = 0
        for choice in memory.choices:
            used: Real = 0.0
            waits: Real = 0.0
            for number in memory.copies:
                # A tensor that is resident as a whole is loaded once and never replaced: one copy does.
                number_of_tiles = np.where(whole[number], 1.0, self._room_of_two) if number in choice else 1.0
                used = used + room[number] * number_of_tiles
                waits = waits if number in choice else waits + serial[number]
            waits = np.where(used <= memory.words, waits, np.inf)
            bits = sum(1 << number for number in choice)
            if len(memory.choices) > 1:
                best_bits = np.where(waits < best, bits, best_bits)
                best = np.minimum(best, waits)
            else:
                best, best_bits = waits, bits
        return best, best_bits

    def _words(self, copy: Copy, number: int, tables: Sequence[ChainTable]) -> tuple[Real, Mask]:
        """(words of one tile, whether it is the whole tensor)."""
        sliding = self.structure.sliding if copy.tensor == "input" else ()
        # Where visits decide about partial sums, their width comes with the group whose dimensions are visited.
        words: Real = float(copy.words if copy.spill_pair is None else 1.0)
        whole: Mask = True
        for table, dims in zip(tables, self.structure.groups, strict=True):
            for dim in dims:
                if dim in copy.dims:
                    whole = whole & table.whole.get((copy.level, dim), False)
                    if not any(dim in axis.dims for axis in sliding):
                        words = words * table.extents[copy.level, dim]
            if number in table.spilled:
                words = words * np.where(table.spilled[number], float(copy.words), 1.0)
        # A sliding axis is indexed by two dimensions of different groups: its extent is no product over groups.
        for axis in sliding:
            a, b = (
                next(table.extents[copy.level, dim] for table in tables if (copy.level, dim) in table.extents)
                for dim in axis.dims
            )
            first, second = axis.overlap
            words = words * (a * b - np.maximum(a - first, 0.0) * np.maximum(b - second, 0.0))
        return words, whole

    def _serial(self, copy: Copy, number: int, whole: Mask, tables: Sequence[ChainTable], visits: InputVisits) -> Real:
        """Cycles of a copy's transfers if nothing overlaps them."""
        if copy.serial is None:
            return 0.0
        load = sum((table.serial[number] for table in tables), np.float64(copy.serial.constant))
        # Nothing ever replaces a whole tensor, so no transfer waits until its tile has been used.
        return np.where(whole, 0.0, load + _weighed(copy.serial, visits))

    def _input_visits(self, tables: Sequence[ChainTable]) -> InputVisits:
        """Visits of the input's pairs, times the growth of its words by halos; empty if the input does not slide.

        Tiles of a and b elements use ab - beyond(a) beyond(b) indices; summed over tiles that is the axis' own product
        less the product of the sums, relative to the indices of the whole axis.
        """
        weighted: InputVisits = {}
        for pair, visits in tables[0].visits.items() if self.structure.sliding else ():
            words: Real = visits
            for axis in self.structure.sliding:
                beyond: Real = 1.0
                for dim in axis.dims:
                    owner = next(group for group, dims in enumerate(self.structure.groups) if dim in dims)
                    beyond = beyond * tables[owner].beyond.get((pair[1], dim), 0.0)
                words = words * ((axis.pairs - beyond) / axis.extent)
            weighted[pair] = words
        return weighted

    def room(self, tables: Sequence[ChainTable], doubled: Ints) -> Floats:
        """Return the words taken in all memories together with the chosen second copies."""
        total = np.zeros(doubled.shape)
        for number, copy in enumerate(self.structure.copies):
            words, whole = self._words(copy, number, tables)
            has_second = (doubled >> number & 1) > 0
            total = total + words * np.where(has_second & ~whole, self._room_of_two, 1.0)
        return total


def _choices_within(choices: Sequence[frozenset[int]], copies: tuple[int, ...]) -> tuple[frozenset[int], ...]:
    """Sets of second copies in one memory, fewest first."""
    return tuple(sorted({choice & frozenset(copies) for choice in choices}, key=lambda c: (len(c), sorted(c))))


def _weighed(line: Affine, visits: InputVisits) -> Real:
    """A cost's part that depends on a sliding input."""
    total: Real = 0.0
    for pair, weight in line.terms if visits else ():
        if pair in visits:
            total = total + weight * visits[pair]
    return total
