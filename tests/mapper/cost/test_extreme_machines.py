"""The ends of the accepted ranges are no decoration: a machine at an end is still mapped and simulated."""

from __future__ import annotations

import pytest

from mapper import pipeline

ENDS = {
    "scratchpad.capacity": "1024 GiB",
    "accumulator.capacity": "1024 GiB",
    "l2.mshrs": 65536,
    "l2.mshr_release": 10**6,
    "dma.max_in_flight": 65536,
    "dma.store_first": 10**6,
    "dma.store_row_cycles": [10**6] * 4,
    "front_end.load_entries": 65536,
    "host.call": 10**6,
    "dram.latency": 10**6,
    "dram.request": 10**6,
    "dram.evict": 10**6,
    "clock_mhz": 1e6,
}


@pytest.mark.parametrize(("path", "value"), [*ENDS.items(), ("dram.bandwidth", 1e-3), ("dram.bandwidth", 1e6)])
def test_ends_of_the_ranges(path: str, value: object) -> None:
    result = pipeline.map_matmul(40, 48, 64, "gemmini", overrides={path: value})
    assert result.simulation.cycles > 0
    assert result.estimate.counts == result.simulation.counts
