"""Cycles that no pipeline of a mapping's loops can stay below, in closed form (columns).

Each unit has its work, whatever the others do, and something of the first and of the last loop stands alone:

    array     the first operands, every pair, the last stores
    loads     every load, the last pair and its stores
    stores    every store behind the first pair
    memory    every line
    host      one configuration per loop

In the whole memories loops run one after another, so that every loop pays its ends, and stores are added, unless a tile
is one block deep: then they run under the array.
"""

from __future__ import annotations

import numpy as np

from hwconfigs import HardwareSpec
from mapper.cost.counts import Visits
from mapper.cost.latency.load_times import Addend, Touch
from mapper.cost.latency.loop_times import LoopTimes, accumulates
from mapper.cost.latency.store_times import Stored
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import Batch
from mapper.mapspace.tiling import FULL, LAST
from simulator.arrays import Floats
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.units.store_pipeline import row_period
from simulator.units.systolic_array import completion_delay, compute_cycles


def lower_bound(times: LoopTimes, visits: Visits, memory: Floats) -> Floats:
    """Return a lower bound of the cycles from the first loop to the fence.

    Parameters
    ----------
    times, visits
        Unit times and visits of the mappings.
    memory
        Cycles of the DRAM bus.
    """
    spec, loops = times.spec, visits.loops
    written = completion_delay(spec.array)
    store, last_store = _store_cycles(times, visits)
    load_to_use = spec.front_end.load_to_use_cycles
    # Only where the array accumulates do the last stores wait for all of its pairs.
    accumulating = times.stores_follow_pairs
    last_store = np.where(accumulating, last_store, 0.0)
    ends = written + last_store + spec.front_end.fence_cycles
    array = _array_cycles(times) + ends
    loads = _load_cycles(times, visits) + ends
    if times.batch.double_buffered:
        # Units work side by side: the busiest one decides.
        stores = np.maximum(store, (loops - 1) * spec.host.loop_cycles)
        overlapped: Floats = np.maximum(np.maximum(array, loads), np.maximum(stores, memory))
        return overlapped
    # One tile after another: between two loops the array drains, the stores leave, and the first load of the next
    # starts from nothing. Within a loop the array and the loads still overlap.
    drained = (loops - 1) * (written + spec.front_end.first_command_cycles)
    between = drained + np.where(accumulating, store - last_store, 0.0)
    serial: Floats = np.maximum(np.maximum(array + (loops - 1) * load_to_use, loads) + between, memory)
    return serial


def _array_cycles(times: LoopTimes) -> Floats:
    """Return the least cycles of the array: its start-up in the first loop, then every pair without a further wait.

    What the first loop computes while its operands arrive is counted at its best: either the array waits for the first
    usable pair and then never again, or it ends with the last operand and the pairs that need it.
    """
    tilings = times.tilings
    column = times.column[:, 0, 0, :]
    all_columns = (tilings.m.trips - 1) * column[FULL] + column[LAST]
    total = tilings.k.total_blocks * tilings.n.total_blocks * all_columns
    compute = times.usual(times.compute())
    touch = Touch.FIRST_IN_ROW
    arriving = times.spec.front_end.first_command_cycles + times.fill(touch, touch)
    usable = times.usual(times.addend(Addend.BIAS)) + times.usual(times.head(touch, touch))
    usable = usable + times.spec.front_end.load_to_use_cycles + times.preload
    loaded = times.usual(times.load(touch, touch, Addend.BIAS)) + times.usual(times.tail(touch, touch))
    done = arriving + np.maximum(usable + compute - times.usual(times.spared()), loaded)
    cycles: Floats = done + (total - compute)
    return cycles


def _load_cycles(times: LoopTimes, visits: Visits) -> Floats:
    """Load cycles of the first sweep over each operand, of the later ones, and of bias and partial sums."""
    tilings, loads = times.tilings, times.loads
    m, n = tilings.m.total_blocks, tilings.n.total_blocks
    b_rows, b_tiling = (tilings.along(dim) for dim in times.problem.b_axes)
    total = np.zeros(len(times.batch))
    for rows, tiling, averages, sweeps in (
        (m, tilings.k, loads.a, visits.loads_a),
        (b_rows.total_blocks, b_tiling, loads.b, visits.loads_b),
    ):
        segments = -(-tiling.blocks // times.segment)
        first_tile = np.where(tiling.trips > 1, segments[FULL], segments[LAST])
        commands = (tiling.trips - 1) * segments[FULL] + segments[LAST]
        later_tiles = (commands - first_tile) * averages[Touch.FIRST].cycles
        first_sweep = first_tile * averages[Touch.FIRST_IN_ROW].cycles + later_tiles
        total += rows * (first_sweep + (sweeps - 1) * commands * averages[Touch.REFETCH].cycles)
    bias = float(times.problem.bias_address is not None) * loads.d[Addend.BIAS].cycles
    return total + m * n * (bias + visits.spilled * loads.d[Addend.PARTIAL_SUMS].cycles)


def _store_cycles(times: LoopTimes, visits: Visits) -> tuple[Floats, Floats]:
    """Store cycles of all loops, and of the last one."""
    trips_m, trips_n = times.tilings.m.trips, times.tilings.n.trips
    mappings = len(times.batch)

    def by_tile_of_n(stored: Stored) -> Floats:
        """Cycles by full or last tile along n, of all tiles along m together, and of the last one."""
        cycles = np.broadcast_to(times.stores.cycles(stored)[:, 0], (2, 2, mappings))
        return np.stack([(trips_m - 1) * cycles[FULL] + cycles[LAST], cycles[LAST]])

    first_in_row, later = by_tile_of_n(Stored.RESULT_FIRST_IN_ROW), by_tile_of_n(Stored.RESULT)
    several = trips_n > 1
    first = np.where(several, first_in_row[0, FULL], first_in_row[0, LAST])
    total = first + np.where(several, (trips_n - 2) * later[0, FULL] + later[0, LAST], 0.0)
    if times.spilled.any():
        # The first k tile stores sums to lines that the L2 takes in; every later one to lines that it holds.
        for passes, stored in (
            (np.minimum(visits.spilled, 1), Stored.NEW_SUMS),
            (np.maximum(visits.spilled - 1, 0), Stored.RELOADED_SUMS),
        ):
            sums = by_tile_of_n(stored)[0]
            total = total + passes * ((trips_n - 1) * sums[FULL] + sums[LAST])
    return total, np.where(several, later[1, LAST], first_in_row[1, LAST])


def rough_lower_bound(batch: Batch, problem: MatmulProblem, spec: HardwareSpec) -> Floats:
    """Return a lower bound of `lower_bound` for a few operations: array cycles, and stores in the whole memories."""
    array, side = spec.array, spec.array.rows
    m, k, n = (-(-size // side) for size in (problem.m, problem.k, problem.n))
    trips_m = -(-m // batch.tile_m)
    # Per block of weights: one step that loads the next ones, and one for every further row block of the tile.
    new_weights = side * (array.transpose_factor if problem.transposes_b else 1)
    column = trips_m * new_weights + (m - trips_m) * compute_cycles(side, array, problem.transposes_b)
    total: Floats = k * n * column.astype(np.float64)
    if batch.double_buffered:
        return total
    loops = trips_m * -(-k // batch.tile_k) * -(-n // batch.tile_n)
    between = completion_delay(array) + spec.front_end.first_command_cycles + spec.front_end.load_to_use_cycles
    row = spec.dma.store_full_row_cycles if problem.c_full else _least_row_period(spec)
    # A unit that passes over rows several times is slower than the stores alone, for which this is a bound as well.
    trips_k = -(-k // batch.tile_k)
    accumulating = accumulates(trips_k, k - (trips_k - 1) * batch.tile_k, problem)
    return total + (loops - 1) * between + np.where(accumulating, problem.m * n * float(row), 0.0)


def _least_row_period(spec: HardwareSpec) -> float:
    """Store cycles of an int8 row per block, in segments of the best width."""
    widths = range(1, blocks_per_segment(spec) + 1)
    return min(row_period(blocks, False, False, spec.dma) / blocks for blocks in widths)
