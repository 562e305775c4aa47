"""Estimate of a program of single commands and host tasks: row-wise and elementwise operators.

Counts are sums over the commands. Time follows the tiles, each of which ends with a store: two tiles are in the
accumulator, so the loads of one run under the store of the other,

    call + first loads + sum over tiles of max(loads, store before, issue) + last store
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np

from hwconfigs import DmaSpec, EnergyModel, HardwareSpec
from hwconfigs.kernels import kernel_named
from mapper.cost.as_report import Times, report_of
from mapper.cost.latency.memory_system import exposed_cycles, load_command, memory_busy
from mapper.cost.replay import MEMORY_UNITS, memory_counts
from simulator.frontend.dma_requests import split_row
from simulator.memory.request_stream import MemoryState
from simulator.program import HostTask, MatmulLoop, Matrix, Mvin, Mvout, Program, Region
from simulator.report import Action, Counts, Report
from simulator.units import readout_unit
from simulator.units.host import Host
from simulator.units.load import LoadController
from simulator.units.store import StoreController, row_period
from simulator.units.unit import Unit


@dataclass(slots=True)
class Tile:
    """Loads and the store that ends them."""

    ports: list[float] = field(default_factory=list)
    """Bus or write-port cycles of each load."""
    sizes: list[int] = field(default_factory=list)
    """Bytes each load requests."""
    load: float = 0.0
    """Cycles of all loads, once the memory is known."""
    store: float = 0.0

    @property
    def commands(self) -> int:
        """Loads and the store."""
        return len(self.ports) + 1


@dataclass(slots=True)
class Tally:
    """What the commands of a program add up to."""

    counts: Counter[Action] = field(default_factory=Counter)
    tiles: list[Tile] = field(default_factory=list)
    host_cycles: int = 0
    readout: Counter[type[Unit]] = field(default_factory=Counter)
    """Cycles of the units that read results out in the store controller's place."""


def estimate_commands(
    program: Program, spec: HardwareSpec, energy: EnergyModel, memory: MemoryState, moved: Counts | None = None
) -> Report:
    """Return what the analytical model says about a program without hardware loops.

    ``memory`` is advanced, unless ``moved`` already tells what the replay of the program counted.
    """
    tally = _tally(program, spec)
    if spec.l2 is not None:
        moved = memory_counts(program, spec, memory) if moved is None else moved
        tally.counts.update({action: number for action, number in moved.items() if action[0] in MEMORY_UNITS})
    memory_cycles = _stretch(tally, spec)
    times = _times(tally, _cycles(tally, memory_cycles, spec), spec)
    return report_of(program.name, times, Counts(tally.counts), spec, energy)


def _tally(program: Program, spec: HardwareSpec) -> Tally:
    tally = Tally()
    tile = Tile()
    for item in program.items:
        match item:
            case Mvin():
                _add_load(tally, tile, item, spec)
            case Mvout():
                _add_store(tally, tile, item, spec)
                tally.tiles.append(tile)
                tile = Tile()
            case HostTask():
                tally.host_cycles += item.cycles
                tally.counts["host", "cycle"] += item.cycles
                if spec.l2 is None:
                    tally.counts["dram", "read_byte"] += sum(_line_bytes(region, spec) for region in item.reads)
                    tally.counts["dram", "write_byte"] += sum(_line_bytes(region, spec) for region in item.writes)
            case MatmulLoop():
                raise TypeError(f"{program.name}: hardware loops are estimated from their mapping")
    return tally


def _add_load(tally: Tally, tile: Tile, mvin: Mvin, spec: HardwareSpec) -> None:
    blocks = -(-mvin.cols // spec.array.cols)
    written = blocks * mvin.rows
    tally.counts[mvin.memory, "write_row"] += written
    if mvin.accumulate:
        tally.counts["accumulator", "read_row"] += written
    fetched = 1 if mvin.source.row_stride_bytes == 0 else mvin.rows
    requests, beats, size = _segments(mvin.source, fetched, mvin.cols * mvin.element_bits // 8, spec.dma)
    tally.counts["dma", "read_request"] += requests
    tally.counts["dma", "read_beat"] += beats
    if spec.l2 is None:
        tally.counts["dram", "read_byte"] += size
    port = written * (spec.dma.scale_cycles_per_row if mvin.scaled else 1.0)
    tile.ports.append(max(float(beats), port))
    tile.sizes.append(size)


def _add_store(tally: Tally, tile: Tile, mvout: Mvout, spec: HardwareSpec) -> None:
    blocks = -(-mvout.cols // spec.array.cols)
    elements = mvout.rows * mvout.cols
    kernel = kernel_named(mvout.activation)
    reader = readout_unit(kernel.name, spec)
    passes = 1 if reader is None else reader.passes(kernel.name)
    tally.counts[mvout.memory, "read_row"] += blocks * mvout.rows * passes
    if mvout.element_bits <= 8 and mvout.memory == "accumulator":
        tally.counts["vector", "requantise"] += elements
    if kernel.needs_unit:
        tally.counts["vector", kernel.name] += elements
    requests, beats, size = _segments(mvout.target, mvout.rows, mvout.cols * mvout.element_bits // 8, spec.dma)
    tally.counts["dma", "write_request"] += requests
    tally.counts["dma", "write_beat"] += beats
    if spec.l2 is None:
        tally.counts["dram", "write_byte"] += size
    if reader is not None:
        cycles = float(reader.cycles(mvout.rows, blocks, kernel.name, spec, issued=True))
        tally.readout[reader] += int(cycles)
    else:
        cycles = mvout.rows * row_period(blocks, mvout.element_bits > 8, mvout.memory == "scratchpad", spec.dma)
    tile.store = max(cycles, float(spec.dma.store_command_cycles))


def _segments(matrix: Matrix, rows: int, size: int, dma: DmaSpec) -> tuple[int, int, int]:
    """Return requests, beats and bytes of some rows."""
    line = dma.max_request_bytes
    return _cached_segments(matrix.address % line, matrix.row_stride_bytes % line, rows, size, dma)


@lru_cache(maxsize=4096)
def _cached_segments(offset: int, stride: int, rows: int, size: int, dma: DmaSpec) -> tuple[int, int, int]:
    line = dma.max_request_bytes
    requests = beats = moved = 0
    for row in range(rows):
        for _, request in split_row((offset + row * stride) % line, size, dma.min_request_bytes, line):
            requests += 1
            beats += max(1, request // dma.bus_bytes_per_cycle)
            moved += request
    return requests, beats, moved


def _line_bytes(region: Region, spec: HardwareSpec) -> int:
    """Bytes of all lines that a host task's range touches."""
    line = spec.dma.max_request_bytes
    return (-(-(region.address + region.size_bytes) // line) - region.address // line) * line


def _stretch(tally: Tally, spec: HardwareSpec) -> float:
    """Set the tiles' load cycles to what the memory delivers; return the cycles of its bus."""
    moved = sum(sum(tile.sizes) for tile in tally.tiles)
    if not moved:
        return 0.0
    line = spec.line_bytes
    fills = np.array([float(tally.counts["l2", "fill"])])
    written = np.array([tally.counts["dram", "write_byte"] / line])
    from_dram = np.minimum(1.0, tally.counts["dram", "read_byte"] / line / np.maximum(fills, 1.0))
    for tile in tally.tiles:
        ports, sizes = np.array(tile.ports), np.array(tile.sizes, dtype=np.float64)
        tile.load = float(load_command(ports, sizes, fills * sizes / moved, from_dram, spec).sum())
    if spec.l2:
        return float(memory_busy(fills, written, spec)[0])
    return float(tally.counts["dram", "read_byte"] + tally.counts["dram", "write_byte"]) / spec.dram.bytes_per_cycle


def _times(tally: Tally, cycles: int, spec: HardwareSpec) -> Times:
    commands = sum(tile.commands for tile in tally.tiles)
    return Times(
        cycles=cycles,
        work={
            Host: tally.host_cycles + round(commands * spec.host.command_cycles),
            LoadController: round(sum(tile.load for tile in tally.tiles)),
            StoreController: round(sum(tile.store for tile in tally.tiles)) - tally.readout.total(),
            **tally.readout,
        },
        moving={LoadController: round(sum(sum(tile.ports) for tile in tally.tiles))},
    )


def _cycles(tally: Tally, memory: float, spec: HardwareSpec) -> int:
    tiles = tally.tiles
    if not tiles:
        return tally.host_cycles
    issue = float(spec.host.command_cycles)
    total = tiles[0].load + tiles[-1].store + exposed_cycles(spec)
    for before, after in pairwise(tiles):
        total += max(before.store, after.load, after.commands * issue)
    return tally.host_cycles + round(max(total, memory))
