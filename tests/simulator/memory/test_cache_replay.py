"""The list of a program's requests, as written and compiled, against each command's rows split one by one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwconfigs import HardwareSpec, load
from simulator.frontend.dma_requests import row_writes, split_rows
from simulator.frontend.single_commands import expand_commands
from simulator.memory import cache_replay
from simulator.memory.recurrences import BEATS, LINE, PORT, ROWS, SIZE
from simulator.memory.request_stream import MemoryState
from simulator.memory.traffic import trace
from simulator.program import Matrix, Mvin
from tests.simulator.memory.forms import FORMS, form_of

mvins = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(1, 16), st.integers(1, 64), st.integers(0, 200)), max_size=12
)
"""First byte, rows, columns, bytes between rows."""


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    with form_of(cache_replay, request.param):
        yield request.param


def expected(mvin: Mvin, spec: HardwareSpec) -> list[tuple[int, ...]]:
    """Line, beats, bytes, on-chip rows and write cycles of each request of a mvin."""
    rows = mvin.rows if mvin.source.row_stride_bytes else 1
    starts = mvin.source.address + mvin.source.row_stride_bytes * np.arange(rows, dtype=np.int64)
    sizes = np.full(rows, mvin.cols, dtype=np.int64)
    requests = split_rows(starts, sizes, spec.dma)
    row_bytes = np.full(len(requests), spec.scratchpad.row_bytes, dtype=np.int64)
    written = row_writes(requests, starts[requests.row], sizes[requests.row], row_bytes, spec.dma.bus_bytes_per_cycle)
    columns = (requests.address // spec.l2.line_bytes, requests.beats, requests.size_bytes, *written)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(commands=mvins)
@settings(derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_command_has_its_requests(form: str, commands: list[tuple[int, int, int, int]]) -> None:
    spec = load("gemmini")
    program = [Mvin(Matrix(base, stride), rows, cols, "scratchpad", 0) for base, rows, cols, stride in commands]
    (loads,) = trace([expand_commands(program, spec, "mvins", {})], spec, MemoryState(spec)).loads
    for index, mvin in enumerate(program):
        listed = loads.table[:, loads.first[index] : loads.first[index + 1]]
        assert list(zip(*listed[[LINE, BEATS, SIZE, ROWS, PORT]].tolist(), strict=True)) == expected(mvin, spec)
        assert loads.beats[index] == listed[BEATS].sum()
    assert loads.requests == sum(len(expected(mvin, spec)) for mvin in program)
