"""What load and store commands count on chip: rows of the local memories, and elements through the store pipeline.

The simulation counts the commands of a loop or of a run of them, the estimate those of a program: one set of rules.
All functions take columns, one entry per command.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from hwconfigs import HardwareSpec
from hwconfigs.kernels import kernel_named
from simulator.arrays import Bools, Ints
from simulator.frontend.command_queues import SCRATCHPAD_RESULT, Loads, Stores
from simulator.report import Action


def load_counts(rows: Ints, blocks: Ints, to_accumulator: Bools, accumulates: Bools) -> dict[Action, int]:
    """Count what mvins do on chip.

    Parameters
    ----------
    rows, blocks
        Rows of each command, and blocks of the array side by side: a block's row fills a row of the memory.
    to_accumulator, accumulates
        Whether it writes to the accumulator, not to the scratchpad, and whether it adds to what is there.
    """
    written = blocks * rows
    return {
        ("scratchpad", "write_row"): _total(written, ~to_accumulator),
        ("accumulator", "write_row"): _total(written, to_accumulator),
        # Adding reads the row before it is written.
        ("accumulator", "read_row"): _total(written, accumulates),
    }


def store_counts(
    rows: Ints,
    blocks: Ints,
    elements: Ints,
    full: Bools,
    from_accumulator: Bools,
    activations: Sequence[str],
    passes: Mapping[str, int],
    rescales: Collection[str],
) -> dict[Action, int]:
    """Count what mvouts do on chip.

    Parameters
    ----------
    rows, blocks, elements
        Rows of each command, blocks of the array side by side, and elements read, each once.
    full, from_accumulator
        Whether it stores int32, and whether it reads the accumulator, not the scratchpad.
    activations
        Kernel that each command evaluates.
    passes
        How often a row is read, for kernels that a readout unit handles; once for all others.
    rescales
        Kernels that evaluate one element more per block of a row.
    """
    # A unit that normalises whole rows reads each of them once per statistic, and once more for the results.
    read = blocks * rows * np.array([passes.get(name, 1) for name in activations], dtype=np.int64)
    counts = {
        ("accumulator", "read_row"): _total(read, from_accumulator),
        ("scratchpad", "read_row"): _total(read, ~from_accumulator),
    }
    # Rows of the scratchpad are int8 already, and int32 passes the scaler untouched.
    gathering = np.array([kernel_named(name).gathers for name in activations], dtype=bool)
    counts["vector", "requantise"] = _total(elements, from_accumulator & ~full & ~gathering)
    for name in dict.fromkeys(activations):
        kernel = kernel_named(name)
        # An element is counted once, where it is stored, however often and in how many parts its row is read.
        if kernel.needs_unit and not kernel.gathers:
            action, evaluated = kernel.part_of or name, np.array([one == name for one in activations], dtype=bool)
            number = _total(elements + rows * blocks * (name in rescales), evaluated)
            counts["vector", action] = counts.get(("vector", action), 0) + number
    return counts


def _total(numbers: Ints, chosen: Bools) -> int:
    return int(numbers[chosen].sum())


def count_transfers(
    counts: dict[tuple[str, str], int], loads: Loads, stores: Stores, spec: HardwareSpec, passes: Mapping[str, int]
) -> None:
    """Add the rows that DMA writes and reads on chip, and the elements through the store pipeline."""
    full = np.array(stores.full, dtype=bool)
    loaded = load_counts(
        loads.rows,
        np.array(loads.local_rows, dtype=np.int64) // spec.array.rows,
        np.array(loads.to_accumulator, dtype=bool),
        np.array(loads.accumulate, dtype=bool),
    )
    stored = store_counts(
        stores.rows,
        np.array(stores.blocks, dtype=np.int64),
        stores.rows * _columns(stores, full, spec),
        full,
        np.array(stores.bank, dtype=np.int64) != SCRATCHPAD_RESULT,
        stores.activation,
        passes,
        () if spec.vector is None else spec.vector.rescales,
    )
    for (unit, action), number in (*loaded.items(), *stored.items()):
        add(counts, unit, action, number)
    if stores.kept_row is not None:
        add(counts, "scratchpad", "write_row", int((stores.rows * np.array(stores.blocks, dtype=np.int64)).sum()))


def _columns(stores: Stores, full: Bools, spec: HardwareSpec) -> Ints:
    """Return the elements that each mvout reads of a row."""
    if stores.columns is not None:
        return np.array(stores.columns, dtype=np.int64)
    return np.where(full, stores.size_bytes // spec.array.sum_bytes, stores.size_bytes)


def add(counts: dict[tuple[str, str], int], unit: str, action: str, number: int) -> None:
    """Add a number to an action's count."""
    counts[unit, action] = counts.get((unit, action), 0) + number
