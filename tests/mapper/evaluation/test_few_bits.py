"""Weights and caches of few bits: what crosses the DRAM, what that buys, and the same counts in both books."""

from __future__ import annotations

import pytest

import hwconfigs
import workloads
from hwconfigs import HardwareSpec
from mapper import pipeline
from mapper.result import RunResult
from workloads import Bits, OpGraph
from workloads.storage import FORMATS

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


@pytest.mark.slow
@pytest.mark.parametrize(("bandwidth", "least", "most"), [(8, 1.5, 1.9), (16, 0.95, 1.1)])
def test_what_four_bits_buy_a_step_of_gpt2(bandwidth: int, least: float, most: float) -> None:
    """Products with weights, 512 cached tokens: 15.5 of 16 bytes per cycle arrive, and the array takes 16 weights."""
    cycles = {}
    for bits in (8, 4):
        block = workloads.build("gpt2", phase="decode", context=512, bits=Bits(weight=bits, kv=bits))
        products = [block.operator(name) for name in ("q", "out", "ffn1", "ffn2")]
        spec = hwconfigs.load("gemmini_decoder", {"dram.bandwidth": bandwidth})
        cycles[bits] = pipeline.run_graph(OpGraph("products", products), spec, finalists=0).simulation.cycles
    assert least < cycles[8] / cycles[4] < most


def test_a_narrow_unit_makes_few_bits_slower_than_bytes(runs: dict[int, RunResult]) -> None:
    """4 weights per cycle, as Gemmini's load scaler has multipliers, are less than 8 bytes of int8."""
    slow = run(Bits(weight=4), machine(**{"unpack.scales": "at_load", "unpack.elements_per_cycle": 4}))
    assert of(slow, "q")[1] > of(runs[8], "q")[1]
    part = next(part for part in slow.estimate.by_op if part.name == "q")
    assert part.cycles == pytest.approx(of(slow, "q")[1], rel=0.1)


GROUPS = {"unpack.scales": "at_load", "unpack.scale_block": 32, "unpack.scale_bits": 16}
"""A scale of 16 bits for 32 weights of 4 bits: 4.5 bits each, as in Q4_0."""


@pytest.fixture(scope="module")
def grouped() -> RunResult:
    return run(Bits(weight=4, kv=4), machine(**GROUPS))


def test_scales_of_groups_cross_the_dram_with_their_weights() -> None:
    """Behind an L2, which fetches each line once; alone the DMA asks for 36 bytes, 64 weights, in beats of 16."""
    bytes_of = {}
    for name, bits, changes in (("int8", 8, {}), ("int4", 4, {}), ("groups", 4, GROUPS)):
        result = run(Bits(weight=bits), hwconfigs.load("gemmini_decoder", {"dram.bandwidth": 8, **changes}))
        bytes_of[name] = of(result, "q")[0]
        assert of(result, "q")[2] == pytest.approx(bytes_of[name] * result.prices.pj["dram", "read_byte"])
    weights = 256 * 256
    assert bytes_of["int8"] - bytes_of["groups"] == weights - FORMATS["q4_0"].bytes(weights)
    assert bytes_of["groups"] - bytes_of["int4"] == weights // 32 * 2


def test_scales_take_time_of_the_dram(grouped: RunResult, runs: dict[int, RunResult]) -> None:
    assert of(runs[4], "q")[1] < of(grouped, "q")[1] < of(runs[8], "q")[1]


def test_both_books_count_scales_alike(grouped: RunResult) -> None:
    for expected, simulated in zip(grouped.estimate.by_op, grouped.simulation.by_op, strict=True):
        assert expected.counts == simulated.counts, simulated.name
    assert pipeline.check_numbers(grouped).wrong == []


@pytest.mark.parametrize("spec", [machine(**GROUPS), machine(**{**GROUPS, "l2": {}})], ids=["no L2", "L2"])
@pytest.mark.parametrize("sizes", [(1, 100, 72), (5, 64, 200)])
def test_ragged_products_with_scales_count_alike(spec: HardwareSpec, sizes: tuple[int, int, int]) -> None:
    m, k, n = sizes
    weight = workloads.Tensor("w", (k, n), ("k", "n"), 4, "weight")
    operator = workloads.matmul("odd", m, k, n, b=weight)
    result = pipeline.run_graph(OpGraph("odd", [operator]), spec, finalists=0)
    assert result.estimate.counts == result.simulation.counts
    assert pipeline.check_numbers(result).wrong == []


def test_machines_without_the_unit_keep_bytes() -> None:
    lean = machine(unpack=None)
    four, eight = (run(Bits(weight=bits), lean) for bits in (4, 8))
    assert of(four, "q") == of(eight, "q")
    assert hwconfigs.load("gemmini").unpack is None


@pytest.mark.parametrize(
    ("key", "changes", "reason"),
    [
        ("scale_block", {"scale_block": 24}, "a power of two"),
        ("scale_bits", {"scale_bits": -1}, "-1"),
        ("scales", {"scale_block": 32, "scale_bits": 16}, "at_load"),
        ("scale_bits", {"scale_block": 32, "scale_bits": 8, "scales": "at_load"}, "8.5 bytes"),
        ("scale_bits", {"scale_block": 4, "scale_bits": 16, "scales": "at_load"}, "no less than a byte"),
    ],
)
def test_scales_that_cannot_be_are_told(key: str, changes: dict[str, object], reason: str) -> None:
    with pytest.raises(hwconfigs.SpecError) as caught:
        machine(**{f"unpack.{name}": value for name, value in changes.items()})
    assert any(f"unpack.{key}" in line and reason in line for line in caught.value.problems), caught.value.problems


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
