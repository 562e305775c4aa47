"""Cycles that no walk of a mapping's loops can stay below, in closed form (columns).

Each unit has its work, whatever the others do, and something of the first and of the last loop stands alone:

    array     the first operands, every pair, the last stores
    loads     every load, the last pair and its stores
    stores    every store behind the first pair
    memory    every line
    host      one configuration per loop

In the whole memories loops come one after another, so that every loop pays its ends, and stores come on top, unless
a tile is one block deep: then they run under the array.
"""

from __future__ import annotations

import numpy as np

from hwconfigs import HardwareSpec
from mapper.cost.counts import Visits
from mapper.cost.latency.load_times import AGAIN, BIAS, EDGE, NEW, RETURN
from mapper.cost.latency.loop_times import LOAD_TO_USE, LoopTimes
from mapper.cost.latency.store_times import BEHIND, NEW_SUMS, SUMS
from mapper.cost.latency.store_times import EDGE as FIRST_IN_ROW
from mapper.mapping.loop_nest import DIMS
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import Batch
from mapper.mapspace.tiles import FULL, LAST, Cut
from simulator.arrays import Floats, Ints
from simulator.frontend.loop_unroller import blocks_per_segment
from simulator.units.store import row_period
from simulator.units.systolic_array import completion_delay, compute_cycles


def floor(times: LoopTimes, seen: Visits, memory: Floats) -> Floats:
    """Return a lower bound of the cycles from the first loop to the fence.

    Parameters
    ----------
    times, seen
        Unit times and visits of the mappings.
    memory
        Cycles of the DRAM bus.
    """
    spec, loops = times.spec, seen.loops
    written = completion_delay(spec.array)
    store, last_store = _stores(times, seen)
    alone = (times.batch.tile_k > 1) | (times.problem.bias_address is not None)
    last_store = np.where(alone, last_store, 0.0)
    ends = written + last_store + spec.dma.store_completion_cycles + spec.front_end.fence_cycles
    array = _array(times) + ends
    loads = _loads(times, seen) + ends
    if times.batch.double_buffered:
        stores = np.maximum(store, (loops - 1) * spec.host.loop_cycles)
        overlapped: Floats = np.maximum(np.maximum(array, loads), np.maximum(stores, memory))
        return overlapped
    between = (loops - 1) * (written + spec.front_end.first_command_cycles) + np.where(alone, store - last_store, 0.0)
    serial: Floats = np.maximum(np.maximum(array + (loops - 1) * LOAD_TO_USE, loads) + between, memory)
    return serial


def _array(times: LoopTimes) -> Floats:
    """The first loop's operands, all or those of its first pair; then all pairs that these leave."""
    cuts = times.cuts
    number = np.arange(len(times.batch))
    m, k, n = (np.where(cuts[name].trips > 1, FULL, LAST) for name in DIMS)

    def first(table: Floats | Ints) -> Floats:
        full = np.broadcast_to(table, (2, 2, 2, len(number)))
        return full[m, k, n, number].astype(np.float64)

    blocks_k, blocks_n = (_total(cuts[name]) for name in ("k", "n"))
    column = times.column[:, 0, 0, :]
    total = blocks_k * blocks_n * ((cuts["m"].trips - 1) * column[0] + column[1])
    compute = first(times.compute)
    arriving = times.spec.front_end.first_command_cycles + times.fill(EDGE)
    usable = first(times.sums(BIAS)) + first(times.head(EDGE, EDGE)) + LOAD_TO_USE + times.preload
    loaded = first(times.load(EDGE, EDGE, BIAS)) + first(times.tail(EDGE, EDGE))
    begun = arriving + np.maximum(usable + compute - first(times.spared), loaded)
    left: Floats = begun + (total - compute)
    return left


def _total(dimension: Cut) -> Ints:
    """All blocks of a dimension."""
    blocks: Ints = (dimension.trips - 1) * dimension.blocks[FULL] + dimension.blocks[LAST]
    return blocks


def _loads(times: LoopTimes, seen: Visits) -> Floats:
    """Load cycles of the first sweep, tile by tile of a row, and of the later ones."""
    cuts, loads = times.cuts, times.loads
    m, k, n = (_total(cuts[name]) for name in DIMS)
    b_along, b_rows = (cuts["k"], n) if times.problem.b_transposed else (cuts["n"], k)
    total = np.zeros(len(times.batch))
    for rows, along, mvins, sweeps in (
        (m, cuts["k"], loads.a, seen.loads_a),
        (b_rows, b_along, loads.b, seen.loads_b),
    ):
        segments = -(-along.blocks // times.segment)
        edge = np.where(along.trips > 1, segments[FULL], segments[LAST])
        commands = (along.trips - 1) * segments[FULL] + segments[LAST]
        first = edge * mvins[EDGE].cycles + (commands - edge) * mvins[NEW].cycles
        total += rows * (first + (sweeps - 1) * commands * mvins[AGAIN].cycles)
    bias = float(times.problem.bias_address is not None) * loads.d[BIAS].cycles
    return total + m * n * (bias + seen.spilled * loads.d[RETURN].cycles)


def _stores(times: LoopTimes, seen: Visits) -> tuple[Floats, Floats]:
    """Store cycles of all loops, and of the last one."""
    trips_m, trips_n = times.cuts["m"].trips, times.cuts["n"].trips
    number = len(times.batch)

    def table(what: int) -> Floats:
        """Cycles by tile along n, of all tiles along m, and of the last one."""
        cycles = np.broadcast_to(times.stores.cycles(what)[:, 0], (2, 2, number))
        return np.stack([(trips_m - 1) * cycles[FULL] + cycles[LAST], cycles[LAST]])

    edge, behind = table(FIRST_IN_ROW), table(BEHIND)
    several = trips_n > 1
    first = np.where(several, edge[0, FULL], edge[0, LAST])
    total = first + np.where(several, (trips_n - 2) * behind[0, FULL] + behind[0, LAST], 0.0)
    if times.spilled.any():
        for number_of, what in ((np.minimum(seen.spilled, 1), NEW_SUMS), (np.maximum(seen.spilled - 1, 0), SUMS)):
            partial = table(what)[0]
            total = total + number_of * ((trips_n - 1) * partial[FULL] + partial[LAST])
    return total, np.where(several, behind[1, LAST], edge[1, LAST])


def rough(batch: Batch, problem: MatmulProblem, spec: HardwareSpec) -> Floats:
    """Return a lower bound of `floor` for a few operations: array cycles, and the stores of tiles in whole memories."""
    array, dim = spec.array, spec.array.rows
    m, k, n = (-(-problem.dims[name] // dim) for name in DIMS)
    trips_m = -(-m // batch.tile_m)
    edge = problem.m - (m - 1) * dim
    last = int(compute_cycles(edge, array, problem.b_transposed))
    alone = m - (trips_m - 1) * batch.tile_m == 1
    new = dim * (array.transpose_factor if problem.b_transposed else 1)
    column = trips_m * new + (m - trips_m) * dim - np.where(alone, 0, dim - last)
    total: Floats = k * n * column.astype(np.float64)
    if batch.double_buffered:
        return total
    loops = trips_m * -(-k // batch.tile_k) * -(-n // batch.tile_n)
    written = completion_delay(array) + spec.front_end.first_command_cycles + LOAD_TO_USE
    row = spec.dma.store_full_row_cycles if problem.c_full else _least_row_period(spec)
    deep = (batch.tile_k > 1) | (problem.bias_address is not None)
    return total + (loops - 1) * written + np.where(deep, problem.m * n * float(row), 0.0)


def _least_row_period(spec: HardwareSpec) -> float:
    """Store cycles of an int8 row per block, in segments of the best width."""
    widths = range(1, blocks_per_segment(spec) + 1)
    return min(row_period(blocks, False, False, spec.dma) / blocks for blocks in widths)
