"""Average cycles of the load commands of a matmul: by operand, and by how its tile comes.

A line is fetched from DRAM when it is touched first. Where tiles are narrower than lines, the first tile of a row
fetches what its neighbours find; and between sweeps some lines get lost. So a tile of A or B comes again, or for the
first time behind others of its rows, or for the first time and first in its rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mapper.cost.cache_reuse import Lines
from mapper.cost.counts import Visits
from mapper.cost.dma_traffic import BEATS, BYTES, LINES, Traffic
from mapper.cost.latency.memory_system import entry_cycles, fetch_cycles, load_command
from mapper.mapspace.batch import Batch
from mapper.mapspace.tiles import Cut
from simulator.arrays import Bools, Floats, Ints
from simulator.frontend.loop_unroller import blocks_per_segment

AGAIN, NEW, EDGE = 0, 1, 2
"""How a tile of A or B comes: after a sweep over it; first, behind others of its rows; first, and first in its rows."""

RETURN, BIAS = 0, 1
"""What the sums of a tile start from: partial sums that left the chip, or the bias."""


SCATTER = 0.5
"""What lost lines cost when they are scattered: between 0, hidden under the hits of their command, and 1, as much as in
commands that miss with every row. Fitted to our own event simulation of the mappings of
`mapper.validation.estimate_accuracy`, other seeds."""


@dataclass(frozen=True, slots=True, eq=False)
class Mvin:
    """An average load command (columns, in cycles)."""

    cycles: Floats
    """Per command in a stream of them."""
    memory: Floats
    """Of the DRAM bus."""
    entries: Floats
    """Of the miss entries, all of them together."""
    beats: Floats
    """Of the response bus, which stores share."""
    fill: Floats
    """Until the first one is complete, beyond its share of the stream."""
    missing: Floats
    """Share of rows whose data are not in the L2."""


class LoadTimes:
    """The load commands of A, B and D."""

    def __init__(self, batch: Batch, seen: Visits, traffic: Traffic, lines: Lines | None, cuts: dict[str, Cut]) -> None:
        spec, problem = traffic.spec, traffic.problem
        self._spec = spec
        self._segment = blocks_per_segment(spec)
        self._from_dram = lines.from_dram if lines else np.ones(1)
        self._cold = lines.cold if lines else np.ones(1)
        transposed = problem.b_transposed
        width, along = (batch.tile_k, "k") if transposed else (batch.tile_n, "n")
        zero = np.zeros(1)
        again_a, first_a, again_b, first_b, lost, bias = (
            (lines.again_a, lines.first_a, lines.again_b, lines.first_b, lines.again_d, lines.bias)
            if lines
            else (zero,) * 6
        )
        self.a = self._operand(traffic.a[batch.tile_k], problem.m, problem.k, cuts["k"], again_a, first_a)
        self.b = self._operand(traffic.b[width], problem.b_rows, problem.b_cols, cuts[along], again_b, first_b)
        m, n = (-(-problem.dims[name] // spec.array.rows) for name in ("m", "n"))
        self.d = (
            self._mvin(traffic.partial[None, :], problem.m * n, m * n, lost),
            self._mvin(traffic.bias[None, :], m * n, m * n, bias),
        )

    def _operand(
        self, sweep: Ints, rows: int, row_bytes: int, dimension: Cut, again: Floats, first: Floats
    ) -> tuple[Mvin, Mvin, Mvin]:
        """Return the commands of an operand whose rows are cut along a dimension, by how a tile comes."""
        line, cols = self._spec.dma.max_request_bytes, self._spec.array.cols
        full, last = dimension.blocks
        trips = dimension.trips
        segments = (trips - 1) * -(-full // self._segment) - (-last // self._segment)
        tile = np.where(trips > 1, full, last)
        own = -(-np.minimum(tile * cols, row_bytes) // line)
        whole = first / np.maximum(self._cold, 1e-9)
        edge = self._cold * np.minimum(whole, rows * own)
        inside = (first - edge) * trips / np.maximum(trips - 1, 1)
        at_edge = np.where(trips > 1, edge * segments / -(-tile // self._segment), first)
        commands = -(-rows // self._spec.array.rows) * segments
        return (
            self._mvin(sweep, rows * segments, commands, again, scattered=np.ones(1, dtype=bool)),
            self._mvin(sweep, rows * segments, commands, inside, scattered=self._cold < 1.0),
            self._mvin(sweep, rows * segments, commands, at_edge, scattered=self._cold < 1.0),
        )

    def _mvin(
        self, sweep: Ints, rows: Ints | int, commands: Ints | int, missed: Floats, scattered: Bools | None = None
    ) -> Mvin:
        """Return the average command of a sweep of ``commands``, ``rows`` row segments, of which ``missed`` lines miss.

        Where ``scattered``, over all commands; else one or more in every row, or in whole commands.
        """
        spec = self._spec
        beats, size = sweep[:, BEATS] / commands, sweep[:, BYTES] / commands
        missed = np.minimum(missed, sweep[:, LINES])
        per_row = missed / rows
        missing = np.minimum(1.0, per_row)
        hit = load_command(beats, size, np.zeros_like(beats), self._from_dram, spec)
        miss = load_command(beats, size, np.maximum(1.0, per_row) * rows / commands, self._from_dram, spec)
        cycles = hit + missing * (miss - hit)
        if scattered is not None and scattered.any():
            evenly = load_command(beats, size, missed / commands, self._from_dram, spec)
            cycles = np.where(scattered, evenly + SCATTER * (cycles - evenly), cycles)
        ends = float(spec.dma.issue_cycles + spec.dma.completion_cycles)
        latency = float(spec.dram.request_cycles + spec.dram.latency_cycles)
        if spec.l2 is None:
            memory = size / spec.dram.bytes_per_cycle
            missing, entries = np.ones_like(missing), np.zeros_like(memory)
        else:
            per_line = fetch_cycles(spec, spec.line_bytes)
            memory = missed / commands * per_line
            entries = missed / commands * (entry_cycles(spec.l2, latency, per_line) / spec.l2.mshrs)
            ends += spec.l2.hit_cycles
        # Commands that are bound by their latency have half of it in their cycles, two being in flight.
        bound = cycles > np.maximum(beats, memory) * (1.0 + 1e-9)
        fill = np.where(bound, 0.5, 1.0) * (ends + missing * latency)
        return Mvin(cycles, memory, entries, beats, fill, missing)
