"""Bits per stored number, parameters of whole models, and caches, against published figures."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from workloads import GraphError, families
from workloads.models.parameters import active_parameters, kv_elements_per_token, total_parameters
from workloads.storage import FORMATS, StorageFormat, per_head, storage_format

DATA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "reference" / "hf_blocks.json").read_text("utf-8"))
CONFIGS = {entry["name"]: entry["config"] for entry in DATA["entries"]}
QWEN_72B = {
    "model_type": "qwen2", "hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64,
    "num_key_value_heads": 8, "intermediate_size": 29568, "vocab_size": 152064,
}  # fmt: skip
MIXTRAL_8X22B = {
    **CONFIGS["mixtral-8x7b"], "num_hidden_layers": 56, "hidden_size": 6144, "num_attention_heads": 48,
    "intermediate_size": 16384, "vocab_size": 32768,
}  # fmt: skip
V2 = {
    **CONFIGS["deepseek-v3"], "model_type": "deepseek_v2", "num_hidden_layers": 60, "hidden_size": 5120,
    "moe_intermediate_size": 1536, "n_routed_experts": 160, "num_experts_per_tok": 6, "n_shared_experts": 2,
    "first_k_dense_replace": 1, "intermediate_size": 12288, "vocab_size": 102400,
}  # fmt: skip
V2_LITE = {
    **V2, "num_hidden_layers": 27, "hidden_size": 2048, "num_attention_heads": 16, "moe_intermediate_size": 1408,
    "n_routed_experts": 64, "intermediate_size": 10944, "q_lora_rank": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("q4_0", 4.5), ("q4_1", 5.0), ("q8_0", 8.5), ("q2_k", 2.625), ("q4_k", 4.5), ("q6_k", 6.5625),
        ("mxfp4", 4.25), ("nf4", 4.5), ("nf4_double", 4.126953125), ("int4_g128", 4.15625),
        ("int4_g128_fp16_zero", 4.25), ("int4_g64_fp16_zero", 4.5), ("nvfp4", 4.5), ("fp8_block", 8.001953125),
        ("bf16", 16), ("4", 4),
    ],
)  # fmt: skip
def test_bits_per_number(name: str, bits: float) -> None:
    assert storage_format(name).bits == Fraction(bits)


def test_a_format_of_one_s_own() -> None:
    assert StorageFormat("own", 3, 64, Fraction(24)).bits == Fraction(27, 8)
    assert FORMATS["q4_k"].bytes(257) == 2 * 144
    with pytest.raises(GraphError, match="storage format own: bits and block"):
        StorageFormat("own", 0)
    with pytest.raises(GraphError, match="'q4k' is unknown; did you mean 'q4_k'"):
        storage_format("q4k")


def test_a_format_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("own: 4\nblock: 32\nbeside: 16\n")
    assert storage_format(str(path)).bits == FORMATS["q4_0"].bits
    assert storage_format(str(path)).bytes(33) == FORMATS["q4_0"].bytes(33)
    for wrong, says in (
        ("own: 4\nscales: 2\n", "scales: a storage format has own, block and beside"),
        ("own: 4.5\n", "own=4.5 must be a whole number"),
        ("block: 32\n", "own is missing"),
        ("own: 4\nblock: 0\n", "bits and block must be at least 1"),
    ):
        path.write_text(wrong)
        with pytest.raises(GraphError, match=re.escape(f"{path}") + f".*{says}"):
            storage_format(str(path))
    with pytest.raises(GraphError, match="none.yaml: "):
        storage_format(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("config", "total", "relative"),
    [
        (CONFIGS["mixtral-8x7b"], 46_702_792_704, 0),
        (CONFIGS["deepseek-v3"], 671_026_419_200, 0),
        (CONFIGS["qwen3-30b-a3b"], 30_532_122_624, 0),
        (CONFIGS["llama-3.1-8b"], 8_030_261_248, 0),
        (CONFIGS["gpt-oss-20b"], 20_914_757_184, 1e-3),
        (MIXTRAL_8X22B, 140_630_071_296, 0),
        (V2, 235_741_434_880, 1e-3),
        (V2_LITE, 15_706_484_224, 1e-3),
    ],
)  # fmt: skip
def test_parameters_are_the_published_ones(config: dict[str, Any], total: int, relative: float) -> None:
    assert abs(total_parameters(families.read(config, "file")) - total) <= relative * total


def test_parameters_that_a_token_uses() -> None:
    mixtral = active_parameters(families.read(CONFIGS["mixtral-8x7b"], "file"))
    assert mixtral == 12_879_925_248
    # the published counts leave the input embedding out
    without = active_parameters(families.read(CONFIGS["deepseek-v3"], "file")) - 129_280 * 7168
    assert without == pytest.approx(36.63e9, rel=1e-3)


def test_experts_of_gpt_oss_at_four_bits() -> None:
    """12.8 GiB printed: experts in MXFP4, the rest in bf16."""
    stack = families.read(CONFIGS["gpt-oss-20b"], "file")
    experts = 24 * 32 * 3 * 2880 * 2880
    rest = 20_914_757_184 - experts
    size = FORMATS["mxfp4"].bytes(experts) + FORMATS["bf16"].bytes(rest)
    assert experts == 19_110_297_600 and stack.layers == 24
    assert size / 2**30 == pytest.approx(12.82, rel=2e-3)


@pytest.mark.parametrize(("config", "size"), [(CONFIGS["deepseek-v3"], 70_272), (QWEN_72B, 327_680)])
def test_bytes_of_the_cache_per_token(config: dict[str, Any], size: int) -> None:
    assert FORMATS["bf16"].bytes(kv_elements_per_token(families.read(config, "file"))) == size


def test_caches_with_a_scale_per_head() -> None:
    assert per_head(8, 128).bits == Fraction(33, 4)
    llama = {"model_type": "llama"}
    elements = kv_elements_per_token(families.read(llama, "file"))
    assert [per_head(bits, 128).bytes(elements) for bits in (8, 4)] == [270_336, 139_264]
