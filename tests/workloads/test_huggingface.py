"""config.json files in the form of the transformers library; values of the published models, keys only as needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import workloads
from workloads import GraphError

BERT = {
    "architectures": ["BertForMaskedLM"], "model_type": "bert", "hidden_act": "gelu", "hidden_size": 768,
    "intermediate_size": 3072, "layer_norm_eps": 1e-12, "max_position_embeddings": 512,
    "num_attention_heads": 12, "num_hidden_layers": 12, "vocab_size": 30522,
}  # fmt: skip
GPT2 = {
    "model_type": "gpt2", "activation_function": "gelu_new", "n_ctx": 1024, "n_embd": 768, "n_head": 12,
    "n_layer": 12, "n_positions": 1024, "layer_norm_epsilon": 1e-05,
}  # fmt: skip
LLAMA3 = {
    "model_type": "llama", "attention_bias": False, "hidden_act": "silu", "hidden_size": 4096,
    "intermediate_size": 14336, "max_position_embeddings": 8192, "num_attention_heads": 32,
    "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_scaling": None,
    "rope_theta": 500000.0,
}  # fmt: skip
MISTRAL = {**LLAMA3, "model_type": "mistral", "head_dim": None, "sliding_window": 4096, "rope_theta": 10000.0}
MIXTRAL = {**LLAMA3, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
QWEN = {**LLAMA3, "model_type": "qwen3", "head_dim": 128}
VIT = {
    "model_type": "vit", "hidden_act": "gelu", "hidden_size": 768, "image_size": 224, "patch_size": 16,
    "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12, "qkv_bias": True,
}  # fmt: skip


def save(folder: Path, raw: Mapping[str, object]) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(raw), "utf-8")
    return path


@pytest.mark.parametrize(
    ("raw", "preset", "seq"),
    [(BERT, "bert-base", 64), (GPT2, "gpt2", 64), (LLAMA3, "llama-3-8b", 64), (VIT, "vit-base", None)],
    ids=lambda v: v.get("model_type") if isinstance(v, dict) else None,
)
def test_import_equals_preset(tmp_path: Path, raw: dict[str, object], preset: str, seq: int | None) -> None:
    imported = workloads.build(save(tmp_path, raw), seq=seq)
    shipped = workloads.build(preset, seq=seq)
    assert [op.signature for op in imported.operators] == [op.signature for op in shipped.operators]
    assert imported.repeat == shipped.repeat
    assert imported.totals() == shipped.totals()


def test_path_may_be_text_or_the_folder(tmp_path: Path) -> None:
    path = save(tmp_path, GPT2)
    by_text = workloads.build(str(path), phase="decode", context=5)
    assert by_text.operators == workloads.build(tmp_path, phase="decode", context=5).operators
    assert by_text.operators == workloads.build(GPT2, phase="decode", context=5).operators


def test_mistral_is_read_like_llama(tmp_path: Path) -> None:
    graph = workloads.build(save(tmp_path, MISTRAL), phase="decode", context=100)
    assert graph.parameters == workloads.build("llama-3-8b", seq=1).parameters
    assert graph.operator("scores").dims == {"m": 4, "k": 128, "n": 101}


def test_explicit_head_dim_and_inner_width() -> None:
    graph = workloads.build({**LLAMA3, "head_dim": 96}, seq=4)
    assert graph.operator("q").dims["n"] == 32 * 96
    assert workloads.build({**GPT2, "n_inner": 1000}, seq=4).operator("ffn1").dims["n"] == 1000


def test_heads_override_moves_equal_key_heads() -> None:
    graph = workloads.build({**LLAMA3, "num_key_value_heads": 32}, seq=4, heads=16)
    assert (graph.config["heads"], graph.config["kv_heads"], graph.config["head_dim"]) == (16, 16, 256)


def without(raw: Mapping[str, object], key: str) -> dict[str, object]:
    return {k: v for k, v in raw.items() if k != key}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({**BERT, "model_type": "llamma"}, "model_type 'llamma' is not supported .*did you mean 'llama'"),
        ({**BERT, "model_type": 3}, "model_type 3 is not supported"),
        (without(BERT, "model_type"), "key 'model_type' is missing"),
        ({**BERT, "hidden_size": None}, "key 'hidden_size' is null; a positive whole number is needed"),
        ({**without(BERT, "hidden_size"), "hiden_size": 768}, "did you mean 'hiden_size'"),
        ({**BERT, "text_config": {}, "model_type": "some_vl"}, "text_config names no model_type"),
        ({**BERT, "hidden_size": "768"}, "hidden_size='768' must be a positive whole number"),
        ({**BERT, "num_hidden_layers": True}, "num_hidden_layers=True must be"),
        ({**BERT, "hidden_act": "tanh"}, "hidden_act='tanh' is not supported"),
        ({**LLAMA3, "num_key_value_heads": 5}, "num_attention_heads=32 must be a multiple of num_key_value_heads=5"),
        ({**BERT, "num_attention_heads": 7}, "hidden_size=768 is not a multiple of num_attention_heads=7"),
        ({**LLAMA3, "rope_theta": "big"}, "rope_theta='big'"),
        ({**VIT, "patch_size": 15}, "image_size=224 must be a multiple of patch_size=15"),
        ({**LLAMA3, "head_dim": 33}, "head_dim=33 must be even"),
        ({**MISTRAL, "sliding_window": 0}, "sliding_window=0 must be a positive whole number"),
        ({**MIXTRAL, "num_experts_per_tok": 9}, "num_experts_per_tok=9 is more than the 8 experts"),
        ({**MIXTRAL, "num_experts_per_tok": 0}, "num_experts_per_tok=0 must be a positive whole number"),
        ({**MIXTRAL, "num_experts": 16}, "num_local_experts=8 and num_experts=16 are two names of one key"),
        (
            {**QWEN, "layer_types": ["full_attention"]},
            "layer_types must be a list of 32 entries, one per layer; it has 1",
        ),
        ({**BERT, "encoder_width": 768}, "key 'encoder_width': attention to states of another model"),
        ({**LLAMA3, "num_hidden_layers": float("inf")}, "num_hidden_layers=inf must be a positive whole number"),
    ],
)
def test_bad_config_is_one_line(tmp_path: Path, raw: dict[str, object], message: str) -> None:
    with pytest.raises(GraphError, match=message) as caught:
        workloads.build(save(tmp_path, raw), seq=8)
    assert "\n" not in str(caught.value)
    assert "config.json" in str(caught.value)
