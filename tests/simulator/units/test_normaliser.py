"""The normaliser's time follows from the statistics of a kernel's row and from the version of the unit."""

from __future__ import annotations

from dataclasses import replace

import pytest

import hwconfigs
from hwconfigs.kernels import KERNELS, Kernel, Site, Statistic, kernel_named
from hwconfigs.vector_unit import VERSIONS
from simulator.units import normaliser
from simulator.units.normaliser import Normaliser, fed_cycles, readout_cycles

IBERT = hwconfigs.load("gemmini_ibert")
MACHINES = {name: hwconfigs.load("gemmini_ibert", {"vector.version": name}) for name in VERSIONS}
NORMALISED = [kernel for kernel in KERNELS if Site.NORMALISER in kernel.sites]
SOFTMAX = kernel_named("softmax")


def test_every_statistic_has_its_time() -> None:
    assert IBERT.vector is not None
    assert set(normaliser.times(IBERT)) == set(Statistic)


@pytest.mark.parametrize("kernel", NORMALISED, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("issued", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_longer_rows_more_rows_and_more_passes_take_longer(kernel: Kernel, issued: bool, version: str) -> None:
    machine = MACHINES[version]
    cycles = readout_cycles(16, 128, kernel, machine, issued=issued)
    assert readout_cycles(16, 144, kernel, machine, issued=issued) > cycles
    assert readout_cycles(17, 128, kernel, machine, issued=issued) > cycles
    fewer = replace(kernel, statistics=kernel.statistics[1:])
    assert readout_cycles(16, 128, fewer, machine, issued=issued) < cycles


ONE_ROW = {"max_drain": 0, "sum_drain": 5, "one_block_lead": 0, "inverse_sum": 25, "command_gap": 0}


def of_one_row(**changes: object) -> hwconfigs.HardwareSpec:
    return hwconfigs.override(IBERT, {**{f"vector.{name}": value for name, value in ONE_ROW.items()}, **changes})


def test_one_row_of_one_block_by_hand() -> None:
    """Exponentials alone, a command per cycle: the slot is configured at 1, the block enters at 2.

    Drained at 2 + 5 = 7, divided at 7 + 25 = 32, result [32, 33).
    """
    once = replace(SOFTMAX, statistics=(Statistic.INVERSE_SUM,))
    assert readout_cycles(1, 16, once, of_one_row(), issued=False) == 33


def test_few_lanes_take_a_block_in_parts() -> None:
    """The same on 4 lanes instead of 16: the results take 4 cycles instead of 1; the block enters at 2 as before."""
    once = replace(SOFTMAX, statistics=(Statistic.INVERSE_SUM,))
    assert readout_cycles(1, 16, once, of_one_row(**{"vector.lanes": 4}), issued=False) == 36


def test_row_blocks_that_repeat_are_not_followed_one_by_one() -> None:
    """Sixty-four row blocks take what their pace says, and the pace is that of the first few."""
    for machine in MACHINES.values():
        for kernel in NORMALISED:
            few, more, many = (readout_cycles(16 * n, 192, kernel, machine, issued=False) for n in (4, 6, 64))
            assert many - few == 30 * (more - few)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_core_is_the_limit_when_it_issues_slowly(version: str) -> None:
    """Per row three configurations and three times four mvouts, twenty cycles each."""
    machine = hwconfigs.override(MACHINES[version], {"host.command_cycles": 20})
    for kernel in NORMALISED:
        rows = [readout_cycles(number, 256, kernel, machine) for number in (16, 32)]
        assert rows[1] - rows[0] == 16 * 20 * (3 * 4 + 3)


def test_commands_that_are_waited_for_cost_their_gap() -> None:
    """A store controller that waits for completion adds three cycles to each command of a wide row."""
    waiting, issuing = MACHINES["8c3f992"], MACHINES["v0.7.2"]
    rows = [
        readout_cycles(64, 1024, kernel_named("layernorm"), machine, issued=False) for machine in (waiting, issuing)
    ]
    assert rows[0] > 1.3 * rows[1]


def test_the_unit_alone_is_faster_than_behind_a_store_controller() -> None:
    for machine in MACHINES.values():
        for kernel in NORMALISED:
            assert fed_cycles(16, 768, kernel, machine) < readout_cycles(16, 768, kernel, machine, issued=False)


def test_online_softmax_reads_a_row_once_less_and_pays_for_its_rescaling() -> None:
    online = hwconfigs.override(IBERT, {"vector.online_softmax": True})
    slow = hwconfigs.override(online, {"vector.rescale_cycles": 9})
    assert [Normaliser.passes("softmax", machine) for machine in (IBERT, online)] == [3, 2]
    assert Normaliser.passes("layernorm", online) == 3
    cycles = [readout_cycles(16, 512, SOFTMAX, machine, issued=False) for machine in (online, IBERT, slow)]
    assert cycles == sorted(cycles)
    assert len(set(cycles)) == 3


def test_a_machine_without_the_unit() -> None:
    with pytest.raises(ValueError, match="gemmini has no normalisation unit"):
        readout_cycles(1, 16, SOFTMAX, hwconfigs.load("gemmini"))
