"""Estimate of a program of single commands and host tasks: row-wise and elementwise operators.

Counts are sums over the commands. Time follows the tiles, each of which ends with a store (`mapper.cost.stream_times`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from hwconfigs import DmaSpec, EnergyModel, HardwareSpec
from mapper.cost.as_report import Times, report_of
from mapper.cost.stream_times import FollowedTiles, StreamTimes
from mapper.cost.trace_replay import MEMORY_UNITS, replayed_counts
from mapper.lowering.repeated_program import CommandInstance
from simulator.arrays import Bools, Ints
from simulator.frontend.dma_requests import segment_totals
from simulator.frontend.transfer_counts import load_counts, store_counts
from simulator.memory.request_stream import MemoryState
from simulator.program import HostTask, MatmulLoop, Matrix, Mvin, Mvout, Program, Region
from simulator.report import Action, Counts, Report
from simulator.units import readout_passes, readout_unit
from simulator.units.host import Host
from simulator.units.load import LoadController
from simulator.units.store import StoreController
from simulator.units.store_pipeline import COMMAND_CYCLES, command_gap, epilogue_cycles, row_period
from simulator.units.unit import Unit


@dataclass(slots=True)
class ProgramTotals:
    """What the commands of a program add up to."""

    counts: Counter[Action] = field(default_factory=Counter)
    tiles: list[list[Mvin | Mvout]] = field(default_factory=list)
    """Loads and the store that ends them."""
    ports: float = 0.0
    """Bus or write-port cycles of all loads."""
    stores: float = 0.0
    """Cycles in which stores are read out."""
    host_cycles: int = 0
    readout: Counter[type[Unit]] = field(default_factory=Counter)
    """Cycles of the units that read results out in the store controller's place."""


class CommandEstimates:
    """Estimates of a program without hardware loops, wherever in its matrices it lies.

    What its commands add up to is found once for each place in a line at which they begin.

    Parameters
    ----------
    program, spec, energy
        What runs where, at which prices.
    """

    def __init__(self, program: Program, spec: HardwareSpec, energy: EnergyModel) -> None:
        self._program, self._spec, self._energy = program, spec, energy
        matrices = {item.source if isinstance(item, Mvin) else item.target for item in _moves(program)}
        self._strides = sorted({matrix.row_stride_bytes for matrix in matrices})
        self._totals: dict[tuple[int, ...], ProgramTotals] = {}
        self._tiles: FollowedTiles | None = None

    def report(self, memory: MemoryState, moved: Counts | None = None, rows_below: int = 0) -> Report:
        """Return what the analytical model says.

        Parameters
        ----------
        memory
            The caches before it; advanced, unless ``moved`` tells what the replay counted.
        moved
            What the replay of the program counted, if it was done already.
        rows_below
            Rows by which the commands lie below those of the program.
        """
        place = CommandInstance(self._program, rows_below)
        totals = self._totals_at(place)
        times = StreamTimes(0.0, 0.0) if self._tiles is None else self._tiles.times(memory, rows_below)
        counts = Counter(totals.counts)
        if self._spec.l2 is not None:
            moved = replayed_counts(place.program, self._spec, memory) if moved is None else moved
            counts.update({action: number for action, number in moved.items() if action[0] in MEMORY_UNITS})
        program_times = _times(totals, times, self._spec)
        return report_of(self._program.name, program_times, Counts(counts), self._spec, self._energy)

    def _totals_at(self, place: CommandInstance) -> ProgramTotals:
        line = self._spec.dma.max_request_bytes
        key = tuple(place.rows_below * stride % line for stride in self._strides)
        if key not in self._totals:
            totals = self._totals[key] = _totals(place.program, self._spec)
            if totals.tiles and self._tiles is None:
                self._tiles = FollowedTiles(_totals(self._program, self._spec).tiles, self._spec)
        return self._totals[key]


def estimate_commands(
    program: Program, spec: HardwareSpec, energy: EnergyModel, memory: MemoryState, moved: Counts | None = None
) -> Report:
    """Return what the analytical model says about a program without hardware loops; see `CommandEstimates.report`."""
    return CommandEstimates(program, spec, energy).report(memory, moved)


def _moves(program: Program) -> Iterator[Mvin | Mvout]:
    return (item for item in program.items if isinstance(item, (Mvin, Mvout)))


def _totals(program: Program, spec: HardwareSpec) -> ProgramTotals:
    totals = ProgramTotals()
    tile: list[Mvin | Mvout] = []
    for item in program.items:
        match item:
            case Mvin():
                _add_load(totals, item, spec)
                tile.append(item)
            case Mvout():
                _add_store(totals, item, spec)
                totals.tiles.append([*tile, item])
                tile = []
            case HostTask():
                _add_host_task(totals, item, spec)
            case MatmulLoop():
                raise TypeError(f"{program.name}: hardware loops are estimated from their mapping")
    _count_on_chip(totals, program, spec)
    return totals


def _count_on_chip(totals: ProgramTotals, program: Program, spec: HardwareSpec) -> None:
    """Count rows and elements by the rules of the front end, all commands at once."""
    loads = [item for item in program.items if isinstance(item, Mvin)]
    stores = [item for item in program.items if isinstance(item, Mvout)]
    loaded = load_counts(
        _column(load.rows for load in loads),
        _column(-(-load.cols // spec.array.cols) for load in loads),
        _flags(load.memory == "accumulator" for load in loads),
        _flags(load.accumulate for load in loads),
    )
    stored = store_counts(
        _column(store.rows for store in stores),
        _column(-(-store.columns // spec.array.cols) for store in stores),
        _column(store.rows * store.columns for store in stores),
        _flags(store.element_bits > 8 for store in stores),
        _flags(store.memory == "accumulator" for store in stores),
        [store.activation for store in stores],
        readout_passes(spec),
        () if spec.vector is None else spec.vector.rescales,
    )
    totals.counts.update(loaded)
    totals.counts.update(stored)


def _column(numbers: Iterable[int]) -> Ints:
    return np.fromiter(numbers, dtype=np.int64)


def _flags(facts: Iterable[bool]) -> Bools:
    return np.fromiter(facts, dtype=bool)


def _add_host_task(totals: ProgramTotals, task: HostTask, spec: HardwareSpec) -> None:
    totals.host_cycles += task.cycles
    totals.counts["host", "cycle"] += task.cycles
    if spec.l2 is None:
        totals.counts["dram", "read_byte"] += sum(_line_bytes(region, spec) for region in task.reads)
        totals.counts["dram", "write_byte"] += sum(_line_bytes(region, spec) for region in task.writes)


def _add_load(totals: ProgramTotals, mvin: Mvin, spec: HardwareSpec) -> None:
    """Add the DMA requests of a load, and its time on the bus or at the write port of the memory."""
    # A row stride of zero repeats one row: it is fetched once and written as often as the command has rows.
    fetched = 1 if mvin.source.row_stride_bytes == 0 else mvin.rows
    requests, beats, size = _segments(mvin.source, fetched, mvin.cols * mvin.element_bits // 8, spec.dma)
    totals.counts["dma", "read_request"] += requests
    totals.counts["dma", "read_beat"] += beats
    if spec.l2 is None:
        totals.counts["dram", "read_byte"] += size
    written = -(-mvin.cols // spec.array.cols) * mvin.rows
    port = written * (spec.dma.scale_cycles_per_row if mvin.scaled else 1.0)
    # Rows are written as their beats arrive: the slower of bus and port paces the command.
    totals.ports += max(float(beats), port)


def _add_store(totals: ProgramTotals, mvout: Mvout, spec: HardwareSpec) -> None:
    """Add the DMA requests of a store, and its time: that of the unit that reads the rows out."""
    requests, beats, size = _segments(mvout.target, mvout.rows, mvout.cols * mvout.element_bits // 8, spec.dma)
    totals.counts["dma", "write_request"] += requests
    totals.counts["dma", "write_beat"] += beats
    if spec.l2 is None:
        totals.counts["dram", "write_byte"] += size
    blocks = -(-mvout.columns // spec.array.cols)
    reader = readout_unit(mvout.activation, spec)
    if reader is not None:
        cycles = float(reader.cycles(mvout.rows, mvout.columns, mvout.activation, spec, issued=True))
        # The readout unit works in the store controller's place: its cycles are told apart from it in the report.
        totals.readout[reader] += int(cycles)
    else:
        period = row_period(blocks, mvout.element_bits > 8, mvout.memory == "scratchpad", spec.dma)
        cycles = mvout.rows * max(period, epilogue_cycles(blocks, mvout.activation, spec))
        # Commands of few rows follow each other no faster than the controller takes them.
        cycles = max(cycles, COMMAND_CYCLES, mvout.rows * blocks + command_gap(spec))
    totals.stores += cycles


def _segments(matrix: Matrix, rows: int, size: int, dma: DmaSpec) -> tuple[int, int, int]:
    """Return requests, beats and bytes of some rows."""
    line = dma.max_request_bytes
    # How a row splits depends on its place in a line alone, so that tiles of one shape share few patterns.
    return _cached_segments(matrix.address % line, matrix.row_stride_bytes % line, rows, size, dma)


@lru_cache(maxsize=4096)
def _cached_segments(offset: int, stride: int, rows: int, size: int, dma: DmaSpec) -> tuple[int, int, int]:
    line = dma.max_request_bytes
    requests = beats = moved = 0
    for row in range(rows):
        of_row = segment_totals((offset + row * stride) % line, size, dma)
        requests, beats, moved = requests + of_row[0], beats + of_row[1], moved + of_row[2]
    return requests, beats, moved


def _line_bytes(region: Region, spec: HardwareSpec) -> int:
    """Bytes of all lines that a host task's range touches."""
    line = spec.dma.max_request_bytes
    return (-(-(region.address + region.size_bytes) // line) - region.address // line) * line


def _times(totals: ProgramTotals, times: StreamTimes, spec: HardwareSpec) -> Times:
    commands = sum(map(len, totals.tiles))
    return Times(
        cycles=totals.host_cycles + round(times.total),
        work={
            Host: totals.host_cycles + round(commands * spec.host.command_cycles),
            LoadController: round(times.load),
            StoreController: round(totals.stores) - totals.readout.total(),
            **totals.readout,
        },
        moving={LoadController: round(min(totals.ports, times.load))},
    )
