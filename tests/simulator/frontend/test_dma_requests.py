"""Splitting of row segments into bus requests, against the table of the RTL's reader and writer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwconfigs import DmaSpec, HardwareSpec
from simulator.arrays import Ints
from simulator.frontend.dma_requests import row_writes, split_row, split_rows

# Segment bytes, offset from a 64-byte line: request sizes and data beats of 16 bytes (ucb-bar/gemmini 8c3f992).
TABLE = [
    (64, 0, (64,), 4),
    (64, 16, (64, 16), 5),
    (64, 32, (32, 32), 4),
    (64, 48, (16, 64), 5),
    (64, 40, (32, 64), 6),
    (48, 0, (64,), 4),
    (16, 0, (16,), 1),
    (16, 16, (16,), 1),
    (16, 48, (16,), 1),
]


def totals(addresses: Ints, sizes: Ints, dma: DmaSpec) -> tuple[int, int, int]:
    """Requests, beats and bytes of some row segments."""
    requests = split_rows(addresses, sizes, dma)
    return len(requests), int(requests.beats.sum()), int(requests.size_bytes.sum())


@pytest.mark.parametrize(("size", "offset", "requests", "beats"), TABLE)
def test_table(gemmini: HardwareSpec, size: int, offset: int, requests: tuple[int, ...], beats: int) -> None:
    assert tuple(bytes_ for _, bytes_ in split_row(offset, size, 16, 64)) == requests
    assert totals(np.array([4096 + offset]), np.array([size]), gemmini.dma) == (len(requests), beats, sum(requests))


@given(offset=st.integers(0, 63), size=st.integers(1, 200))
def test_requests_cover_the_segment_in_order(offset: int, size: int) -> None:
    """Each request is aligned to its own size, starts where the last one stopped being useful, and none is idle."""
    position = offset
    for start, length in split_row(offset, size, 16, 64):
        assert start % length == 0
        assert start <= position < start + length
        position = min(start + length, offset + size)
    assert position == offset + size


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 300)), min_size=1, max_size=20))
def test_columns_equal_single_rows(rows: list[tuple[int, int]]) -> None:
    """Many segments at once give what each gives alone, in order, with absolute addresses."""
    from hwconfigs import load

    dma = load("gemmini").dma
    requests = split_rows(np.array([a for a, _ in rows]), np.array([s for _, s in rows]), dma)
    expected = [
        (index, address - address % 64 + start, length, length // 16)
        for index, (address, size) in enumerate(rows)
        for start, length in split_row(address % 64, size, 16, 64)
    ]
    columns = (requests.row, requests.address, requests.size_bytes, requests.beats)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected


def test_no_rows_no_requests(gemmini: HardwareSpec) -> None:
    empty = np.zeros(0, dtype=np.int64)
    assert totals(empty, empty, gemmini.dma) == (0, 0, 0)


def test_a_request_narrower_than_the_bus_is_one_beat() -> None:
    """4-byte requests on a 16-byte bus still take a beat each."""
    from hwconfigs import load

    dma = load("gemmini", {"dma.min_request": "4 B"}).dma
    assert totals(np.array([0, 64]), np.array([4, 4]), dma) == (2, 2, 8)


def test_reader_merges_beats_into_rows(gemmini: HardwareSpec) -> None:
    """16 rows of 56 bytes at offsets 8, 0, 56, ... in turn take 85.5 cycles in Verilator, 2052 for 24 such loads.

    Per row: 5 at offset 8 (bytes of two rows are left over after the last beat), 4, 1 + 4, 1 + 5 (the last beat is
    thrown away), 3 + 3, 2 + 2, 5 + 2, 4 + 1; together 42 per 8 rows, so 84 per load and 36 once.
    """
    starts = np.arange(8, 8 + 8 * 56, 56, dtype=np.int64)
    sizes = np.full(8, 56, dtype=np.int64)
    requests = split_rows(starts, sizes, gemmini.dma)
    row_bytes = np.full(len(requests), 16, dtype=np.int64)
    rows, port = row_writes(requests, starts[requests.row], sizes[requests.row], row_bytes, 16)
    busy = np.where(port < requests.beats, requests.beats + 1, port)
    assert np.bincount(requests.row, weights=busy).tolist() == [5, 4, 5, 6, 6, 4, 7, 5]
    assert rows.tolist() == [4, 4, 1, 4, 1, 3, 2, 3, 2, 2, 3, 2, 3, 1]
