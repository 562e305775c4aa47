"""DMA requests: how rows of a command become naturally aligned bus transactions.

A row segment is cut greedily: of the sizes 16, 32 and 64 bytes, each aligned down to its own size, the one that covers
most of the remaining bytes is taken, the smallest on a tie. Rows are never merged [1]_.

.. [1] ucb-bar/gemmini 8c3f992, DMA reader and writer, as described in the project's Gemmini timing notes, section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hwconfigs import DmaSpec
from simulator.arrays import Ints


@lru_cache(maxsize=65536)
def split_row(offset: int, size_bytes: int, min_request: int, max_request: int) -> tuple[tuple[int, int], ...]:
    """Requests of one row segment as (aligned start relative to the line, request bytes).

    Parameters
    ----------
    offset
        Distance of the first byte from a ``max_request`` boundary [bytes].
    size_bytes
        Length of the segment [bytes].
    min_request, max_request
        Smallest and largest transaction, powers of two [bytes].
    """
    requests: list[tuple[int, int]] = []
    position, left = offset, size_bytes
    while left > 0:
        best_size, best_useful = min_request, 0
        size = min_request
        while size <= max_request:
            useful = min(size - position % size, left)
            if useful > best_useful:
                best_size, best_useful = size, useful
            size *= 2
        requests.append((position - position % best_size, best_size))
        position += best_useful
        left -= best_useful
    return tuple(requests)


def segment_totals(offset: int, size_bytes: int, dma: DmaSpec) -> tuple[int, int, int]:
    """Requests, beats and transferred bytes of one row segment, ``offset`` bytes behind a line boundary."""
    sizes = [size for _, size in split_row(offset, size_bytes, dma.min_request_bytes, dma.max_request_bytes)]
    return len(sizes), sum(max(1, size // dma.bus_bytes_per_cycle) for size in sizes), sum(sizes)


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests of many row segments, in order (columns of equal length)."""

    row: Ints
    """Index of the row segment each request belongs to."""
    address: Ints
    """Aligned start [bytes]."""
    size_bytes: Ints
    beats: Ints
    """Bus beats [cycles]."""

    def __len__(self) -> int:
        return len(self.row)


def split_rows(addresses: Ints, sizes: Ints, dma: DmaSpec) -> Requests:
    """Split row segments (columns ``addresses`` [bytes], ``sizes`` [bytes]) into requests."""
    line = dma.max_request_bytes
    offsets = addresses % line
    # Segments of one size that begin at the same place of a line are split alike: each kind is split once.
    span = int(sizes.max(initial=0)) + 1
    unique, inverse = np.unique(offsets * span + sizes, return_inverse=True)
    patterns = [split_row(int(k) // span, int(k) % span, dma.min_request_bytes, line) for k in unique]
    lengths = np.array([len(p) for p in patterns], dtype=np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
    flat = np.array([request for pattern in patterns for request in pattern], dtype=np.int64).reshape(-1, 2)
    count = lengths[inverse]
    row = np.repeat(np.arange(len(addresses), dtype=np.int64), count)
    within = np.arange(len(row), dtype=np.int64) - np.repeat(np.cumsum(count) - count, count)
    pick = starts[inverse][row] + within
    base = (addresses - offsets)[row]
    size = flat[pick, 1]
    beats = np.maximum(1, size // dma.bus_bytes_per_cycle)
    return Requests(row=row, address=base + flat[pick, 0], size_bytes=size, beats=beats)


def row_writes(requests: Requests, starts: Ints, sizes: Ints, row_bytes: Ints, beat_bytes: int) -> tuple[Ints, Ints]:
    """On-chip rows that each read request writes, and cycles from its first beat until the last is written.

    Parameters
    ----------
    requests
        Aligned requests of row segments.
    starts, sizes
        First byte and length of the segment that each request belongs to [bytes].
    row_bytes
        Bytes of an on-chip row, per request.
    beat_bytes
        Bytes of a bus beat.

    Notes
    -----
    The reader merges the beats of one request into rows, one row per cycle, each as soon as its bytes are there. A
    request that begins inside an on-chip row writes that row in part; one that begins inside a beat has bytes of two
    rows left over after its last beat. Fits the measured 85.5 cycles of 16 rows of 56 bytes at all offsets exactly.
    """
    first = np.maximum(starts, requests.address)
    wanted = np.minimum(starts + sizes, requests.address + requests.size_bytes) - first
    lead, inside = first - requests.address, (first - starts) % row_bytes
    rows = -(-(inside + wanted) // row_bytes)
    last = np.zeros(len(rows), dtype=np.int64)
    for row in (np.zeros_like(rows), rows - 2, rows - 1):
        byte = np.minimum((np.maximum(row, 0) + 1) * row_bytes - inside, wanted) - 1
        last = np.maximum(last, (lead + byte) // beat_bytes + rows - 1 - np.maximum(row, 0))
    return rows, last + 1


@lru_cache(maxsize=1024)
def request_patterns(size_bytes: int, row_bytes: int, dma: DmaSpec) -> tuple[Ints, Ints]:
    """Requests of one row segment, for each byte of a line at which it may begin.

    Parameters
    ----------
    size_bytes
        Length of the segment [bytes].
    row_bytes
        Bytes of an on-chip row.
    dma
        Sizes of lines, requests and beats.

    Returns
    -------
    Requests per phase (bytes of a line), and a request table of all phases in order (6 x requests): distance from the
    line in which the segment begins [bytes], beats, size [bytes], whether the segment is whole lines, on-chip rows
    written, and cycles until the last of them is written.
    """
    line = dma.max_request_bytes
    sizes = np.full(line, size_bytes, dtype=np.int64)
    requests = split_rows(np.arange(line, dtype=np.int64), sizes, dma)
    phase = requests.row
    row = np.full(len(phase), row_bytes, dtype=np.int64)
    rows, port = row_writes(requests, phase, sizes[phase], row, dma.bus_bytes_per_cycle)
    # Only whole lines can be written without being fetched, so only segments that begin with a line.
    whole = ((phase == 0) & (size_bytes % line == 0)).astype(np.int64)
    table = np.stack([requests.address, requests.beats, requests.size_bytes, whole, rows, port])
    return np.bincount(phase, minlength=line), table
