"""Times of store commands, taken from the machine's own memory path.

As `mapper.cost.command_times` for loads: a stream of equal commands, whose rows leave the accumulator at the pace of
the store unit and meet whatever paces them behind it: write slots, which are free again in order, miss entries, lines
that are fetched because a segment covers only a part of them, the DRAM bus.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from hwconfigs import HardwareSpec
from mapper.cost.command_times import COMMANDS, KNOWN_STREAMS, SHARES, WARM_UP, CommandStream, CommandTimes, Segments
from simulator.arrays import Bools, Floats
from simulator.frontend.dma_requests import segment_totals
from simulator.memory import cache_replay, recurrences
from simulator.memory.compiled import use
from simulator.memory.path import MemoryPath
from simulator.memory.traffic import CommandTraffic
from simulator.units.store_pipeline import epilogue_cycles, row_period, writer_cycles


@lru_cache(maxsize=KNOWN_STREAMS)
def store_command_times(segments: Segments, block_bytes: int, activation: str, spec: HardwareSpec) -> CommandTimes:
    """Time the streams of all kinds of segments.

    Parameters
    ----------
    segments
        What the commands store; to the accumulator's int32 rows if ``to_accumulator``.
    block_bytes
        Bytes of a row of an array block as it is stored.
    activation
        Kernel that the stores apply.
    spec
        The machine.

    Returns
    -------
    Times until the unit can go on. Lines that no segment before touched are missing in ``fresh`` (without an L2, all
    are); ``scattered`` and ``alone`` are those of lines that the L2 holds, whatever the share.
    """
    stream = CommandStream(segments, spec)
    use(2 * len(stream.starts) * segments.rows, cache_replay, recurrences)

    rows = [_Rows.of(size, block_bytes, segments, activation, spec) for size in segments.sizes.tolist()]

    def timed(missing: Bools) -> Floats:
        traffic = stream.told(missing, spec, writes=True)
        times = [_timed(traffic, kind * COMMANDS, segments.rows, row, spec) for kind, row in enumerate(rows)]
        return np.array(times).reshape(-1, 2)

    every = np.ones_like(stream.fresh)
    held, fresh = timed(~every), timed(every if spec.l2 is None else stream.fresh)
    return CommandTimes(
        scattered=np.repeat(held[:, 1:], len(SHARES), axis=1),
        alone=np.repeat(held[:, :1], len(SHARES), axis=1),
        fresh=fresh[:, 1],
        fresh_alone=fresh[:, 0],
        lines=stream.per_command(stream.touched),
        fresh_lines=stream.per_command(stream.fresh),
    )


class _Rows:
    """The row segments of one kind of command."""

    def __init__(self, size: int, blocks: int, full: bool, lanes: int) -> None:
        self.size, self.blocks, self.full, self.lanes = size, blocks, full, lanes

    @classmethod
    def of(cls, size: int, block_bytes: int, segments: Segments, activation: str, spec: HardwareSpec) -> _Rows:
        """Return what a segment of ``size`` bytes is to the store unit."""
        blocks, full = -(-size // block_bytes), segments.to_accumulator
        return cls(size, blocks, full, 0 if full else epilogue_cycles(blocks, activation, spec))


def _timed(traffic: CommandTraffic, command: int, rows: int, row: _Rows, spec: HardwareSpec) -> tuple[float, float]:
    """Return the cycles of the first command of a stream, and those of a later one.

    The first ones find write slots free: what that saves all of them is taken off the first, which may be less than 0.
    """
    dma, path, depth = spec.dma, MemoryPath(spec), spec.dma.max_commands_in_flight
    more = traffic.beats[command] / rows - segment_totals(0, row.size, dma)[1]
    writer = max(writer_cycles(row.blocks, row.full, False, dma) + max(0.0, more), row.lanes)
    period = max(row_period(row.blocks, row.full, False, dma), writer)
    last_row = math.ceil((rows - 1) * period)
    # The command is over when its last row is read, which buffers allow before the writer has sent those ahead of it.
    ahead = math.ceil(dma.store_buffer_blocks * writer / row.blocks)
    read = min(max(last_row - ahead, (rows - 1) * row.blocks), last_row)
    width = math.ceil(dma.store_full_row_cycles) if row.full else row.blocks
    free, done, ends = 0, [0] * depth, []
    for number in range(command, command + COMMANDS):
        start = max(free, done[-depth])
        sent = path.write(start + dma.store_first_cycles, traffic, number, max(last_row + width, 1))
        # Rows that cannot leave keep the unit.
        free = max(start + math.ceil(rows * period), sent - dma.store_first_cycles)
        done.append(max(start + read + dma.store_completion_cycles, free))
        ends.append(free)
    pace = (ends[-1] - ends[WARM_UP - 1]) / (COMMANDS - WARM_UP)
    return ends[-1] - (COMMANDS - 1) * pace, pace
