"""Average load commands of one sweep over a matrix, by tile width.

Segments of a row differ in where in a line they begin, and with it in how many lines they are the first to touch:

    lines of a row    |─────── 0 ───────|─────── 1 ───────|
    tiles of a row    ├── 0 ──┼── 1 ──┼── 2 ──┼── 3 ──┤
    fresh lines          0        -      1       -            the loads of tiles 0 and 2 miss with every row
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwconfigs import HardwareSpec
from mapper.cost.command_times import SHARES, CommandTimes, Segments
from mapper.cost.sweep import Sweep
from simulator.arrays import Bools, Floats, Ints

FRESH, FRESH_ALONE, LINES_TOUCHED, FRESH_LINES = (2 * len(SHARES) + place for place in range(4))
"""Columns of `CommandTimes` behind those by share."""


@dataclass(frozen=True, slots=True, eq=False)
class SweepTimes:
    """An average command by tile width (first axis; rows of widths that were not asked for are zero) [cycles]."""

    scattered: Floats
    """By the share of its lines that misses, anywhere (widths x `mapper.cost.command_times.SHARES`)."""
    alone: Floats
    """The same of a command that nothing overlaps, until it is complete."""
    lines: Floats
    """Lines that a command touches."""
    in_row: Floats
    """Of the first tile of a row, if the L2 has no line of the row."""
    in_row_alone: Floats
    """Of such a command that nothing overlaps, until it is complete."""
    in_row_lines: Floats
    """Lines that such a command is the first to touch."""
    later: Floats
    """Of the other tiles, if the L2 has the lines that the tiles before touched."""
    later_alone: Floats
    later_lines: Floats
    missing_tiles: Floats
    """Share of the other tiles that have more fresh lines than their average."""
    missing: Floats
    """Of these tiles."""
    holding: Floats
    """Of the rest of them."""

    def take(self, widths: Ints) -> SweepTimes:
        """Return the rows of some widths."""
        return SweepTimes(*(column[widths] for column in self._columns()))

    def mixed(self, other: SweepTimes, share: Floats) -> SweepTimes:
        """Return the averages of these times and others, row by row; ``share`` is that of these."""
        pairs = zip(self._columns(), other._columns(), strict=True)
        return SweepTimes(*((second.T + share * (first - second).T).T for first, second in pairs))

    def at(self, missing: Floats, alone: bool = False) -> Floats:
        """Return the cycles of a command of which a share of the lines misses, anywhere."""
        times = self.alone if alone else self.scattered
        place = np.clip(np.searchsorted(SHARES, missing, side="right") - 1, 0, len(SHARES) - 2)
        low, high = np.take(SHARES, place), np.take(SHARES, place + 1)
        rows = np.arange(len(times), dtype=np.int64)
        # Convex and concave parts alike: the streams in between were timed as well.
        below, above = times[rows, place], times[rows, place + 1]
        cycles: Floats = below + (missing - low) / (high - low) * (above - below)
        return cycles

    def _columns(self) -> tuple[Floats, ...]:
        return tuple(getattr(self, name) for name in SweepTimes.__slots__)


def sweep_times(
    sweep: Sweep,
    widths: Ints,
    spec: HardwareSpec,
    timed: Callable[[Segments], CommandTimes],
    *,
    along: bool = False,
    to_accumulator: bool = False,
) -> SweepTimes:
    """Time the commands of a sweep for some tile widths [blocks].

    Parameters
    ----------
    sweep, widths, spec
        What is moved in tiles how wide, on which machine.
    timed
        Times the commands of some kinds of segments: loads or stores.
    along
        Commands follow one another along the rows, not down them.
    to_accumulator
        They fill, or read, rows of int32.
    """
    return _Table(sweep, widths, spec, timed, along, to_accumulator).times()


class _Table:
    """Kinds of segments of all widths, timed once each, and the tiles that they make up."""

    def __init__(
        self,
        sweep: Sweep,
        widths: Ints,
        spec: HardwareSpec,
        timed: Callable[[Segments], CommandTimes],
        along: bool,
        to_accumulator: bool,
    ) -> None:
        self._sweep, self._widths = sweep, widths
        # Each kind of tile once: how often it occurs is counted when the averages are taken.
        line = spec.dma.max_request_bytes
        self._tiles = sweep.tiles(widths, line)
        one_each = self._tiles._replace(times=np.ones_like(self._tiles.times))
        self._of_tile = sweep.segments(one_each, line)
        begins = np.minimum(np.minimum(widths * sweep.block_bytes, sweep.row_bytes), sweep.segment_bytes)
        starts = np.concatenate([self._of_tile.start, np.zeros_like(begins)])
        sizes = np.concatenate([self._of_tile.size, begins])
        first = np.arange(len(starts)) >= len(self._of_tile.start)
        last = self._ends(starts, sizes, line)
        self._columns = self._timed(starts, sizes, first, last, spec, timed, along, to_accumulator)

    def _ends(self, starts: Ints, sizes: Ints, line: int) -> Bools:
        """Return which segments end their rows: those as long as the rest, at the place where it begins."""
        segment = self._sweep.segment_bytes
        width = self._widths * self._sweep.block_bytes
        begin = (-(-self._sweep.row_bytes // width) - 1) * width
        begin = begin + (self._sweep.row_bytes - begin - 1) // segment * segment
        ends = np.unique(begin % line * (segment + 1) + self._sweep.row_bytes - begin)
        return np.isin(starts * (segment + 1) + sizes, ends)

    def _timed(
        self,
        starts: Ints,
        sizes: Ints,
        first: Bools,
        last: Bools,
        spec: HardwareSpec,
        timed: Callable[[Segments], CommandTimes],
        along: bool,
        to_accumulator: bool,
    ) -> Floats:
        """Return the columns of `CommandTimes` of each segment, of full commands and ragged ones together."""
        sweep = self._sweep
        every, every_of = np.unique(np.stack([starts, sizes, first, last]), axis=1, return_inverse=True)
        # Kinds that split into as many requests, beats, lines and on-chip rows take as long: one of them is timed.
        alike = np.column_stack([sweep.totals(every[0], every[1], spec.dma), -(-every[1] // sweep.block_bytes)])
        alike = np.column_stack([alike, every[0] % spec.dma.max_request_bytes > 0, every[2], every[3]])
        _, one_of, alike_of = np.unique(alike, axis=0, return_index=True, return_inverse=True)
        kinds, kind_of = every[:, one_of], alike_of.ravel()[every_of.ravel()]
        # The last commands of the rows may have fewer of them.
        on_chip = spec.accumulator.row_bytes if to_accumulator else sweep.block_bytes
        total = np.zeros(1)
        for rows, share in _heights(sweep.rows, spec.array.rows):
            segments = Segments(
                matrix=sweep.matrix,
                row_bytes=sweep.row_bytes,
                starts=kinds[0],
                sizes=kinds[1],
                first=kinds[2] > 0,
                last=kinds[3] > 0,
                rows=rows,
                on_chip_bytes=on_chip,
                to_accumulator=to_accumulator,
                along=along,
                row_cycles=sweep.row_cycles,
            )
            total = total + share * timed(segments).columns
        columns: Floats = total[kind_of]
        return columns

    def times(self) -> SweepTimes:
        """Return the averages by width."""
        tiles, of_tile = self._tiles, self._of_tile
        number = len(of_tile.start)
        segments, begins = self._columns[:number], self._columns[number:]
        # Sums over the commands of one row block of each kind of tile; the last column counts them.
        sums = np.zeros((len(tiles.start), segments.shape[1] + 1))
        np.add.at(sums, of_tile.tile, np.column_stack([segments, np.ones(number)]) * of_tile.times[:, None])
        # Kinds of tiles are in order of their place, so that the first one of a width is its first tile; of the
        # segments of a tile, too.
        opening, in_row = _first_places(tiles.width), _first_places(of_tile.tile)
        first_tiles = sums[opening]
        first_tiles[:, :-1] += begins - segments[in_row[opening]]
        later = tiles.times.astype(np.float64)
        later[opening] -= 1.0
        fresh_lines = sums[:, FRESH_LINES] / sums[:, -1]
        usual = self._by_width(fresh_lines, later) / np.maximum(self._by_width(np.ones_like(later), later), 1.0)
        missing = fresh_lines > usual[tiles.width] * (1.0 + 1e-9)
        every = [
            self._averages(self._by_width(sums, tiles.times)),
            self._averages(first_tiles),
            *(self._averages(self._by_width(sums, times)) for times in (later, later * missing, later * ~missing)),
        ]
        share = self._by_width(missing.astype(np.float64), later) / np.maximum(
            self._by_width(np.ones_like(later), later), 1.0
        )
        return self._assembled(every, share)

    def _by_width(self, values: Floats, times: Floats | Ints) -> Floats:
        """Return sums over the tiles of each width."""
        total = np.zeros((len(self._widths), *values.shape[1:]))
        np.add.at(total, self._tiles.width, (values.T * times).T)
        return total

    def _averages(self, sums: Floats) -> Floats:
        """Return sums divided by the number of commands, which is their last column, in the rows of their widths."""
        table = np.zeros((int(self._widths.max(initial=0)) + 1, sums.shape[1] - 1))
        table[self._widths] = sums[:, :-1] / np.maximum(sums[:, -1:], 1.0)
        return table

    def _assembled(self, averages: list[Floats], missing_share: Floats) -> SweepTimes:
        """Return the columns of all tiles, the first ones, later ones, those that miss and those that do not."""
        every, first, later, missing, holding = averages
        shares = np.zeros(len(every))
        shares[self._widths] = missing_share
        return SweepTimes(
            scattered=every[:, : len(SHARES)],
            alone=every[:, len(SHARES) : 2 * len(SHARES)],
            lines=every[:, LINES_TOUCHED],
            in_row=first[:, FRESH],
            in_row_alone=first[:, FRESH_ALONE],
            in_row_lines=first[:, FRESH_LINES],
            later=later[:, FRESH],
            later_alone=later[:, FRESH_ALONE],
            later_lines=later[:, FRESH_LINES],
            missing_tiles=shares,
            missing=missing[:, FRESH],
            holding=holding[:, FRESH],
        )


def _first_places(owners: Ints) -> Ints:
    """Return where each owner, numbered from 0, stands first."""
    places = np.zeros(int(owners.max(initial=-1)) + 1, dtype=np.int64)
    places[owners[::-1]] = np.arange(len(owners), dtype=np.int64)[::-1]
    return places


def _heights(rows: int, side: int) -> list[tuple[int, float]]:
    """Return the rows of a command, and the share of the commands that have as many: the last ones may be ragged."""
    blocks = -(-rows // side)
    last = rows - (blocks - 1) * side
    if last == side:
        return [(side, 1.0)]
    return [(side, 1.0 - 1.0 / blocks)] * (blocks > 1) + [(last, 1.0 / blocks)]
