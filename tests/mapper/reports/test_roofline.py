"""The closing sentence: what bounds the run, by the rule of the simulator, and the least times beside it."""

from __future__ import annotations

from dataclasses import replace

import hwconfigs
import workloads
from mapper.reports.roofline import closing_sentence, roofline
from simulator.bottleneck import bound_of
from simulator.report import Counts, Report, UnitTime
from simulator.units import UNIT_NAMES
from workloads import Bits

GEMMINI = hwconfigs.load("gemmini")
DECODE = workloads.build("gpt2", phase="decode", context=512)


def report(macs: int = 0, **cycles: int) -> Report:
    """One operator for each cause, of so many cycles; the array is 256 wide."""
    parts = tuple(_operator(cause, number, macs) for cause, number in cycles.items())
    counts = Counts({("array", "mac"): macs})
    whole = Report("m", "simulate", "m", 1000.0, sum(cycles.values()), counts, {}, 256, by_op=parts)
    return replace(whole, bound=bound_of(whole))


def _operator(cause: str, cycles: int, macs: int) -> Report:
    """Let the array step, or be idle while one unit works."""
    units = {name: UnitTime(0, {}, cycles) for name in UNIT_NAMES}
    units["execute" if cause == "steps" else cause] = UnitTime(cycles, {}, 0)
    counts = Counts({("array", "mac"): macs if cause == "steps" else 0})
    part = Report(f"on_{cause}", "simulate", "m", 1000.0, cycles, counts, units, 256)
    return replace(part, bound=bound_of(part))


def test_few_rows_are_padding_and_both_floors_are_told() -> None:
    """94,390,272 bytes over 64 a cycle; as many MACs over 256."""
    wide = hwconfigs.override(GEMMINI, {"dram.bandwidth": 64})
    text = closing_sentence(DECODE, wide, report(94_390_272, steps=9_500_000, load=15_508))
    assert text.startswith("bound by padding: array steps of few rows, ragged blocks or transposed weights take 96% of")
    assert "It needs at least 1,474,848 cycles of the DRAM (64 GB/s) for every weight and KV byte once and" in text
    assert text.endswith("368,712 cycles of a full array (256 MACs/cycle); it takes 6.45 times the higher of them.")


def test_bandwidth() -> None:
    text = closing_sentence(DECODE, GEMMINI, report(load=23_597_568, host=100))
    assert text.startswith("bandwidth-bound: waiting for loads takes 100% of the cycles, mostly while data move, most")
    assert " most of all in on_load. It needs at least 11,798,784 cycles of the DRAM (8 GB/s) for every weight" in text
    assert text.endswith("it takes 2.00 times the higher of them.")


def test_units_that_carry_out_operators() -> None:
    text = closing_sentence(DECODE, GEMMINI, report(load=40, host=60))
    assert text.startswith("host-bound: the host takes 60% of the cycles, most of all in on_host. It needs")


def test_products_that_use_the_array() -> None:
    """64 x 64 x 768 on 256 a cycle; 64 x 768 bytes of weights over 8 a cycle."""
    graph = workloads.OpGraph("x", [workloads.matmul("x", 64, 64, 768)])
    text = closing_sentence(graph, GEMMINI, report(64 * 64 * 768, steps=24_576))
    assert text.startswith("compute-bound: the array steps at its full rate for 50% of the cycles. It needs at least")
    assert "12,288 cycles of a full array (256 MACs/cycle) and 6,144 cycles of the DRAM (8 GB/s)" in text
    assert text.endswith("it takes 2.00 times the higher of them.")


def test_nothing_to_multiply_has_no_floor() -> None:
    graph = workloads.build("gpt2", seq=8)
    add = workloads.OpGraph("x", [next(op for op in graph.operators if op.name == "attention_add")])
    assert closing_sentence(add, GEMMINI, report(load=40)).endswith("mostly while data move.")


def test_narrow_weights_cross_the_port_as_bytes() -> None:
    narrow = workloads.build("gpt2", phase="decode", context=512, bits=Bits(weight=4))
    assert roofline(narrow, GEMMINI) == roofline(DECODE, GEMMINI)
