"""Pruned layers, shrinking sequences, early exits, two models, sparse storage, and the formulas of serving."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import workloads
from mapper import pipeline
from mapper.generation.runtime_model import Timing, fit
from workloads import GraphError
from workloads.analysis import decoding, serving, token_schedules
from workloads.analysis.decoding import Speculation
from workloads.storage import bitmask, n_of_m

SEED = Path(__file__).resolve().parents[3] / "shared" / "data" / "seed_tables.json"
BASE: dict[str, Any] = {"family": "bert", "layers": 4, "d_model": 64, "heads": 4, "d_ffn": 256}


@pytest.mark.parametrize(
    ("acceptance", "drafted", "cost", "tokens", "speed_up"),
    [(0.8, 5, 0.0, 3.69, 3.69), (0.75, 7, 0.02, None, 3.16), (0.65, 5, 0.02, None, 2.40)],
)
def test_speculative_decoding(
    acceptance: float, drafted: int, cost: float, tokens: float | None, speed_up: float
) -> None:
    pair = Speculation(acceptance, cost)
    assert round(pair.speed_up(drafted), 2) == speed_up
    assert tokens is None or round(pair.tokens(drafted), 2) == tokens
    assert round(Speculation(0.8).operations(5), 2) == 1.63


@pytest.mark.parametrize(("acceptance", "cost"), [(0.8, 0.02), (0.65, 0.1), (0.3, 0.4), (0.95, 0.05)])
def test_the_best_draft_is_the_best_of_all(acceptance: float, cost: float) -> None:
    pair = Speculation(acceptance, cost)
    best = pair.best(40)
    assert all(pair.speed_up(best) >= pair.speed_up(drafted) for drafted in range(41))
    assert (best == 0) == (acceptance <= cost)
    dear = pair.best(40, [1.0 + 0.3 * rows for rows in range(41)])
    assert dear <= best


def test_other_ways_of_two_models() -> None:
    assert decoding.big_little(1.0, 10.0, 0.25) == 3.5
    assert decoding.several_heads([0.8]) == 1.8
    assert decoding.several_heads([0.9, 0.5]) == pytest.approx(1 + 0.9 + 0.45)


@pytest.mark.slow
def test_verifying_some_rows_costs_what_one_costs() -> None:
    """The weights of GPT-2 cross a port of 8 B/cycle once, whatever the rows, until the array has more to do."""
    cycles = {
        rows: sum(
            part.cycles
            for part in pipeline.run("gpt2", "gemmini_ibert", seq=rows, context=512, finalists=0).simulation.by_op
        )
        for rows in (1, 16, 64)
    }
    assert cycles[16] <= 1.1 * cycles[1]
    assert cycles[64] >= 1.7 * cycles[1]


@pytest.mark.parametrize(
    ("kept", "tokens", "printed"), [(0.2, 128, 1.51), (0.2, 512, 1.53), (0.4, 512, 1.36), (0.0, 512, 1.75)]
)
def test_schedules_of_tokens(kept: float, tokens: int, printed: float) -> None:
    schedule = token_schedules.top_k_schedule(12, tokens, kept)
    assert round(token_schedules.saving(768, 12, tokens, schedule), 2) == printed


@pytest.mark.parametrize("seed", range(5))
def test_a_schedule_s_operations_are_those_of_the_graph(seed: int) -> None:
    tokens = sorted((random.Random(seed).randint(1, 40) for _ in range(4)), reverse=True)
    graph = workloads.build({**BASE, "per_layer": {"tokens": tokens}}, seq=40)
    assert token_schedules.operations(64, tokens) == 2 * graph.macs


@pytest.mark.parametrize(
    ("family", "asked"),
    [("bert", {"seq": 9}), ("gpt", {"seq": 9}), ("gpt", {"phase": "decode", "context": 9}), ("llama", {"seq": 9})],
)
def test_layers_with_shapes_of_their_own(family: str, asked: dict[str, Any]) -> None:
    """Each layer is that of a model whose layers are all so; a list that changes nothing changes nothing."""
    config = {**BASE, "family": family}
    whole = workloads.build(config, **asked)
    listed = workloads.build({**config, "per_layer": {"heads": [4] * 4, "d_ffn": [256] * 4}}, **asked)
    assert (listed.totals(), listed.parameters, listed.repeat) == (whole.totals(), whole.parameters, 4)
    pruned = workloads.build({**config, "per_layer": {"heads": [4, 2, 4, 1], "d_ffn": [256, 64, 256, 32]}}, **asked)
    one = [
        workloads.build({**config, "layers": 1, "heads": heads, "head_dim": 16, "d_ffn": inner}, **asked)
        for heads, inner in ((4, 256), (2, 64), (4, 256), (1, 32))
    ]
    assert pruned.macs == sum(graph.macs for graph in one)
    assert pruned.parameters == sum(graph.parameters for graph in one)
    assert [kind.layers for kind in pruned.kinds] == [(0, 2), (1,), (3,)]


def test_layers_without_a_part() -> None:
    graph = workloads.build({**BASE, "per_layer": {"heads": [4, 0, 4, 4], "d_ffn": [256, 256, 0, 256]}}, seq=8)
    names = {kind.layers: {name.split(".")[-1] for name in kind.operators} for kind in graph.kinds}
    assert "scores" not in names[(1,)] and "ffn1" in names[(1,)]
    assert "scores" in names[(2,)] and "ffn1" not in names[(2,)]
    assert graph.config["notes"] == ["layers have shapes of their own (per_layer)"]


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        ({"heads": [1]}, "per_layer.heads: 1 numbers for 4 layers"),
        ({"tokens": [8, 8]}, "per_layer.tokens: 2 numbers for 4 layers"),
        ({"tokens": [9, 9, 9, 9]}, "per_layer.tokens: 9 tokens in a layer, of a prompt of 8"),
        ({"heads": [4, 4, 4, 3], "kv_heads": [2] * 4}, "layer 3: 3 heads are no multiple of 2"),
        ({"heads": [4, 4, 4, 0], "d_ffn": [1, 1, 1, 0]}, "layer 3 has neither attention nor"),
        ({"heads": [4, 4, 4, -1]}, "per_layer.heads.3=-1"),
        ({"hedas": [4] * 4}, "per_layer.hedas: unknown key"),
    ],
)
def test_lists_that_do_not_fit(listed: dict[str, Any], says: str) -> None:
    with pytest.raises(GraphError) as caught:
        workloads.build({**BASE, "per_layer": listed}, seq=8)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_expected_cost_of_early_exits_is_the_mean_of_runs() -> None:
    costs = [7.0, 5.0, 11.0, 3.0]
    exits = [0.1, 0.4, 0.2, 0.3]
    runs = [sum(costs[: layer + 1]) for layer in range(4)]
    assert decoding.early_exit(costs, exits) == pytest.approx(
        sum(share * run for share, run in zip(exits, runs, strict=True))
    )
    filled = [sum(costs[: layer + 1]) + 2.0 * (3 - layer) for layer in range(4)]
    assert decoding.early_exit(costs, exits, [2.0] * 4) == pytest.approx(
        sum(share * run for share, run in zip(exits, filled, strict=True))
    )
    assert decoding.reaches([0, 0, 0, 1]) == (1, 1, 1, 1)


def test_sparse_storage_is_exact_and_computes_all() -> None:
    assert n_of_m(2, 4, 8).bits / 8 == Fraction(5, 8)
    assert n_of_m(2, 4, 16).bits / 8 == Fraction(9, 8)
    assert n_of_m(2, 4, 8).bytes(1000) == 625
    assert bitmask(8, 0.25).bits / 8 == Fraction(1, 8) + Fraction(1, 4)
    assert bitmask(8, Fraction(7, 8)).bytes(800) == 800  # the break-even
    assert bitmask(8, 0.87).bytes(10**6) < 10**6 < bitmask(8, 0.88).bytes(10**6)
    assert "multiply-accumulates are unchanged" in n_of_m(2, 4, 8).note


def test_what_is_no_saving() -> None:
    for call in (
        lambda: Speculation(1.2), lambda: Speculation(0.5).speed_up(-1), lambda: Speculation(0.5).best(8, [1.0]),
        lambda: decoding.early_exit([1.0], [0.5, 0.5]), lambda: decoding.reaches([0.5]),
        lambda: decoding.big_little(1, 1, 2), lambda: token_schedules.saving(64, 4, 8, [8, 8]),
        lambda: token_schedules.top_k_schedule(12, 128, 1.5), lambda: token_schedules.top_k_schedule(3, 8, 0.5),
        lambda: n_of_m(3, 2, 8), lambda: n_of_m(2, 3, 8), lambda: bitmask(8, 1.5),
        lambda: serving.helm_first({}, 3), lambda: serving.bandwidth_bound(0, 1, 1, 1),
    ):  # fmt: skip
        with pytest.raises(GraphError) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_bounds_and_shares_of_serving() -> None:
    gpt2 = workloads.build("gpt2", phase="decode", context=511)
    gain = serving.batch_gain(gpt2.bytes_of("weight"), gpt2.bytes_of("kv_cache"), 8)
    assert round(gain, 2) == 4.71
    bound = serving.bandwidth_bound(3.703e9, 0, 1, 1008e9)
    assert round(bound) == 272
    assert all(measured <= bound for measured in (112.9, 159.4, 206.4))  # RTX 4090, weights of 4 bits
    assert serving.bandwidth_use(3.703e9, 1 / 206.4, 1008e9) == pytest.approx(0.76, abs=0.005)
    assert 0 < serving.compute_use(6.5e9, 1, 1 / 206.4, 330e12) < 1
    first = {128: 0.094, 192: 0.103}
    assert round(serving.helm_first(first, 129), 3) == 0.069
    assert serving.helm_first(first, 128) == 0.094
    assert serving.helm_first(first, 384) == 0.206


@pytest.mark.skipif(not SEED.exists(), reason="the measurements of others are not beside this checkout")
def test_a_published_generation() -> None:
    """davinci, 512 tokens in and 32 out: 2.690 s and 2.448 cents on eight A100, by its own rows."""
    row = json.loads(SEED.read_text(encoding="utf-8"))["idealised_runtime_2305_02440"]["a100"]["openai_davinci"]
    times = [
        Timing(prompt, output, seconds)
        for prompt, of_prompt in zip(row["prompt_tokens"], row["T_s"], strict=True)
        for output, seconds in zip(row["output_tokens"], of_prompt, strict=True)
    ]
    fitted = fit(times)
    assert (round(fitted.first[512], 3), fitted.step) in {(0.178, 0.081), (0.179, 0.081)}
    assert round(0.179 + 31 * fitted.step, 3) == 2.690
    assert round(serving.cents(2.690, row["gpus"], 4.096), 3) == 2.448
    assert fitted.seconds(512, 32) == pytest.approx(2.690, abs=0.002)
