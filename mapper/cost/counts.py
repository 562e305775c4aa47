"""How often each (unit, action) happens in a matmul, for columns of mappings, exactly.

Every count of one hardware loop is a sum of products of tile extents, and tiles partition each dimension: summed over
all loops the extents become the problem's own sizes, whatever is ragged. What remains of a mapping are the numbers of
tiles along m, k and n, and, for the requests, the tile widths that cut the rows (`mapper.cost.dma_traffic`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwconfigs import HardwareSpec
from hwconfigs.kernels import kernel_named
from mapper.cost.dma_traffic import Traffic
from mapper.cost.sweep import BEATS, BYTES, REQUESTS
from mapper.mapping.hardware_loop import spills
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import Batch
from simulator.arrays import Ints
from simulator.report import Action
from simulator.units import readout_passes


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """Numbers of tiles and of passes over each matrix (columns)."""

    trips_m: Ints
    trips_k: Ints
    trips_n: Ints
    loads_a: Ints
    """Times all of A is loaded."""
    loads_b: Ints
    spilled: Ints
    """Times all partial sums leave as int32 and come back."""

    @property
    def loops(self) -> Ints:
        """Hardware loops."""
        return self.trips_m * self.trips_k * self.trips_n


def count_visits(batch: Batch, problem: MatmulProblem, spec: HardwareSpec) -> Visits:
    """Count tiles and passes of each mapping."""
    side = spec.array.rows
    m, k, n = (-(-size // side) for size in (problem.m, problem.k, problem.n))
    trips_m, trips_k, trips_n = -(-m // batch.tile_m), -(-k // batch.tile_k), -(-n // batch.tile_n)
    once = np.ones(len(batch), dtype=np.int64)
    # A loop over a dimension that does not index an operand loads the operand again, tile by tile; the loop unroller
    # has no way to skip a tile that is still there, unless the operand is held.
    return Visits(
        trips_m=trips_m,
        trips_k=trips_k,
        trips_n=trips_n,
        loads_a=once if "input" in batch.held or problem.a_kept is not None else trips_n,
        loads_b=once if "weight" in batch.held else trips_m,
        spilled=spills(batch.order, trips_m, trips_k, trips_n),
    )


def on_chip(batch: Batch, visits: Visits, problem: MatmulProblem, spec: HardwareSpec) -> dict[Action, Ints]:
    """Return the actions of the array, the local memories and the store pipeline."""
    side = spec.array.rows
    m, k, n = problem.m, problem.k, problem.n
    k_blocks, n_blocks = -(-k // side), -(-n // side)
    # A row of the scratchpad is as wide as the array: B has one per row as stored and block of its columns.
    weight_rows = problem.b_rows * -(-problem.b_cols // side)
    bias, residual = int(problem.bias_address is not None), int(problem.residual is not None)
    once = np.ones(len(batch), dtype=np.int64)
    result = m * n_blocks
    passes = readout_passes(spec).get(problem.activation, 1)
    # What stays in the scratchpad is found there, and is written there by the stores.
    loaded, kept = m * k_blocks * visits.loads_a * (problem.a_kept is None), result * (problem.c_kept is not None)
    counts: dict[Action, Ints] = {
        ("array", "mac"): m * k * n * once,
        # Weights are new at the first row block of a tile only.
        ("array", "weight_load"): k * n * visits.trips_m,
        ("scratchpad", "read_row"): m * n_blocks * k_blocks + weight_rows * visits.trips_m,
        ("scratchpad", "write_row"): loaded + weight_rows * visits.loads_b + kept,
        # Every k block adds to the sums; bias, residual and returning sums are written by loads.
        ("accumulator", "write_row"): result * (k_blocks + bias + residual + visits.spilled),
        # Every k block reads the sums but the first, which has none unless something was loaded; a residual reads the
        # bias that it is added to; the store reads them once, or as often as its activation passes over a row, and once
        # more for each time they are spilled.
        ("accumulator", "read_row"): result * (k_blocks - 1 + bias + residual + passes + visits.spilled),
    }
    # int8 results pass the scaler on their way out, spilled sums do not; activations sit behind it.
    if not problem.c_full:
        counts["vector", "requantise"] = m * n * once
    if kernel_named(problem.activation).needs_unit:
        counts["vector", problem.activation] = m * n * once
    return counts


def dma_totals(batch: Batch, visits: Visits, traffic: Traffic) -> tuple[Ints, Ints]:
    """Return the totals of all loads and of all stores (each len(batch) x columns of `mapper.cost.dma_traffic`)."""
    b_width = batch.tile(traffic.problem.b_axes[1])
    spilled = visits.spilled[:, None] * traffic.partial
    loads = traffic.a[batch.tile_k] * visits.loads_a[:, None] + traffic.b[b_width] * visits.loads_b[:, None]
    return loads + traffic.bias + traffic.residual[batch.tile_n] + spilled, traffic.c[batch.tile_n] + spilled


def count(batch: Batch, traffic: Traffic) -> dict[Action, Ints]:
    """Return every count that does not depend on the contents of a cache."""
    problem, spec = traffic.problem, traffic.spec
    visits = count_visits(batch, problem, spec)
    counts = on_chip(batch, visits, problem, spec)
    loads, stores = dma_totals(batch, visits, traffic)
    counts["dma", "read_request"], counts["dma", "read_beat"] = loads[:, REQUESTS], loads[:, BEATS]
    counts["dma", "write_request"], counts["dma", "write_beat"] = stores[:, REQUESTS], stores[:, BEATS]
    # Without an L2 every request goes to DRAM; with one, what goes there depends on what the cache holds.
    if spec.l2 is None:
        counts["dram", "read_byte"], counts["dram", "write_byte"] = loads[:, BYTES], stores[:, BYTES]
    else:
        counts["l2", "read"], counts["l2", "write"] = loads[:, REQUESTS], stores[:, REQUESTS]
    counts["host", "cycle"] = np.full(len(batch), round(spec.host.call_cycles), dtype=np.int64)
    return counts
