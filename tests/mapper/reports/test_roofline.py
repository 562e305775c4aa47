"""The bottleneck follows from the roofline and from the simulated bounds, and never contradicts either."""

from __future__ import annotations

import pytest

import hwconfigs
import workloads
from mapper.reports.roofline import Roofline, bottleneck, bottleneck_sentence, roofline
from simulator.report import Counts, Report, UnitTime
from workloads import Bits

GEMMINI = hwconfigs.load("gemmini")
DECODE = workloads.build("gpt2", phase="decode", context=512)


def report(macs: int = 0, **cycles: int) -> Report:
    """One operator for each bound, of so many cycles."""
    parts = tuple(
        Report(f"on_{bound}", "simulate", "m", 1000.0, number, Counts(), {}, 256, bound=bound)
        for bound, number in cycles.items()
    )
    units = {"load": UnitTime(0, {}, sum(cycles.values()))}
    counts = Counts({("array", "mac"): macs})
    return Report("m", "simulate", "m", 1000.0, sum(cycles.values()), counts, units, 256, by_op=parts)


@pytest.mark.parametrize(
    ("dram", "array", "cycles", "kind"),
    [
        (50, 10, {"load": 100}, "memory"),
        (50, 10, {"compute": 100}, "memory"),
        (15, 4, {"compute": 80, "load": 20}, "compute"),
        (15, 4, {"compute": 40, "load": 30, "store": 30}, "memory"),
        (4, 50, {"load": 100}, "compute"),
        (4, 15, {"load": 100}, "memory"),
        (50, 10, {"host": 60, "load": 40}, "host"),
        (50, 10, {"normaliser": 51, "compute": 49}, "normaliser"),
    ],
)
def test_bottleneck(dram: int, array: int, cycles: dict[str, int], kind: str) -> None:
    assert bottleneck(Roofline(dram, 0, array), report(**cycles)) == kind


def test_nearly_empty_steps_are_no_memory_bound() -> None:
    """The floor of the weights is 15 % of this run, which the array fills with steps of one row."""
    wide = hwconfigs.override(GEMMINI, {"dram.bandwidth": 64})
    text = bottleneck_sentence(DECODE, wide, report(94_390_272, compute=9_500_000, load=15_508))
    assert text.startswith("bound by array steps of few rows (utilisation 3.9%), not by memory: reading every weight")
    assert "takes at least 1,474,848 cycles (64 B/cycle), more than the 368,712 cycles of a full array" in text
    assert text.endswith("the run takes 6.45 times that floor.")
    assert "memory-bound" not in text


def test_memory_bound() -> None:
    """94,390,272 bytes over 8 a cycle."""
    text = bottleneck_sentence(DECODE, GEMMINI, report(94_390_272, load=23_597_568))
    assert text.startswith("memory-bound: reading every weight and KV byte once takes at least 11,798,784 cycles")
    assert text.endswith("the run takes 2.00 times that floor.")


@pytest.mark.parametrize(
    ("bound", "cycles", "says"),
    [
        ("compute", 24_576, "compute-bound: the matrix products need at least 12,288 cycles of a full array"),
        ("load", 122_880, "bound by loads and stores, not by their volume (at least 6,144 cycles (8 B/cycle)): the"),
    ],
)
def test_products_that_use_the_array(bound: str, cycles: int, says: str) -> None:
    """64 x 64 x 768 on 256 a cycle; 64 x 768 bytes of weights over 8 a cycle."""
    graph = workloads.OpGraph("x", [workloads.matmul("x", 64, 64, 768)])
    text = bottleneck_sentence(graph, GEMMINI, report(64 * 64 * 768, **{bound: cycles}))
    assert text.startswith(says)
    assert text.endswith(f"the run takes {cycles / 12_288:.2f} times that.")


def test_narrow_weights_cross_the_port_as_bytes() -> None:
    narrow = workloads.build("gpt2", phase="decode", context=512, bits=Bits(weight=4))
    assert roofline(narrow, GEMMINI) == roofline(DECODE, GEMMINI)
