"""Service times of DRAM pages on streams, against the arithmetic of the timings: all numbers computed by hand.

Timings of the tests, in cycles: burst 4, CL 14, tRCD 14, tRP 14, tRAS 33, tRC 47; pages of 8 KiB, which are 128 lines
of 64 bytes; 8 banks, window 8. A bus of 16 B/cycle carries a line in a burst, so that the device alone is seen.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import hwconfigs
from hwconfigs import DramPagesSpec, HardwareSpec, SpecError
from simulator.machine import count, simulate
from simulator.memory.open_pages import OpenPages
from simulator.memory.path import idle_ports, limits_of
from simulator.memory.recurrences import CONFLICT, ROW_HIT, ROW_STATES, UNOPENED, first_data
from simulator.memory.request_stream import MemoryState
from simulator.program import Matrix, Mvin, Program

PAGES = {
    "ranks": 1, "banks": 8, "page": 8192, "burst": 64,
    "t_burst": 4, "t_cl": 14, "t_rcd": 14, "t_rp": 14, "t_ras": 33, "t_rc": 47,
}  # fmt: skip
PAGE, BANK_STEP = 128, 128 * 8
"""Lines of a page; lines from one row of a bank to its next one."""


def machine(**changes: object) -> HardwareSpec:
    return hwconfigs.load("gemmini", {"dram.pages": PAGES | changes, "dram.bandwidth": 16})


def served(spec: HardwareSpec, lines: list[int], every: float = 0.0) -> list[float]:
    """First data of each access, leaving the device; one arrives every so many cycles."""
    assert spec.dram.pages is not None
    limits = limits_of(spec)
    ports = idle_ports(spec, limits)
    places = OpenPages(spec.dram.pages, 64).replay(np.array(lines))
    return [
        first_data(limits, ports.banks, ports.columns, every * at, int(place), 64) for at, place in enumerate(places)
    ]


def states(spec: DramPagesSpec, lines: list[int]) -> list[int]:
    return (OpenPages(spec, 64).replay(np.array(lines)) % ROW_STATES).tolist()  # type: ignore[no-any-return]


def test_sequential_lines_pay_one_activation_per_page() -> None:
    """tRCD + CL for the first line, then a burst each; the next page's row is opened in another bank meanwhile."""
    times = served(machine(), list(range(2 * PAGE)))
    assert times == [14 + 14 + 4 * at for at in range(2 * PAGE)]


def test_rows_of_one_bank_follow_each_other_by_the_row_cycle() -> None:
    """Lines 64 KiB apart: one bank, a new row each time. tRC = 47 apart, whatever the window."""
    for window in (1, 8):
        times = served(machine(window=window), [BANK_STEP * at for at in range(20)])
        assert times == [28 + 47 * at for at in range(20)]


def test_without_a_row_cycle_the_times_of_the_steps_bind() -> None:
    """tRAS 33 + tRP 14 with tRC left out; with tRAS left out as well tRCD 14 + burst 4 + tRP 14."""
    lines = [BANK_STEP * at for at in range(10)]
    assert set(np.diff(served(machine(t_rc=0), lines))) == {33 + 14}
    assert set(np.diff(served(machine(t_rc=0, t_ras=0), lines))) == {14 + 4 + 14}


def test_two_lines_of_a_row_share_its_activation() -> None:
    """A walk down a matrix with rows of 4 KiB in one bank: two lines per page, 47 cycles per page."""
    spec = machine(mapping=["rank", "bank", "row", "column", "channel"])
    times = served(spec, [64 * at for at in range(40)])
    assert times == [28 + 47 * (at // 2) + 4 * (at % 2) for at in range(40)]


def test_banks_open_their_rows_side_by_side() -> None:
    """One line of each of eight banks again and again, always another row: bursts of 4 hide behind 47 / 8 cycles."""
    lines = [BANK_STEP * turn + PAGE * bank for turn in range(10) for bank in range(8)]
    times = served(machine(), lines)
    assert times[:8] == [28 + 4 * bank for bank in range(8)]
    assert times[8::8] == [28 + 47 * turn for turn in range(1, 10)]


def test_a_window_of_one_opens_rows_one_by_one() -> None:
    """The next row is closed and opened only behind the column access before: tRP 14 + tRCD 14 in other banks."""
    first, second = ([PAGE * bank + BANK_STEP * turn for bank in range(8)] for turn in (0, 1))
    times = served(machine(window=1), first + second)
    assert set(np.diff(times[:8])) == {14.0}
    assert set(np.diff(times[8:])) == {14.0 + 14.0}


def test_slow_arrivals_see_the_bare_times() -> None:
    """One access every 100 cycles: CL, tRCD + CL, or tRP + tRCD + CL after its arrival."""
    lines = [0, 1, BANK_STEP, PAGE, PAGE + 5, 0]
    waits = [time - 100 * at for at, time in enumerate(served(machine(), lines, every=100.0))]
    assert waits == [28, 14, 42, 28, 14, 42]


def test_random_lines() -> None:
    """8 banks, hits are rare: on average between the row cycle over the banks and the row cycle."""
    lines = np.random.default_rng(1).integers(0, 2**20, 4000).tolist()
    step = served(machine(), lines)[-1] / 4000
    assert 47 / 8 < step < 47
    # In order, eight requests ahead: a bank met again within the window waits for its row cycle.
    assert step == pytest.approx(47 / 8 * 2.2, rel=0.15)


def test_states_of_rows() -> None:
    spec = machine().dram.pages
    assert spec is not None
    assert states(spec, [0, 127, 128, 1024, 1025, 0]) == [UNOPENED, ROW_HIT, UNOPENED, CONFLICT, ROW_HIT, CONFLICT]


def test_which_bits_choose() -> None:
    """Channel, column, bank, rank, row from the least significant bit of the line number on, or as asked."""
    spec = machine(channels=2, ranks=4).dram.pages
    assert spec is not None
    pages = OpenPages(spec, 64)
    line = 1 + 2 * (5 + 128 * (3 + 8 * (2 + 4 * 9)))
    bank, row = pages.decode(np.array([line]))
    assert (bank[0], row[0]) == ((1 * 4 + 2) * 8 + 3, 9)
    turned = DramPagesSpec.model_validate(spec.model_dump() | {"mapping": ["bank", "row", "rank", "channel", "column"]})
    bank, row = OpenPages(turned, 64).decode(np.array([5 + 128 * (1 + 2 * (2 + 4 * (9 + 65536 * 3)))]))
    assert (bank[0], row[0]) == ((1 * 4 + 2) * 8 + 3, 9)


def test_channels_work_side_by_side() -> None:
    """Neighbouring lines alternate between two channels: two bursts in the time of one."""
    times = served(machine(channels=2), list(range(40)))
    assert times == [28 + 4 * (at // 2) for at in range(40)]


def test_a_line_of_several_bursts() -> None:
    """Bursts of 32 bytes: a line takes two of them."""
    assert set(np.diff(served(machine(burst=32), list(range(20))))) == {8.0}


@pytest.mark.parametrize("name", ["DDR3-1600", "DDR4-2400", "LPDDR4-3200", "HBM2"])
def test_presets_stream_at_the_rate_of_their_name(name: str) -> None:
    """Data rate x width of all channels, GB/s at a clock of 1 GHz; random lines are slower."""
    rates = {"DDR3-1600": 12.8, "DDR4-2400": 19.2, "LPDDR4-3200": 12.8, "HBM2": 256.0}
    spec = hwconfigs.load("gemmini", {"dram.pages": name})
    assert spec.dram.pages is not None
    assert "recalled" in spec.sources["dram.pages.t_cl_cycles"]
    many = 20000
    times = served(spec, list(range(many)))
    assert 64 * many / (max(times) - times[0]) == pytest.approx(rates[name], rel=0.01)
    scattered = np.random.default_rng(2).integers(0, 2**24, many).tolist()
    assert max(served(spec, scattered)) > 1.5 * max(times)


def loads(stride: int, number: int) -> Program:
    """Lines of 64 bytes, so many bytes apart."""
    return Program(
        "walk",
        tuple(Mvin(Matrix(stride * 16 * at, stride), 16, 64, "scratchpad", 64 * (at % 16)) for at in range(number)),
    )


def test_the_simulation_takes_as_long_as_the_banks() -> None:
    """Lines in one bank are bound by its row cycle; as many in open pages by the miss entries.

    They are a line more than the distance of rows apart, so that they lie in different sets of the L2; 112 of them
    fill the columns of one bank's pages.
    """
    spec = hwconfigs.override(machine(), {"dram.bandwidth": 8})
    number = 7 * 16
    cycles = simulate(loads(64 * (BANK_STEP + 1), 7), spec).cycles
    assert 47 * (number - 1) <= cycles <= 47 * (number - 1) + 150
    assert simulate(loads(64, 7), spec).cycles < 0.5 * cycles


def test_open_rows_are_carried_from_program_to_program() -> None:
    spec = hwconfigs.override(machine(), {"l2": None})
    memory = MemoryState(spec)
    assert count(loads(64, 1), spec, memory)["dram", "activate"] == 1
    assert count(loads(64, 1), spec, memory)["dram", "activate"] == 0
    assert count(loads(64, 1), spec, memory.copy())["dram", "activate"] == 0
    assert count(loads(64, 1), spec)["dram", "activate"] == 1


def test_fixed_latency_counts_no_activation() -> None:
    assert ("dram", "activate") not in dict(count(loads(64, 1), hwconfigs.load("gemmini")))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"banks": 6}, "dram.pages.banks=6 must be a power of two"),
        ({"ranks": 3}, "dram.pages.ranks=3 must be a power of two"),
        ({"channels": 0}, "dram.pages.channels: must be in 1 .. 65,536, got 0"),
        ({"banks": -8}, "dram.pages.banks: must be in 1 .. 65,536, got -8"),
        ({"page": 32}, "dram.pages.page_bytes=32 cannot hold the 64 bytes fetched at once"),
        ({"t_rp": float("nan")}, "dram.pages.t_rp_cycles: must be finite"),
        ({"t_rcd": -1}, "dram.pages.t_rcd_cycles: must be in 0 .. 10,000 cycles, got -1"),
        ({"window": 0}, "dram.pages.window: must be in 1 .. 64, got 0"),
        ({"mapping": ["row", "bank"]}, "dram.pages.mapping: must name each of row, rank, bank, column, channel once"),
        ({"t_rc": "47 MHz"}, "dram.pages.t_rc_cycles: '47 MHz' is not a duration"),
    ],
)
def test_impossible_pages(changes: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        machine(**changes)
    assert [line for line in caught.value.problems if words in line], caught.value.problems
    assert len(caught.value.problems) == 1


def test_unknown_presets() -> None:
    with pytest.raises(
        SpecError, match=r"^override: dram.pages: 'DDR4-2133' is no preset; did you mean 'DDR4-2400'\?$"
    ):
        hwconfigs.load("gemmini", {"dram.pages": "DDR4-2133"})


def test_a_preset_may_be_changed() -> None:
    spec = hwconfigs.load("gemmini", {"dram.pages": "DDR4-2400", "dram.pages.ranks": 2, "clock": "500 MHz"})
    assert spec.dram.pages is not None
    assert (spec.dram.pages.ranks, spec.dram.pages.banks, spec.dram.pages.t_rp_cycles) == (2, 16, 6.66)
    assert spec.sources["dram.pages.ranks"] == "override"
    assert hwconfigs.override(spec, {"dram.pages": "none"}).dram.pages is None


def test_times_never_run_backwards() -> None:
    lines = np.random.default_rng(3).integers(0, 5000, 500).tolist()
    assert all(earlier < later for earlier, later in pairwise(served(machine(), lines)))
