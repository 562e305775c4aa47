"""Weights and caches of few bits: what crosses the DRAM, what that buys, and the same counts in both books."""

from __future__ import annotations

import pytest

import hwconfigs
import workloads
from hwconfigs import HardwareSpec
from mapper import pipeline
from mapper.result import RunResult
from workloads import Bits, OpGraph

GPT = {"family": "gpt", "name": "small", "source": "a test", "layers": 1, "d_model": 256, "heads": 4, "d_ffn": 256}


def machine(**changes: object) -> HardwareSpec:
    settings = {"dram.bandwidth": 8, "l2": None, **changes}
    return hwconfigs.load("gemmini_decoder", settings)


def run(bits: Bits, spec: HardwareSpec) -> RunResult:
    block = workloads.build(GPT, phase="decode", context=63, bits=bits)
    products = [block.operator(name) for name in ("q", "scores")]
    return pipeline.run_graph(OpGraph("products", products), spec, finalists=0)


@pytest.fixture(scope="module")
def runs() -> dict[int, RunResult]:
    """Without an L2, so that each byte asked for is a byte read."""
    return {bits: run(Bits(weight=bits, kv=bits), machine()) for bits in (8, 4, 2)}


def of(result: RunResult, name: str) -> tuple[int, int, float]:
    """Bytes read, cycles and energy of the DRAM of one operator."""
    part = next(part for part in result.simulation.by_op if part.name == name)
    return part.counts["dram", "read_byte"], part.cycles, part.energy_pj_by_action["dram", "read_byte"]


def test_bytes_and_energy_of_the_dram_follow_the_bits(runs: dict[int, RunResult]) -> None:
    """Beside weights 256 activations in int8 and as many int32 biases are read, whatever the weights have."""
    others = 256 + 4 * 256
    eight, energy = of(runs[8], "q")[0] - others, of(runs[8], "q")[2]
    price = energy / of(runs[8], "q")[0]
    for bits in (4, 2):
        moved, _, spent = of(runs[bits], "q")
        assert moved - others == eight * bits // 8
        assert spent == pytest.approx(price * moved)


def test_estimate_and_simulation_count_the_same(runs: dict[int, RunResult]) -> None:
    for result in runs.values():
        for expected, simulated in zip(result.estimate.by_op, result.simulation.by_op, strict=True):
            assert expected.counts == simulated.counts, simulated.name


def test_fewer_bits_buy_time_until_the_array_is_the_limit(runs: dict[int, RunResult]) -> None:
    """16 weights per cycle: 8 bytes of 4 bits; 2 bits need half of the bytes and are no faster."""
    cycles = {bits: of(result, "q")[1] for bits, result in runs.items()}
    assert 1.5 < cycles[8] / cycles[4] < 2.0
    assert cycles[4] / cycles[2] < 1.15
    assert cycles[2] >= 256 * 256 // 16


def test_a_narrow_unit_makes_few_bits_slower_than_bytes(runs: dict[int, RunResult]) -> None:
    """4 weights per cycle, as Gemmini's load scaler has multipliers, are less than 8 bytes of int8."""
    slow = run(Bits(weight=4), machine(**{"unpack.scales": "at_load", "unpack.elements_per_cycle": 4}))
    assert of(slow, "q")[1] > of(runs[8], "q")[1]
    part = next(part for part in slow.estimate.by_op if part.name == "q")
    assert part.cycles == pytest.approx(of(slow, "q")[1], rel=0.1)


def test_machines_without_the_unit_keep_bytes() -> None:
    lean = machine(unpack=None)
    four, eight = (run(Bits(weight=bits), lean) for bits in (4, 8))
    assert of(four, "q") == of(eight, "q")
    assert hwconfigs.load("gemmini").unpack is None


def test_numbers_do_not_depend_on_how_weights_lie(runs: dict[int, RunResult]) -> None:
    assert pipeline.check_numbers(runs[4]).wrong == []


@pytest.mark.parametrize(
    ("key", "value"), [("bits", [3]), ("bits", []), ("scales", "never"), ("elements_per_cycle", 0)]
)
def test_bad_values_are_one_line_with_the_key(key: str, value: object) -> None:
    with pytest.raises(hwconfigs.SpecError) as caught:
        hwconfigs.load("gemmini_decoder", {f"unpack.{key}": value})
    (line,) = caught.value.problems
    assert f"unpack.{key}" in line
