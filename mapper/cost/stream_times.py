"""Times of a stream of single commands: loads, and the store that ends each tile.

The first tiles of a program go through the machine's memory path, as its load and store units would start their
commands; what the caches hold of their lines was replayed. All tiles of a stream are alike, so that the later ones of
these set the pace of the rest.

    loads     ████ ████ ████ ████ ████            two tiles are on chip: a load waits for the store
    stores        ██   ██   ██   ██   ██          of the tile before last
              ├─ warm-up ─┤├── pace ──┤ rest at that pace
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from hwconfigs import HardwareSpec
from simulator.frontend.command_queues import CommandQueues
from simulator.frontend.dma_requests import segment_totals
from simulator.frontend.single_commands import expand_commands, moved_down
from simulator.memory.path import MemoryPath
from simulator.memory.request_stream import MemoryState
from simulator.memory.traffic import CommandTraffic, trace
from simulator.program import Mvin, Mvout
from simulator.units import readout_passes, readout_unit
from simulator.units.store_pipeline import COMMAND_CYCLES, command_gap, epilogue_cycles, row_period, writer_cycles

WARM_UP, FEWEST, MOST_COMMANDS = 3, 6, 96
"""Tiles until a stream has found its pace, the fewest that are followed, and commands beyond which no more are."""


@dataclass(frozen=True, slots=True)
class StreamTimes:
    """What a stream takes. [cycles]"""

    total: float
    """From the first command issued to the end of the fence."""
    load: float
    """In which loads are in flight."""


class FollowedTiles:
    """The tiles of a program that are followed, each of which ends with its store; at least one.

    Parameters
    ----------
    tiles
        All tiles of the program.
    spec
        The machine.
    """

    def __init__(self, tiles: Sequence[Sequence[Mvin | Mvout]], spec: HardwareSpec) -> None:
        followed = _followed(tiles)
        commands = [command for tile in tiles[:followed] for command in tile]
        self._spec = spec
        self._queues = expand_commands(commands, spec, "", readout_passes(spec))
        self._sizes = [_size(tile) for tile in tiles[:followed]]
        self._rest = sum(map(_size, tiles[followed:]))

    def times(self, memory: MemoryState, rows_below: int = 0) -> StreamTimes:
        """Time the program from the caches before it, so many rows further down in its matrices."""
        queues = moved_down(self._queues, rows_below)
        traffic = trace([queues], self._spec, memory.copy())
        units = _Units(queues, traffic.loads[0], traffic.stores[0], self._spec)
        units.run()
        if not self._rest:
            return StreamTimes(units.fenced(), units.covered)
        # Tiles differ in width at the end of a row: the pace is that of a byte.
        pace = (units.stored[-1] - units.stored[WARM_UP - 1]) / sum(self._sizes[WARM_UP:])
        covered = units.covered * (1.0 + self._rest / sum(self._sizes))
        return StreamTimes(units.fenced() + self._rest * pace, covered)


def _followed(tiles: Sequence[Sequence[Mvin | Mvout]]) -> int:
    """Return the number of tiles to follow."""
    within = sum(number <= MOST_COMMANDS for number in accumulate(map(len, tiles)))
    return min(len(tiles), max(within, FEWEST))


def _size(tile: Sequence[Mvin | Mvout]) -> int:
    """Return the elements that a tile moves."""
    return sum(command.rows * command.cols for command in tile)


class _Reading(NamedTuple):
    """When the rows of a store are read [cycles]."""

    start: int
    last_row: int
    """Start of the last row at the writer."""
    read: int
    """Its read from the memory on chip."""
    through: int
    """When the unit is through with all rows."""


class _Units:
    """The load and the store unit, with the times at which their commands are complete [cycles]."""

    def __init__(
        self, queues: CommandQueues, loads: CommandTraffic, stores: CommandTraffic, spec: HardwareSpec
    ) -> None:
        self._queues, self._load_traffic, self._store_traffic, self._spec = queues, loads, stores, spec
        self._path = MemoryPath(spec)
        self._depth = spec.dma.max_commands_in_flight
        self._places = [0] * self._depth
        self._free = self._store_free = self._busy_until = 0
        self.covered = 0.0
        self.loaded: list[int] = []
        self.stored: list[int] = []
        self._read: list[int] = []
        """When all rows of each store are read."""
        self._readers = readout_passes(spec)

    def run(self) -> None:
        """Take all commands, each unit its own in order, as they meet the memory: stores when their rows are read."""
        loads, stores = len(self._queues.loads), len(self._queues.stores)
        while len(self.loaded) < loads or len(self.stored) < stores:
            load = self._load_start() if len(self.loaded) < loads else None
            store = self._store_start() if len(self.stored) < stores else None
            reading = None if store is None else self._reading(store)
            # Whoever meets the memory first goes first: writes leave when the rows of their store are read.
            if reading is None or (load is not None and load <= reading.through):
                self._load(load or 0)
            else:
                self._store(reading)

    def fenced(self) -> float:
        """When the core goes on: every write is acknowledged."""
        done = max(self.loaded[-1], self.stored[-1] if self.stored else 0, self._path.acknowledged)
        return float(done + self._spec.front_end.fence_cycles)

    def _issued(self, issue: list[int] | None, number: int) -> int:
        """When the core has issued a command and it is at its controller."""
        return self._spec.front_end.command_path_cycles + (issue[number] if issue is not None else 0)

    def _load_start(self) -> int | None:
        """When the next load can start; None while it waits for a store that has not started itself."""
        loads, number = self._queues.loads, len(self.loaded)
        after = loads.after_store[number]
        if after > len(self.stored):
            return None
        start = max(self._free, self._places[-self._depth], self._issued(loads.issue, number))
        return max(start, self._entered(self.loaded, self._spec.front_end.load_entries), _done(self.stored, after))

    def _store_start(self) -> int | None:
        """When the next store can start; None while it waits for a load that has not started itself."""
        stores, number = self._queues.stores, len(self.stored)
        after = stores.after_load[number]
        if after > len(self.loaded):
            return None
        start = max(self._store_free, self._issued(stores.issue, number))
        return max(start, self._entered(self._read, self._spec.front_end.store_entries), _done(self.loaded, after))

    def _entered(self, done: list[int], entries: int) -> int:
        """When the next command of a queue has an entry of the reservation station."""
        before = len(done) - entries
        return done[before] + self._spec.front_end.load_to_use_cycles if before >= 0 else 0

    def _load(self, start: int) -> None:
        """Start a load."""
        loads, dma, number = self._queues.loads, self._spec.dma, len(self.loaded)
        rows, to_accumulator = int(loads.rows[number]), loads.to_accumulator[number]
        scale = round(dma.scale_cycles_per_row) if loads.scaled[number] else 1
        last = self._path.read(start, self._load_traffic, number, scale).last
        # One row of DRAM that is repeated on chip is read once and written as often.
        last += rows - 1 if loads.stride[number] == 0 else 0
        end = last + (dma.accumulator_completion_cycles if to_accumulator else dma.completion_cycles)
        release = dma.accumulator_release_cycles if to_accumulator else dma.release_cycles
        self._places.append(end if release is None else last + release)
        self._free = start + max(rows, dma.handover_cycles)
        # Loads overlap, and no cycle counts twice.
        self.covered += max(0, end - max(start, self._busy_until))
        self._busy_until = max(self._busy_until, end)
        self.loaded.append(end)

    def _reading(self, start: int) -> _Reading:
        """Return when the next store reads its rows: at the writer's pace, or as the unit of its activation does."""
        stores, dma, number = self._queues.stores, self._spec.dma, len(self.stored)
        rows, blocks, kernel = int(stores.rows[number]), stores.blocks[number], stores.activation[number]
        reader = readout_unit(kernel, self._spec)
        if reader is not None:
            cols = int(stores.size_bytes[number]) if stores.columns is None else stores.columns[number]
            end = start + reader.cycles(rows, cols, kernel, self._spec, issued=True)
            return _Reading(start, end, end, end)
        writer, period = self._periods(number)
        last = start + math.ceil((rows - 1) * period)
        ahead = math.ceil(dma.store_buffer_blocks * writer / blocks)
        # Buffers take rows before the writer has sent those ahead of them.
        early = min(max(last - ahead, start + (rows - 1) * blocks), last)
        return _Reading(start, last, early, start + math.ceil(rows * period))

    def _store(self, reading: _Reading) -> None:
        """Send the rows of the next store."""
        stores, dma, number = self._queues.stores, self._spec.dma, len(self.stored)
        first, completion = dma.store_first_cycles, dma.store_completion_cycles
        if stores.bank[number] < 0:
            spad_first, spad_completion = dma.scratchpad_store_first_cycles, dma.scratchpad_store_completion_cycles
            first = first if spad_first is None else spad_first
            completion = completion if spad_completion is None else spad_completion
        width = math.ceil(dma.store_full_row_cycles) if stores.full[number] else stores.blocks[number]
        duration = max(reading.last_row - reading.start + width, 1)
        sent = self._path.write(reading.start + first, self._store_traffic, number, duration)
        # Rows that cannot leave keep the unit.
        self._store_free = max(reading.through, sent - first)
        self._read.append(reading.through)
        if stores.activation[number] not in self._readers:
            self._read[-1] = reading.read + stores.blocks[number]
            following = max(reading.start + COMMAND_CYCLES, self._read[-1] + command_gap(self._spec))
            self._store_free = max(self._store_free, following)
        self.stored.append(max(reading.read + completion, self._store_free))

    def _periods(self, number: int) -> tuple[float, float]:
        """Return the cycles of the writer, and of the whole pipeline, per row of a store."""
        stores, dma = self._queues.stores, self._spec.dma
        shape = stores.blocks[number], stores.full[number], stores.bank[number] < 0
        beats, rows = self._store_traffic.beats[number], int(stores.rows[number])
        # Of an unaligned row more beats leave than of an aligned one.
        more = beats / rows - segment_totals(0, int(stores.size_bytes[number]), dma)[1] if beats else 0.0
        # An activation may be slower than the writer, the scaling pipeline before both.
        lanes = epilogue_cycles(shape[0], stores.activation[number], self._spec)
        writer = max(writer_cycles(*shape, dma) + more, lanes)
        return writer, max(row_period(*shape, dma), writer)


def _done(times: list[int], count: int) -> int:
    """When the first ``count`` commands are complete."""
    return times[count - 1] if count > 0 else 0
