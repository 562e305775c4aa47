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
from mapper.cost.dma_traffic import BEATS, BYTES, REQUESTS, Traffic
from mapper.mapping.hardware_loop import spills
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import Batch
from simulator.arrays import Ints
from simulator.report import Action


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


def visits(batch: Batch, problem: MatmulProblem, spec: HardwareSpec) -> Visits:
    """Count tiles and passes of each mapping."""
    dim = spec.array.rows
    m, k, n = (-(-size // dim) for size in (problem.m, problem.k, problem.n))
    trips = {"m": -(-m // batch.tile_m), "k": -(-k // batch.tile_k), "n": -(-n // batch.tile_n)}
    one = np.ones(len(batch), dtype=np.int64)
    return Visits(
        trips_m=trips["m"],
        trips_k=trips["k"],
        trips_n=trips["n"],
        loads_a=one if "input" in batch.held else trips["n"],
        loads_b=one if "weight" in batch.held else trips["m"],
        spilled=spills(batch.order, trips["m"], trips["k"], trips["n"]),
    )


def on_chip(batch: Batch, seen: Visits, problem: MatmulProblem, spec: HardwareSpec) -> dict[Action, Ints]:
    """Return the actions of the array, the local memories and the store pipeline."""
    dim = spec.array.rows
    m, k, n = problem.m, problem.k, problem.n
    k_blocks, n_blocks = -(-k // dim), -(-n // dim)
    weight_rows = n * k_blocks if problem.b_transposed else k * n_blocks
    bias = int(problem.bias_address is not None)
    one = np.ones(len(batch), dtype=np.int64)
    result = m * n_blocks
    counts: dict[Action, Ints] = {
        ("array", "mac"): m * k * n * one,
        ("array", "weight_load"): k * n * seen.trips_m,
        ("scratchpad", "read_row"): m * n_blocks * k_blocks + weight_rows * seen.trips_m,
        ("scratchpad", "write_row"): m * k_blocks * seen.loads_a + weight_rows * seen.loads_b,
        ("accumulator", "write_row"): result * (k_blocks + bias + seen.spilled),
        ("accumulator", "read_row"): result * (k_blocks - 1 + bias + 1 + seen.spilled),
    }
    if not problem.c_full:
        counts["vector", "requantise"] = m * n * one
    if kernel_named(problem.activation).needs_unit:
        counts["vector", problem.activation] = m * n * one
    return counts


def dma(batch: Batch, seen: Visits, traffic: Traffic) -> tuple[Ints, Ints]:
    """Return the totals of all loads and of all stores (each len(batch) x columns of `mapper.cost.dma_traffic`)."""
    b_width = batch.tile_k if traffic.problem.b_transposed else batch.tile_n
    again = seen.spilled[:, None] * traffic.partial
    loads = traffic.a[batch.tile_k] * seen.loads_a[:, None] + traffic.b[b_width] * seen.loads_b[:, None]
    return loads + traffic.bias + again, traffic.c[batch.tile_n] + again


def count(batch: Batch, traffic: Traffic) -> dict[Action, Ints]:
    """Return every count that does not depend on the contents of a cache."""
    problem, spec = traffic.problem, traffic.spec
    seen = visits(batch, problem, spec)
    counts = on_chip(batch, seen, problem, spec)
    loads, stores = dma(batch, seen, traffic)
    counts["dma", "read_request"], counts["dma", "read_beat"] = loads[:, REQUESTS], loads[:, BEATS]
    counts["dma", "write_request"], counts["dma", "write_beat"] = stores[:, REQUESTS], stores[:, BEATS]
    if spec.l2 is None:
        counts["dram", "read_byte"], counts["dram", "write_byte"] = loads[:, BYTES], stores[:, BYTES]
    else:
        counts["l2", "read"], counts["l2", "write"] = loads[:, REQUESTS], stores[:, REQUESTS]
    counts["host", "cycle"] = np.full(len(batch), round(spec.host.call_cycles), dtype=np.int64)
    return counts
