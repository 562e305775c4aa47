"""Times of load commands, taken from the machine's own memory path.

A stream of equal commands goes through `simulator.memory.path`, its requests told what they find in the L2. What a
command of the stream takes holds whatever paces it: beats, on-chip rows, request slots, miss entries, places in flight,
the DRAM bus, lines that meet in one set of the L2.

    commands    C0  C1  C2  C3  C4 ... C9         down the rows of a matrix, or along them
    times       ├ first ┤       ├─ last less fourth, by six ─┤
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hwconfigs import HardwareSpec
from simulator.arrays import Bools, Floats, Ints
from simulator.memory import cache_replay, recurrences
from simulator.memory.compiled import use
from simulator.memory.open_pages import OpenPages
from simulator.memory.path import MemoryPath
from simulator.memory.recurrences import CODE, FETCH, LINE, LLC_HIT, MISS, PLACE, VALID_WAY
from simulator.memory.request_stream import requests_of
from simulator.memory.traffic import CommandTraffic
from simulator.program import Matrix

WARM_UP, COMMANDS = 4, 10
"""Commands until a stream has found its pace, and in all."""

BETWEEN = 4
"""Loads of weights between two of inputs when the gap behind those is timed."""

SHARES = (0.0, 1 / 16, 1 / 4, 1.0)
"""Shares of the lines that miss for which a stream is timed; in between, times are interpolated."""


KNOWN_STREAMS = 1024
"""Timings that are kept: a search, the trials of its finalists and their estimates share them."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Kinds of row segments of one matrix, and the commands that move some rows of them; equal if all fields are."""

    matrix: Matrix
    row_bytes: int
    """Of the matrix."""
    starts: Ints
    """Place in a line at which a segment of the first row begins. [bytes]"""
    sizes: Ints
    """[bytes]"""
    first: Bools
    """Kinds that begin their rows."""
    last: Bools
    """Kinds that end their rows."""
    rows: int
    """Rows of a command."""
    on_chip_bytes: int
    """Bytes of an on-chip row."""
    to_accumulator: bool
    along: bool
    """The next command continues the rows of the one before; else it takes the rows below."""
    row_cycles: int = 1
    """Cycles in which an on-chip row is written, if its bytes are there."""

    def __hash__(self) -> int:
        return hash(self._fields())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Segments) and self._fields() == other._fields()

    def _fields(self) -> tuple[object, ...]:
        kinds = (column.tobytes() for column in (self.starts, self.sizes, self.first, self.last))
        commands = (self.rows, self.on_chip_bytes, self.to_accumulator, self.along, self.row_cycles)
        return (self.matrix, self.row_bytes, *kinds, *commands)


@dataclass(frozen=True, slots=True, eq=False)
class CommandTimes:
    """Cycles by kind of segment."""

    scattered: Floats
    """Of a command in a stream of them, by the share of its lines that misses, anywhere (kinds x `SHARES`)."""
    alone: Floats
    """Of the first command, from its start until it is complete (kinds x `SHARES`)."""
    fresh: Floats
    """Of a command in a stream that misses the lines that no segment before touched (kinds)."""
    fresh_alone: Floats
    """The same of the first command, until it is complete."""
    lines: Floats
    """Lines of a command that the one before it in the stream does not touch (kinds)."""
    fresh_lines: Floats
    """Of these, those that no segment before touched (kinds)."""

    @property
    def columns(self) -> Floats:
        """All of them side by side (kinds x columns)."""
        return np.column_stack([self.scattered, self.alone, self.fresh, self.fresh_alone, self.lines, self.fresh_lines])


class CommandStream:
    """The requests of the commands of all kinds, one kind after the other."""

    def __init__(self, segments: Segments, spec: HardwareSpec) -> None:
        line, matrix = spec.dma.max_request_bytes, segments.matrix
        number = np.arange(COMMANDS, dtype=np.int64)
        below = np.full(len(segments.sizes), segments.rows * matrix.row_stride_bytes, dtype=np.int64)
        # A row that is repeated on chip has no rows below it.
        along = segments.along or matrix.row_stride_bytes == 0
        step = -(-segments.sizes // line) * line if along else below
        rows = 1 if matrix.row_stride_bytes == 0 else segments.rows
        base = matrix.address + segments.starts[:, None, None] + step[:, None, None] * number[:, None]
        base = (base + matrix.row_stride_bytes * np.arange(rows, dtype=np.int64)).ravel()
        # One entry per row of a command, so that each request is known to belong to a row.
        per_kind = COMMANDS * rows
        sizes, one = np.repeat(segments.sizes, per_kind), np.ones(len(base), dtype=np.int64)
        table, of_row = requests_of(base, one, sizes, one, segments.on_chip_bytes * one, spec)
        table[LINE] //= spec.line_bytes
        if spec.dram.pages is not None:
            table[PLACE] = OpenPages(spec.dram.pages, spec.line_bytes).replay(table[LINE])
        self.table, self.starts = table, of_row[::rows]
        self._part = table[CODE] == 0
        row = np.repeat(np.arange(len(base), dtype=np.int64), np.diff(of_row))
        self.lines = table[LINE]
        kind = row // per_kind
        # A line that the command before has touched as well was fetched for that one.
        self.touched = _first_of(kind, self.lines)
        # A segment that continues a row begins in a line that the segment before touched; the end of a row may lie in
        # the line of the next row's begin.
        begin = base[row]
        shared = (begin % line > 0) & (self.lines == begin // spec.line_bytes)
        next_row = begin + sizes[row] + matrix.row_stride_bytes - segments.row_bytes
        shared |= segments.last[kind] & (self.lines == next_row // spec.line_bytes)
        self.fresh = self.touched & ~(shared & ~segments.first[kind])

    def told(self, missing: Bools, spec: HardwareSpec, from_llc: bool = False, writes: bool = False) -> CommandTraffic:
        """Return the requests with what each of them finds: reads, or writes, which fetch lines that they do not cover.

        Without an L2 every read goes to DRAM, and so do the writes that miss.
        """
        table = self.table.copy()
        fetches = self._part | (spec.line_bytes != spec.dma.max_request_bytes) if writes else np.ones_like(missing)
        if spec.l2 is None:
            table[CODE] = missing * MISS if writes else MISS | FETCH
        else:
            # The caches are full, clean, and evict with every fill.
            table[CODE] = missing * (MISS + FETCH * fetches + VALID_WAY * spec.l2.ways + LLC_HIT * from_llc)
        if spec.dram.pages is not None:
            accesses = np.flatnonzero((table[CODE] & FETCH != 0) & (table[CODE] & LLC_HIT == 0))
            table[PLACE] = 0
            table[PLACE, accesses] = OpenPages(spec.dram.pages, spec.line_bytes).replay(table[LINE, accesses])
        missed = np.concatenate(([0], np.cumsum(table[CODE] & MISS)))[self.starts]
        return CommandTraffic(table, self.starts, missed)

    def per_command(self, requests: Bools) -> Floats:
        """Return how many of some requests a later command of each kind has."""
        every = np.add.reduceat(requests.astype(np.int64), self.starts[:-1]).reshape(-1, COMMANDS)
        number: Floats = every[:, 1:].mean(axis=1)
        return number


@lru_cache(maxsize=KNOWN_STREAMS)
def command_times(segments: Segments, spec: HardwareSpec, from_llc: bool = False) -> CommandTimes:
    """Time the streams of all kinds of segments; ``from_llc``: a last-level cache serves what misses."""
    stream = CommandStream(segments, spec)
    kinds = range(len(segments.sizes))

    # Every stream handles the rows anew.
    use(len(stream.starts) * segments.rows * (len(SHARES) + 1), cache_replay, recurrences)

    def timed(missing: Bools) -> Floats:
        traffic = stream.told(missing, spec, from_llc)
        return np.array([_timed(traffic, kind * COMMANDS, segments, spec) for kind in kinds]).reshape(-1, 2)

    if spec.l2 is None:
        # Every request goes to DRAM.
        every = timed(stream.touched)
        by_share = np.repeat(every[:, None, :], len(SHARES), axis=1)
        fresh = every
    else:
        # Places that are spread like random ones, the same every time.
        places = np.arange(len(stream.touched), dtype=np.float64) * 0.6180339887498949 % 1.0
        by_share = np.stack([timed(stream.touched & (places < share)) for share in SHARES], axis=1)
        fresh = timed(stream.fresh)
    return CommandTimes(
        scattered=by_share[:, :, 1],
        alone=by_share[:, :, 0],
        fresh=fresh[:, 1],
        fresh_alone=fresh[:, 0],
        lines=stream.per_command(stream.touched),
        fresh_lines=stream.per_command(stream.fresh),
    )


def _first_of(groups: Ints, lines: Ints) -> Bools:
    """Return which requests are the first ones of their group to touch their line."""
    _, index = np.unique(groups * (int(lines.max(initial=0)) + 1) + lines, return_index=True)
    first = np.zeros(len(lines), dtype=bool)
    first[index] = True
    return first


@lru_cache(maxsize=KNOWN_STREAMS)
def group_gap(weights: Segments, inputs: Segments, spec: HardwareSpec) -> float:
    """Return by how much longer loads of weights that miss take when one of inputs stands between each few of them.

    The fewer commands of weights are in flight, the sooner the DRAM runs out of work.

    Parameters
    ----------
    weights, inputs
        Commands of either, one kind each.
    spec
        The machine.

    Returns
    -------
    Cycles per load of inputs, beyond what both take in streams of their own.
    """
    of_weights, of_inputs = CommandStream(weights, spec), CommandStream(inputs, spec)
    missing = of_weights.told(of_weights.touched, spec, False)
    holding = of_inputs.told(np.zeros_like(of_inputs.touched), spec, False)
    group = [(missing, weights)] * BETWEEN + [(holding, inputs)]
    ends = _ends([(traffic, at % COMMANDS, kind) for at, (traffic, kind) in enumerate(group * 4)], spec)
    together = (ends[-1] - ends[2 * len(group) - 1]) / 2
    alone = BETWEEN * _timed(missing, 0, weights, spec)[1] + _timed(holding, 0, inputs, spec)[1]
    return max(0.0, together - alone)


def _timed(traffic: CommandTraffic, command: int, segments: Segments, spec: HardwareSpec) -> tuple[float, float]:
    """Return the cycles of the first command of a stream, and those of a later one."""
    ends = _ends([(traffic, number, segments) for number in range(command, command + COMMANDS)], spec)
    return float(ends[0]), (ends[-1] - ends[WARM_UP - 1]) / (COMMANDS - WARM_UP)


def _ends(commands: Sequence[tuple[CommandTraffic, int, Segments]], spec: HardwareSpec) -> list[int]:
    """Return when each command is complete, if the load unit starts them one after another."""
    dma, path, depth = spec.dma, MemoryPath(spec), spec.dma.max_commands_in_flight
    # As in `simulator.units.load`: a command waits for the one before to be handed over, and for its place in flight.
    free, done, ends = 0, [0] * depth, []
    for traffic, number, segments in commands:
        completion, release = dma.completion_cycles, dma.release_cycles
        if segments.to_accumulator:
            completion, release = dma.accumulator_completion_cycles, dma.accumulator_release_cycles
        # A row that is repeated on chip is read once.
        repeated = segments.rows - 1 if segments.matrix.row_stride_bytes == 0 else 0
        start = max(free, done[-depth])
        last = path.read(start, traffic, number, segments.row_cycles).last
        free = start + max(segments.rows, dma.handover_cycles)
        ends.append(last + completion + repeated)
        done.append(last + repeated + (completion if release is None else release))
    return ends
