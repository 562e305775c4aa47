"""Systolic array: what a step costs and when its result is in the accumulator.

A step feeds the rows of one block, overlapped with the preload of the next block's weights:

    step p   │ compute p ............ │
             │ preload weights p+1 .. │   rows of the array, whatever the number of input rows
    result p        └── 2 rows + 5 ──► accumulator

All functions accept Python ints and numpy integer arrays. Sources: timing notes, section 3.3; measured chains in
``gemmini_rtl.csv``: 16 N + 97 with new weights, 16 N + 73 with kept ones, 32 N + 69 with A and B in one bank.
"""

from __future__ import annotations

from typing import TypeVar

from hwconfigs import ArraySpec, HardwareSpec
from simulator.arrays import Ints

Number = TypeVar("Number", int, "Ints")


def compute_cycles(rows: Number, array: ArraySpec, transposed: bool = False) -> Number:
    """Cycles of a step that keeps its weights. [cycles]

    Its input rows; but at least a few, as at most six blocks are between feed and output (timing notes, section 3.3),
    and all rows of the array when the transposer is in use.
    """
    if transposed:
        return rows * 0 + array.rows
    pipeline = -(-(2 * array.rows + 2 + 2 * rows) // array.blocks_in_flight)
    # Maxima, written so that ints and integer arrays take the same path.
    least = (pipeline > array.min_step_rows) * (pipeline - array.min_step_rows) + array.min_step_rows
    return (rows > least) * (rows - least) + least


def preload_cycles(array: ArraySpec, transposed: bool = False) -> int:
    """Cycles of a preload of new weights on its own. [cycles]"""
    return array.rows * (array.transpose_factor if transposed else 1)


def keep_cycles(array: ArraySpec) -> int:
    """Cycles of a preload that keeps the weights, on its own. [cycles]"""
    return array.min_step_rows


def step_cycles(
    rows: Number, next_is_new: Number, same_bank: Number, array: ArraySpec, transposed: bool = False
) -> Number:
    """Cycles of computing one block while the next block's weights are preloaded. [cycles]

    Parameters
    ----------
    rows
        Input rows of the block.
    next_is_new
        1 if the next block brings new weights, else 0: a step with new weights never takes less than the array's rows.
    same_bank
        1 if the inputs and those weights lie in one scratchpad bank: the reads alternate.
    array
        The array.
    transposed
        The weights pass the transposer, which doubles their step.
    """
    kept = compute_cycles(rows, array, transposed)
    factor = array.transpose_factor if transposed else 1
    # Alternating reads double a step; under the transposer that is hidden behind its own doubling.
    loaded = array.rows * (1 + (same_bank > 0) * (factor == 1) + (factor - 1))
    cycles: Number = next_is_new * loaded + (1 - next_is_new) * kept
    return cycles


def result_delay(array: ArraySpec) -> int:
    """From feeding an input row to writing its result row. [cycles]"""
    return 2 * array.rows + array.output_delay_cycles


def completion_delay(array: ArraySpec) -> int:
    """From the end of a step to the completion of its pair. [cycles]"""
    return 2 * array.rows + array.completion_delay_cycles


def entry_cycles(spec: HardwareSpec) -> int:
    """From the end of a step to a pair in the controller's queue that takes the entry of its result. [cycles]"""
    return completion_delay(spec.array) + spec.front_end.load_to_use_cycles


def pairs_behind(spec: HardwareSpec) -> int:
    """Pairs whose results may still be in the array when a step begins under which the next weights are loaded.

    The step's pair and the next one take two entries of the execute queue each, those behind them one.
    """
    return spec.front_end.execute_entries - 4


def entries_are_scarce(spec: HardwareSpec) -> bool:
    """Whether the execute queue can hold the array up: results may be late for the next pairs to enter it."""
    return pairs_behind(spec) * compute_cycles(1, spec.array) < entry_cycles(spec)
