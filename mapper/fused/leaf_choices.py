"""What the nests of one operator inside a block cost, all rows of a grid at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mapper.fused.blocks import Kind, MainDims, StepGrid, kinds, main_dims
from mapper.fused.einsum import Einsum
from mapper.fused.flat_machine import FlatMachine, Prices
from mapper.fused.leaf_tiles import Room, Tiles, orders, tiles_of
from mapper.fused.rules import Rules
from mapper.fused.tree_costs import GUARD
from simulator.arrays import Bools, Floats, Ints


@dataclass(frozen=True)
class Sources:
    """Where an operator under shared loops finds its operands and leaves its result."""

    held: frozenset[str]
    """Operands that lie in the scratchpad already."""
    loaded_words: Floats
    """Words that shared places load from DRAM for this operator."""
    keeps_result: bool
    """Whether the result stays in the scratchpad."""
    drained_words: Floats
    """Words of the result that go from the scratchpad on to DRAM."""
    returned_words: Floats
    """Partial sums that come back from outside of the accumulator, all visits but the first."""


@dataclass(frozen=True)
class Loads:
    """Words read and written by memory, all of them columns or numbers."""

    dram_reads: Floats
    dram_writes: Floats
    scratchpad_reads: Floats
    scratchpad_writes: Floats
    accumulator_reads: Floats
    accumulator_writes: Floats
    register_words: Floats
    steps: Floats
    """Of the array or the vector unit. [cycles]"""
    compute_pj: Floats

    def energy(self, machine: FlatMachine) -> Floats:
        """Return the energy. [pJ]"""
        total = self.compute_pj + self.register_words * machine.register_pj
        for prices, reads, writes in self._memories(machine):
            total = total + reads * prices.read_pj + writes * prices.write_pj
        return total

    def cycles(self, machine: FlatMachine) -> Floats:
        """Return the time of the busiest unit. [cycles]"""
        busiest = self.steps
        for prices, reads, writes in self._memories(machine):
            limits = (
                (reads, prices.reads_per_cycle),
                (writes, prices.writes_per_cycle),
                (reads + writes, prices.shared_per_cycle),
            )
            for words, rate in limits:
                if rate is not None:
                    busiest = np.maximum(busiest, words / rate)
        whole: Floats = np.ceil(busiest * (1 - GUARD))
        return whole

    def _memories(self, machine: FlatMachine) -> tuple[tuple[Prices, Floats, Floats], ...]:
        return (
            (machine.dram_prices, self.dram_reads, self.dram_writes),
            (machine.scratchpad_prices, self.scratchpad_reads, self.scratchpad_writes),
            (machine.accumulator_prices, self.accumulator_reads, self.accumulator_writes),
        )


@dataclass(frozen=True)
class Choice:
    """One nest of an operator per row of the grid."""

    tiles: Tiles | None
    """None for an operator of the vector unit, which has one nest."""
    energy: Floats
    """Infinite where it does not fit. [pJ]"""
    cycles: Floats


@dataclass(frozen=True)
class LeafTask:
    """One operator under the loops of a grid."""

    operator: Einsum
    grid: StepGrid
    main: MainDims
    blocks: list[Kind]
    machine: FlatMachine
    rules: Rules

    @classmethod
    def of(cls, operator: Einsum, grid: StepGrid, machine: FlatMachine, rules: Rules) -> LeafTask:
        """Return the task; its blocks serve all residencies."""
        main = main_dims(operator, grid.graph, grid.loops, grid.lead)
        blocks = kinds(operator, grid, main, machine.rows) if operator.is_product else []
        return cls(operator, grid, main, blocks, machine, rules)

    def take(self, grid: StepGrid, rows: Ints) -> LeafTask:
        """Return the task for some rows of its grid, which are ``grid``."""
        return replace(self, grid=grid, blocks=[kind.take(rows) for kind in self.blocks])

    def bound(self, sources: Sources) -> Choice:
        """Return what no nest is below: every tile is moved once in each block, and everything fits."""
        if not self.operator.is_product:
            unbounded = np.inf * self.grid.ones()
            return self._vector_choice(sources, unbounded, unbounded)
        whole = Tiles("O", *(np.inf * self.grid.ones(),) * 3)
        loads = self._loads(whole, sources, self._fixed_loads(sources), visits_once=True)
        return Choice(None, loads.energy(self.machine), loads.cycles(self.machine))

    def choices(self, sources: Sources, scratchpad: Floats, accumulator: Floats) -> Iterator[Choice]:
        """Yield the nests that can be best in what shared tiles leave of the memories. [words]"""
        if not self.operator.is_product:
            yield self._vector_choice(sources, scratchpad, accumulator)
            return
        room = Room(scratchpad, accumulator, self.machine.rows, self.machine.cols)
        moving, stationary = (access.tensor in sources.held for access in self.operator.inputs)
        fixed = self._fixed_loads(sources)
        for order in orders(moving_is_there=moving, stationary_is_there=stationary):
            for tiles in tiles_of(order, self.blocks, room):
                loads = self._loads(tiles, sources, fixed)
                yield _choice(tiles, loads, tiles.fits, self.machine)

    def _total(self, *names: str) -> Floats:
        """Sum over all blocks of a product of their sizes."""
        total = 0.0 * self.grid.ones()
        for kind in self.blocks:
            product = kind.number
            for name in names:
                product = product * getattr(kind, name)
            total = total + product
        return total

    def _fixed_loads(self, sources: Sources) -> Loads:
        """What does not depend on the nest."""
        cols = self.machine.cols
        zero = 0.0 * self.grid.ones()
        result, updates = self._total("rows", "columns"), self._total("rows", "columns", "passes")
        across = sum(
            (kind.number * np.ceil(kind.columns / cols) * kind.rows * kind.reduced for kind in self.blocks), zero
        )
        steps = sum(
            (kind.number * np.ceil(kind.columns / cols) * kind.rows * kind.passes for kind in self.blocks), zero
        )
        returned, macs = sources.returned_words, self._total("rows", "reduced", "columns")
        first = result - returned
        kept = result if sources.keeps_result else zero
        back = returned if sources.keeps_result else zero
        return Loads(
            sources.loaded_words + (returned - back),
            sources.drained_words + (result - kept),
            across + sources.drained_words + back,
            sources.loaded_words + kept,
            updates - first + result,
            updates + returned,
            macs,
            steps,
            macs * self.machine.mac_pj,
        )

    def _loads(self, tiles: Tiles, sources: Sources, fixed: Loads, *, visits_once: bool = False) -> Loads:
        moving, stationary = (access.tensor not in sources.held for access in self.operator.inputs)
        loaded = 0.0 * self.grid.ones()
        registers = 0.0 * self.grid.ones()
        for kind in self.blocks:
            row_tiles = 1.0 * np.ones_like(kind.rows) if visits_once else _row_tiles(kind.rows, tiles)
            weights = kind.number * kind.reduced * kind.columns
            registers = registers + weights * row_tiles
            if moving:
                times = np.ceil(kind.columns / tiles.columns) if tiles.order in ("WIO", "WOI", "OIW", "OI") else 1.0
                loaded = loaded + kind.number * kind.rows * kind.reduced * times
            if stationary:
                loaded = loaded + weights * _stationary_visits(kind.rows, row_tiles, tiles)
        return Loads(
            fixed.dram_reads + loaded,
            fixed.dram_writes,
            fixed.scratchpad_reads + registers,
            fixed.scratchpad_writes + loaded,
            fixed.accumulator_reads,
            fixed.accumulator_writes,
            fixed.register_words + registers,
            fixed.steps,
            fixed.compute_pj,
        )

    def _vector_choice(self, sources: Sources, scratchpad: Floats, accumulator: Floats) -> Choice:
        """Row by row, or element by element where no row must be whole."""
        operator, graph, grid = self.operator, self.grid.graph, self.grid
        repeated = grid.turns(operator.dims, len(grid.loops))
        words = float(graph.words(operator.output.dims)) * repeated
        row = self.row_words()
        streamed = [access for access in operator.inputs if access.tensor not in sources.held]
        loaded = sources.loaded_words + words * len(streamed)
        kept, zero = (words if sources.keeps_result else 0.0 * words), 0.0 * words
        loads = Loads(
            loaded,
            words - kept + sources.drained_words,
            words * len(operator.inputs) + sources.drained_words,
            loaded + kept,
            words,
            words,
            zero,
            words / self.machine.lanes,
            words * self.machine.vector_pj,
        )
        fits = (row * len(streamed) <= scratchpad) & (row <= accumulator)
        return _choice(None, loads, fits, self.machine)

    def row_words(self) -> Floats:
        """Return the words that the vector unit takes at once: a row, or an element where rows may be cut."""
        whole = () if self.rules.rows_may_be_cut else self.operator.complete
        return self.grid.tile_words(sorted(whole))


def _choice(tiles: Tiles | None, loads: Loads, fits: Bools, machine: FlatMachine) -> Choice:
    energy = np.where(fits, loads.energy(machine), np.inf)
    return Choice(tiles, energy, np.where(fits, loads.cycles(machine), np.inf))


def _row_tiles(rows: Floats, tiles: Tiles) -> Floats:
    """Tiles of the rows after both cuts."""
    outer, inner = np.maximum(tiles.outer_rows, 1.0), np.maximum(tiles.rows, 1.0)
    if tiles.order != "IWO":
        return np.ceil(rows / inner)
    trips = np.ceil(rows / outer)
    tiled: Floats = (trips - 1) * np.ceil(outer / inner) + np.ceil((rows - (trips - 1) * outer) / inner)
    return tiled


def _stationary_visits(rows: Floats, row_tiles: Floats, tiles: Tiles) -> Floats:
    """How often the stationary operand is loaded."""
    if tiles.order in ("WIO", "WOI", "WO"):
        return 1.0 * np.ones_like(rows)
    if tiles.order == "IWO":
        return np.ceil(rows / np.maximum(tiles.outer_rows, 1.0))
    return row_tiles
