"""Experts: how tokens spread over them, and what that reads, pads and hides."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

import hwconfigs
import workloads
from mapper import pipeline
from mapper.reports.roofline import roofline
from workloads import GraphError
from workloads.analysis.expert_layers import (
    best_order,
    exchange_seconds,
    exchange_step_seconds,
    hiding_tokens,
    imbalance,
    orders,
    padded_work,
    repeats_any,
    repeats_first,
    step_weight_bytes,
)
from workloads.models.layers import Stack
from workloads.routing import Routing, grouped

MIXTRAL = {
    "model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "num_local_experts": 8, "num_experts_per_tok": 2,
    "vocab_size": 32000,
}  # fmt: skip
EDGE = {
    "model_type": "mixtral", "hidden_size": 192, "num_hidden_layers": 1, "num_attention_heads": 3,
    "num_key_value_heads": 3, "intermediate_size": 384, "num_local_experts": 16, "num_experts_per_tok": 2,
}  # fmt: skip
"""Edge-MoE's layer, but for a third matrix of each expert."""

DISTINCT = {
    (8, 2): [2, 5.47, 7.92, 8.00, 8], (64, 8): [8, 26.48, 56.44, 63.99, 64], (128, 8): [8, 29.12, 82.42, 125.94, 128],
    (256, 8): [8, 30.53, 101.96, 222.44, 255.9],
}  # fmt: skip
"""Experts hit by 1, 4, 16, 64 and 256 tokens, by E and k."""

ZIPF = {
    (8, 2, 0.5): ([2.0, 5.3, 7.83, 8.0], 1.71), (8, 2, 1): ([2.0, 4.84, 7.51, 8.0], 2.52),
    (64, 8, 0.5): ([8.0, 25.2, 53.1, 63.9], 3.65), (64, 8, 1): ([8.0, 21.5, 44.6, 62.1], 7.11),
    (128, 8, 0.5): ([8.0, 28.0, 75.7, 122.2], 5.32), (128, 8, 1): ([8.0, 23.6, 57.9, 105.7], 13.44),
}  # fmt: skip
"""The same for 1, 4, 16 and 64 tokens by E, k and exponent, and the busiest expert over the mean: 40,000 draws."""


@pytest.mark.parametrize(("experts", "chosen"), DISTINCT)
def test_distinct_experts(experts: int, chosen: int) -> None:
    for tokens, printed in zip((1, 4, 16, 64, 256), DISTINCT[experts, chosen], strict=True):
        expected = Routing("uniform").distinct(experts, chosen, tokens)
        assert expected == pytest.approx(printed, abs=0.051 if tokens == 256 else 0.0051)
        if tokens in (4, 64):
            drawn = [len(Routing("uniform", seed=seed).loads(experts, chosen, tokens)) for seed in range(30)]
            error = max(statistics.stdev(drawn), 0.1) / len(drawn) ** 0.5
            assert abs(statistics.mean(drawn) - expected) <= 3 * error


@pytest.mark.parametrize(("experts", "chosen", "exponent"), ZIPF)
def test_experts_by_zipf_s_law(experts: int, chosen: int, exponent: float) -> None:
    routing = Routing("zipf", exponent)
    distinct, busiest = ZIPF[experts, chosen, exponent]
    for tokens, drawn in zip((1, 4, 16, 64), distinct, strict=True):
        assert routing.distinct(experts, chosen, tokens) == pytest.approx(drawn, rel=0.01)
    pi = routing.probabilities(experts, chosen)
    assert sum(pi) == pytest.approx(chosen)
    assert pi.max() * experts / chosen == pytest.approx(busiest, rel=0.01)


@pytest.mark.parametrize("text", ["uniform", "zipf:0.7", "zipf:1,seed=3", "balanced", "c.txt", "c.txt,seed=1"])
@pytest.mark.parametrize("tokens", [1, 3, 64, 700])
def test_tokens_of_all_experts_add_up(text: str, tokens: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.txt").write_text("\n".join(str(1 + number % 7) for number in range(32)), encoding="utf-8")
    loads = Routing.parse(text).loads(32, 4, tokens)
    assert sum(loads) == tokens * 4
    assert max(loads) <= tokens
    groups = grouped(loads)
    assert len(groups) <= 16
    assert sum(number * load for number, load in groups) == tokens * 4
    assert sum(number for number, _ in groups) == len(loads)


def test_expected_loads_have_the_spread_of_a_router() -> None:
    """The busiest of 128 experts: not the mean of 32, which rounding the mean would give."""
    drawn = [Routing("uniform", seed=seed).loads(128, 8, 512) for seed in range(20)]
    expected = Routing("uniform").loads(128, 8, 512)
    assert abs(expected[0] - statistics.mean(loads[0] for loads in drawn)) < 2
    assert abs(expected[-1] - statistics.mean(loads[-1] for loads in drawn)) < 2
    assert imbalance(expected, 128) == pytest.approx(
        statistics.mean(imbalance(loads, 128) for loads in drawn), rel=0.05
    )


def test_a_model_follows_its_router() -> None:
    even, skewed = (workloads.build(EDGE, seq=129, routing=text) for text in ("balanced", "zipf:1"))
    assert even.macs == skewed.macs
    assert even.parameters == skewed.parameters
    rows = sorted(op.dims["m"] for op in skewed.operators if op.name.endswith("expert_gate"))
    assert rows[-1] > 60 > 5 > rows[0]
    assert skewed.config["routing"] == "zipf:1"
    with pytest.raises(GraphError, match="bert-base: routing='zipf:1' is for models with experts"):
        workloads.build("bert-base", seq=8, routing="zipf:1")


def test_expert_order_reads_each_expert_once() -> None:
    by_expert, by_token = (
        workloads.build(EDGE, seq=129, routing=f"balanced,order={order}") for order in ("expert", "token")
    )
    assert by_token.tensors["expert_gate.weight"].elements == 258 * 192 * 384
    one = 2 * 192 * 384
    loads = [17] * 2 + [16] * 14
    first, second = orders(loads, one)
    assert (first.weights_read, second.weights_read, first.buffer) == (16 * 147_456, 258 * 147_456, 294_912)
    assert by_expert.macs == by_token.macs
    assert by_expert.parameters == by_token.parameters
    assert best_order(loads, 16, one, 300_000).order == "expert"
    assert best_order([1, 1], 16, one, 16 * one) == best_order([1, 1], 16, one, 300_000)
    with pytest.raises(GraphError, match="holds no expert"):
        best_order(loads, 16, one, 100_000)


@pytest.mark.parametrize(("bandwidth", "tokens"), [("8 B/cycle", 32), ("16 B/cycle", 16)])
def test_an_expert_hides_the_next_one_s_weights(bandwidth: str, tokens: int) -> None:
    """Swept over tokens on the least times that the roofline of a machine states."""
    spec = hwconfigs.load("gemmini", {"dram.bandwidth": bandwidth})
    assert hiding_tokens(256, float(bandwidth.split()[0])) == tokens

    def hides(rows: int) -> bool:
        line = roofline(pipeline.matmul_graph(rows, 4096, 14336, 4), spec)
        return line.array_cycles >= line.dram_cycles

    found = next(rows for rows in range(1, 100) if hides(rows))
    assert found == pytest.approx(tokens, rel=0.1)


FULL_PORT = {
    "dram.evict": 0, "dma.bus": "32 B/cycle", "dma.max_in_flight": 64, "scratchpad.capacity": "1 MiB",
    "accumulator.capacity": "256 KiB",
}  # fmt: skip
"""A port that delivers what its data sheet says, and room for the next weights."""


@pytest.mark.parametrize(("bandwidth", "tokens"), [(8, 32), (16, 16)])
def test_simulated_experts_begin_to_take_time_there(bandwidth: int, tokens: int) -> None:
    """Up to that many tokens an expert takes what one token takes, and a row tile more is dearer by a half."""
    spec = hwconfigs.load("gemmini", {**FULL_PORT, "dram.bandwidth": f"{bandwidth} B/cycle"})

    def cycles(rows: int) -> int:
        return pipeline.map_matmul(rows, 256, 512, spec, finalists=0).simulation.cycles

    one = cycles(1)
    swept = {rows: cycles(rows) / one for rows in (16, 17, 32, 33, 48) if rows <= tokens + 16}
    hidden = max(rows for rows, dearer in swept.items() if dearer < 1.25)
    assert hidden == pytest.approx(tokens, rel=0.1)
    assert min(dearer for rows, dearer in swept.items() if rows > hidden) > 1.4


@pytest.mark.parametrize(
    ("tokens", "chosen", "experts", "rows", "factor"),
    [
        (16384, 2, 64, 128, 1.122), (16384, 2, 128, 128, 1.242), (512, 2, 8, 16, 1.059), (512, 8, 128, 16, 1.227),
        (129, 2, 16, 16, 1.436), (64, 8, 128, 16, 3.936),
    ],
)  # fmt: skip
def test_padding_to_whole_tiles(tokens: int, chosen: int, experts: int, rows: int, factor: float) -> None:
    assert padded_work(experts, chosen, tokens, rows) == pytest.approx(factor, abs=0.0006)


def test_padding_grows_with_experts_and_vanishes_with_tokens() -> None:
    by_experts = [padded_work(experts, 2, 256, 16) for experts in (4, 8, 16, 32, 64)]
    assert by_experts == sorted(by_experts)
    by_tokens = [padded_work(16, 2, tokens, 16) for tokens in (64, 512, 4096, 32768)]
    assert by_tokens == sorted(by_tokens, reverse=True)
    assert by_tokens[-1] < 1.003


@pytest.mark.parametrize(("batch", "gigabytes"), [(1, 12.749), (4, 32.303), (16, 46.12)])
def test_weights_of_a_decode_step(batch: int, gigabytes: float) -> None:
    stack = workloads.load_config(MIXTRAL)
    assert isinstance(stack, Stack)
    assert step_weight_bytes(stack, batch) / 1e9 == pytest.approx(gigabytes, rel=0.001)
    built = workloads.build(MIXTRAL, phase="decode", context=1, batch=batch, lm_head=True)
    assert built.bytes_of("weight") / 1e9 == pytest.approx(gigabytes, rel=0.002)  # whole experts in whole layers


def test_exchange_between_chips() -> None:
    once = exchange_seconds(32, 9, 7000, 50e9)
    assert once == pytest.approx(120.96e-6)
    step = exchange_step_seconds(61, once)
    assert round(step * 1e3, 2) == 14.76
    assert int(1 / step) == 67


def test_experts_that_repeat() -> None:
    assert repeats_first(8) == 0.125
    assert round(repeats_any(8, 2), 3) == 0.464


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("zip:1", "must be balanced, uniform, zipf:S or a file"), ("balancd", "did you mean 'balanced'"),
        ("zipf:-1", "zipf:S with S in 0..10"), ("zipf:nan", "zipf:S with S in 0..10"),
        ("uniform,sed=3", "seed=N and order=expert"), ("uniform,seed=x", "seed=N and order=expert"),
        ("uniform,order=chip", "order must be expert or token"), ("balanced,seed=3", "the last three with ,seed=N"),
        ("none.json", "none.json: cannot be read: No such file"),
        ('bad.json:["a"]', "must hold 1 to 65,536 counts"), ("bad.json:[0, 0]", "not all of them 0"),
        ("bad.json:[1, -1]", "must hold 1 to 65,536 counts"), ('bad.json:{"a": 1}', "must hold a list, not dict"),
        ("bad.txt:1\nx", "bad.txt:2: 'x' is no number"), ("bad.txt:1\n1", "has 2 counts, the model 16 experts"),
        ("bad.txt:" + "\n".join(["99"] + ["1"] * 15), "expert 0 has 86.8% of the tokens' choices"),
    ],
)  # fmt: skip
def test_routers_that_are_none(text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if text.startswith("bad"):
        text, content = text.split(":", 1)
        Path(text).write_text(content, encoding="utf-8")
    with pytest.raises(GraphError) as caught:
        workloads.build(EDGE, seq=8, routing=text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_experts_per_token_than_experts() -> None:
    wrong: dict[str, Any] = {**EDGE, "num_experts_per_tok": 17}
    with pytest.raises(GraphError, match="num_experts_per_tok=17 is more than the 16 experts"):
        workloads.build(json.loads(json.dumps(wrong)), seq=8)
    with pytest.raises(GraphError, match=r"chosen=3: must lie in 1..2"):
        padded_work(2, 3, 8, 16)
