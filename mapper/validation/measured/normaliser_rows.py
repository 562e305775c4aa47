"""Rows of the normaliser measured without a SoC: the store side of Gemmini, or the unit alone.

``hardware_loop`` and ``issued`` are read-outs, from a hardware loop or one command every ``issue_interval`` cycles;
``one_row_stores`` are plain mvouts of a row each. ``unit_loop`` and ``unit_seq`` are the unit alone, its rows spread
over the statistics slots or one after another. Commands came from a port, the memory took a beat per cycle.
"""

from __future__ import annotations

from functools import lru_cache

import hwconfigs
from hwconfigs import HardwareSpec
from hwconfigs.errors import suggestion
from hwconfigs.kernels import kernel_named
from hwconfigs.vector_unit import VERSIONS
from mapper.validation.measured.rows import ValidationError, shown, whole
from simulator.machine import simulate
from simulator.program import EVERYTHING_ON_CHIP, Fence, Matrix, Mvout, Program
from simulator.units.normaliser import Normaliser, fed_cycles, readout_cycles
from simulator.units.store_pipeline import EPILOGUES

Row = dict[str, str]

REQUIRED = ("gemmini", "kernel", "rows", "cols", "mode", "slots", "issue_interval", "memory_latency", "cycles")
"""Columns a file of this kind must have."""

READOUTS, UNIT_ALONE = ("hardware_loop", "issued", "one_row_stores"), ("unit_loop", "unit_seq")
MODES = (*READOUTS, *UNIT_ALONE)
NORMALISED = Normaliser.kernels
PLAIN_STORES = ("plain", *EPILOGUES)
KERNELS = (*NORMALISED, *PLAIN_STORES)

MOST = {"rows": 65_536, "cols": 65_536, "slots": 64, "issue_interval": 10_000, "memory_latency": 100_000}
"""Largest cell of each column; measured: 512 rows of 2,048 columns."""
LEAST = {"issue_interval": 0, "memory_latency": 0}
"""Smallest one where it is not 1."""

AROUND = 25
"""Cycles from the first command to its first read, and from the last result to the last acknowledgement, at the memory
of `NEAR_MEMORY`: measured, rows times the cycles per row leave 26 to 30."""
NEAR_MEMORY = 8
"""Acknowledgement of a write in nearly all rows [cycles]."""
FEED = 5
"""Cycles from the first input of the unit alone to its first block (measured, all rows alike)."""
PORT = 6
"""Cycles from the port to the store controller (measured on plain mvouts)."""

FED = {"8c3f992": "v0.7.2"}
"""Whose unit it is when no store controller feeds it: that of v0.7.2 has the times of current main's alone."""


def check(row: Row) -> None:
    """Refuse a row that cannot have been measured.

    Raises
    ------
    ValidationError
        Saying which cell is wrong and what is allowed.
    """
    for column, known in (("gemmini", tuple(VERSIONS)), ("kernel", KERNELS), ("mode", MODES)):
        if row[column] not in known:
            raise ValidationError(f"{column}={shown(row[column])} unknown{suggestion(row[column], known)}")
    for column, most in MOST.items():
        if not LEAST.get(column, 1) <= whole(row, column) <= most:
            raise ValidationError(f"{column}={row[column]} outside {LEAST.get(column, 1)}..{most}")
    if row["mode"] == "issued" and whole(row, "issue_interval") < 1:
        raise ValidationError("issue_interval=0: issued commands have a distance")
    if row["mode"] == "one_row_stores" and row["kernel"] not in PLAIN_STORES:
        raise ValidationError(f"mode one_row_stores of kernel {row['kernel']}: plain stores only")
    if row["mode"] in UNIT_ALONE and row["kernel"] in PLAIN_STORES:
        raise ValidationError(f"mode {row['mode']} of kernel {row['kernel']}: the unit has no part in it")


def cycles(row: Row) -> int:
    """Return the cycles of a row as the simulator has them."""
    rows, cols, kernel = whole(row, "rows"), whole(row, "cols"), kernel_named(row["kernel"])
    if row["mode"] in UNIT_ALONE:
        slots = 1 if row["mode"] == "unit_seq" else whole(row, "slots")
        return fed_cycles(rows, cols, kernel, _unit(FED.get(row["gemmini"], row["gemmini"]), slots, 0)) + FEED
    spec = _unit(row["gemmini"], whole(row, "slots"), whole(row, "issue_interval"))
    latency = whole(row, "memory_latency")
    if row["kernel"] in NORMALISED:
        issued = row["mode"] == "issued"
        return readout_cycles(rows, cols, kernel, spec, issued=issued) + AROUND + latency - NEAR_MEMORY
    return simulate(_mvouts(row, spec), _near_memory(spec, latency)).cycles


@lru_cache
def _unit(version: str, slots: int, interval: int) -> HardwareSpec:
    changes = {"vector.version": version, "vector.statistics_slots": slots, "host.command_cycles": max(interval, 1)}
    return hwconfigs.load("gemmini_ibert", changes)


def _near_memory(spec: HardwareSpec, latency: int) -> HardwareSpec:
    """The machine without core and caches, before a memory that takes a beat per cycle."""
    changes: dict[str, object] = {"l2": None, "dma.write_ack": latency, "front_end.fence": 0}
    changes |= {"front_end.command_path": PORT, "dram.latency": 0, "dram.request": 0}
    return hwconfigs.override(spec, {**changes, "dram.bandwidth": spec.dma.bus_bytes_per_cycle})


def _mvouts(row: Row, spec: HardwareSpec) -> Program:
    """Plain mvouts in the order of the hardware loop, down the columns, or of single rows."""
    rows, cols, side = whole(row, "rows"), whole(row, "cols"), spec.array.rows
    height, width = 1 if row["mode"] == "one_row_stores" else side, spec.dma.max_request_bytes
    activation = row["kernel"] if row["kernel"] in EPILOGUES else "none"
    commands = [
        Mvout(
            Matrix(at * cols + left, cols), min(height, rows - at), min(width, cols - left), "accumulator", at % side,
            activation=activation,
        )
        for left in range(0, cols, width)
        for at in range(0, rows, height)
    ]  # fmt: skip
    return Program("stores", (*commands, Fence()), preloaded=EVERYTHING_ON_CHIP)
