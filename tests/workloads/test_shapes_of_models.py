"""Skipped keys, encoder states, the ends of a model, experts that are hit, and names: what no single file shows."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import workloads
from workloads import GraphError
from workloads.models.layers import SKIPPED_BLOCK, Experts, FeedForward

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 500,
}  # fmt: skip
MISTRAL = {**LLAMA, "model_type": "mistral", "sliding_window": 100}
MIXTRAL = {**LLAMA, "model_type": "mixtral", "num_hidden_layers": 32, "num_local_experts": 8, "num_experts_per_tok": 2}
T5 = {"model_type": "t5", "d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4}


def scores(model: dict[str, Any], **asked: Any) -> int:
    return workloads.build(model, **asked).operator("scores").macs


@pytest.mark.parametrize("seq", [1, 64, 65, 512])
@pytest.mark.parametrize("window", [None, 100, 7])
def test_skipped_keys_are_those_that_no_query_of_a_block_sees(seq: int, window: int | None) -> None:
    model = {**MISTRAL, "sliding_window": window}
    seen = 0
    for start in range(0, seq, SKIPPED_BLOCK):
        end = min(seq, start + SKIPPED_BLOCK)
        visible = {key for row in range(start, end) for key in range(max(0, row - (window or seq) + 1), row + 1)}
        seen += (end - start) * len(visible)
    mean = math.ceil(seen / seq)
    assert scores(model, seq=seq, causal="skip") == 4 * 16 * seq * mean
    assert scores(model, seq=seq) == 4 * 16 * seq * seq


def test_presets_skip_as_files_do() -> None:
    assert scores({**LLAMA}, seq=128, causal="skip") * 4 == scores({**LLAMA}, seq=128) * 3
    full, skipped = (workloads.build("gpt2", seq=128, causal=causal) for causal in ("full", "skip"))
    assert 4 * skipped.operator("scores").macs == 3 * full.operator("scores").macs
    assert workloads.build("bert-base", seq=128, causal="skip").macs == workloads.build("bert-base", seq=128).macs


def test_a_window_bounds_a_continued_prompt() -> None:
    graph = workloads.build(MISTRAL, seq=10, context=300)
    assert graph.operator("scores").dims["n"] == 99 + 10
    assert graph.tensors["k_cache"].shape[2] == 109


def test_the_ends_run_once() -> None:
    block = workloads.build(LLAMA, phase="decode", context=9, batch=2)
    whole = workloads.build(LLAMA, phase="decode", context=9, batch=2, lm_head=True)
    assert whole.macs == block.macs + 2 * 64 * 500
    assert whole.parameters == block.parameters + 64 * 500
    assert [whole.runs(name) for name in ("q", "embedding", "lm_head")] == [3, 1, 1]
    prompt = workloads.build(LLAMA, seq=7, batch=2, lm_head=True)
    assert prompt.operator("lm_head").dims["m"] == 2 and prompt.operator("embedding").dims["rows"] == 14
    with pytest.raises(GraphError, match="has no LM head"):
        workloads.build("bert-base", seq=8, lm_head=True)


def test_states_of_the_encoder() -> None:
    with pytest.raises(GraphError, match="decode needs source"):
        workloads.build(T5, phase="decode", context=3)
    step = workloads.build(T5, phase="decode", context=3, source=20)
    assert step.operator("cross_scores").dims["n"] == 20
    with pytest.raises(GraphError, match="is for models with an encoder and a decoder"):
        workloads.build(LLAMA, seq=3, source=20)


@pytest.mark.parametrize(("batch", "distinct"), [(1, 2), (4, 5.46875), (16, 7.9198)])
def test_experts_that_a_step_hits(batch: int, distinct: float) -> None:
    """8 (1 - (3/4)^batch) per layer; over 32 layers to the nearest whole number."""
    spec = Experts(count=8, chosen=2, each=FeedForward(inner=96, gated=True, activation="silu"))
    assert spec.expected_hit(batch) == pytest.approx(distinct, abs=1e-4)
    graph = workloads.build(MIXTRAL, phase="decode", context=5, batch=batch)
    gates = [op for op in graph.operators if op.name.endswith("expert_gate")]
    assert sum(graph.runs(op.name) * op.repeat for op in gates) == round(32 * distinct)
    rows = sum(graph.runs(op.name) * op.repeat * op.dims["m"] for op in gates)
    assert rows == 32 * batch * 2
    each = 3 * 64 * 96
    assert graph.parameters == 32 * (64 * (64 + 2 * 32 + 64) + 64 * 8 + 8 * each)


def test_a_file_is_called_after_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA), "utf-8")
    assert workloads.load_config(folder).name == "my-model"
    (folder / "config.json").write_text(json.dumps({**LLAMA, "_name_or_path": "org/name"}), "utf-8")
    assert workloads.load_config(folder).name == "org/name"
    with pytest.raises(GraphError, match="'meta-llama/Llama-3.1-8B': only files are read"):
        workloads.build("meta-llama/Llama-3.1-8B", seq=8)


def test_quantised_files_say_so() -> None:
    raw = {**LLAMA, "quantization_config": {"quant_method": "gptq", "bits": 4}}
    four, eight = workloads.build(raw, seq=4), workloads.build(LLAMA, seq=4)
    assert "weights have 4 bits by quantization_config (gptq)" in str(four.config["notes"])
    assert 2 * four.bytes_of("weight") == eight.bytes_of("weight")
    assert workloads.build(raw, seq=4, bits=workloads.Bits()).bytes_of("weight") == eight.bytes_of("weight")
    experts_only = {"quant_method": "awq", "bits": 4, "modules_to_not_convert": ["lm_head", "self_attn"]}
    graph = workloads.build({**LLAMA, "quantization_config": experts_only}, seq=4)
    assert "is not applied: tensors have the widths of --bits; it keeps 'self_attn'" in str(graph.config["notes"])
    assert graph.bytes_of("weight") == eight.bytes_of("weight")


@pytest.mark.parametrize("bits", [0, 5, 99, 4.5, "four", True])
def test_bits_that_no_format_has(bits: object) -> None:
    raw = {**LLAMA, "quantization_config": {"quant_method": "gptq", "bits": bits}}
    with pytest.raises(GraphError, match=r"quantization_config.bits=.*: gptq has formats of 2, 3, 4, 8 bits"):
        workloads.build(raw, seq=4)


def test_widths_by_role() -> None:
    bits = workloads.Bits.parse("weight=4, kv=8")
    assert (bits.weight, bits.activation, bits.kv, bits.bias) == (4, 8, 8, 32)
    assert workloads.build("gpt2", seq=4, bits=bits).bytes_of("weight") * 2 == 84_934_656


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("weights=4", "bits: 'weights=4': must be ROLE=BITS"),
        ("weight=4,weight=8", "each of weight, activation, kv, bias once"),
        ("weight=0", "bits: weight='0' must be a whole number in 1..64"),
        ("kv=fp8", "bits: kv='fp8' must be a whole number"),
        ("", "must be ROLE=BITS"),
    ],
)
def test_widths_that_make_no_sense(text: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        workloads.Bits.parse(text)


def test_what_is_stored_stands_beside_the_graph() -> None:
    config = workloads.build(MIXTRAL, phase="decode", context=5).config
    assert config["kv_elements_per_token"] == 32 * 2 * 2 * 16
    assert isinstance(config["parameters"], int) and isinstance(config["active_parameters"], int)
    assert config["parameters"] - config["active_parameters"] == 32 * 6 * 3 * 64 * 96
