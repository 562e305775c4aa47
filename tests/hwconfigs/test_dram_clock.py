"""Clock and DRAM are two knobs: a changed clock leaves the bytes per second and the nanoseconds of the DRAM."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import hwconfigs
from hwconfigs import HardwareSpec
from mapper import pipeline


def seconds(spec: HardwareSpec) -> tuple[float, ...]:
    dram, pages = spec.dram, spec.dram.pages
    cycles = [dram.latency_cycles, dram.evict_cycles, dram.write_miss_cycles, dram.write_back_cycles]
    cycles += [dram.write_back_hold_cycles]
    if pages is not None:
        cycles += [pages.t_burst_cycles, pages.t_cl_cycles, pages.t_rc_cycles]
    return dram.bytes_per_cycle * spec.clock_mhz, *(time / spec.clock_mhz for time in cycles)


@pytest.mark.parametrize("machine", hwconfigs.available())
@pytest.mark.parametrize("clock", [500, 1500, 2000])
def test_the_dram_keeps_its_seconds(machine: str, clock: float) -> None:
    spec = hwconfigs.load(machine)
    for changed in (hwconfigs.load(machine, {"clock_mhz": clock}), hwconfigs.override(spec, {"clock_mhz": clock})):
        assert seconds(changed) == pytest.approx(seconds(spec), rel=1e-3)
        assert changed.dram.request_cycles == spec.dram.request_cycles
        back = hwconfigs.override(changed, {"clock_mhz": spec.clock_mhz})
        assert seconds(back) == pytest.approx(seconds(spec))


def test_cycles_given_beside_a_clock_are_cycles_of_it() -> None:
    """Whichever comes first."""
    both = {"dram.bandwidth": "8 B/cycle", "clock": "500 MHz"}
    for changes in (both, dict(reversed(both.items()))):
        spec = hwconfigs.load("gemmini", changes)
        assert (spec.dram.bytes_per_cycle, spec.dram.latency_cycles) == (8.0, 20)


def test_a_file_that_extends_with_another_clock(tmp_path: Path) -> None:
    path = tmp_path / "slow.yaml"
    text = """
        extends: gemmini
        description: half the clock
        source: a test
        clock: 500 MHz
        dram:
          latency: 30
          source: a test
        """
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    dram = hwconfigs.load(path).dram
    assert (dram.bytes_per_cycle, dram.latency_cycles, dram.evict_cycles) == (16.0, 30, 3.15 / 2)


def test_a_preset_of_pages_follows_the_clock() -> None:
    spec = hwconfigs.load("gemmini", {"dram.pages": "DDR4-2400"})
    fast = hwconfigs.override(spec, {"clock": "2 GHz"})
    assert spec.dram.pages is not None
    assert fast.dram.pages is not None
    assert fast.dram.pages.t_rp_cycles == pytest.approx(2 * spec.dram.pages.t_rp_cycles)


def test_a_slower_machine_waits_fewer_cycles_for_its_dram() -> None:
    """A product that is bound by the DRAM takes half the cycles, and as long, at half the clock."""
    fast, slow = (
        pipeline.map_matmul(1, 512, 2048, "gemmini", overrides={"l2": None, "clock_mhz": clock, "dram.bandwidth": rate})
        .simulation
        for clock, rate in ((1000, "2 GB/s"), (500, "2 GB/s"))
    )  # fmt: skip
    assert slow.cycles == pytest.approx(fast.cycles / 2, rel=0.1)
