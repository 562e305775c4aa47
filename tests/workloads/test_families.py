"""Every file of the reference data is read exactly or refused by name: products, weights, keys and caches per layer.

Counted by transformers 5.24.0 itself (tests/reference/README.md); it is not needed here.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import workloads
from workloads import GraphError, OpGraph, families
from workloads.families.model_type import FAMILIES, table
from workloads.models.layers import Layer, Stack

DATA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "reference" / "hf_blocks.json").read_text("utf-8"))
TOKENS = 128
MAY_BE_REFUSED = {"mobilebert", "deberta-v2", "swin", "diffllama"}
"""No block of ours is theirs."""

UNFINISHED = {"minimax": "layer_types is absent"}
"""Types whose defaults the class turns into layers that are refused."""

IMPOSSIBLE = {
    "codegen": "rotary_dim=64 is more than the 32 channels",
    "gptj": "rotary_dim=64 is more than the 32 channels",
    "helium": "num_attention_heads=64 must be a multiple of num_key_value_heads=20",
    "deepseek_v2": "num_experts_per_tok",
    "dots1": "n_routed_experts",
    "minimax": "layer_types is absent",
}
"""Types that the class cannot run with only a width, heads and layers, and what is wrong."""

PARTS = {
    "q": "q", "q_down": "q", "q_rotary": "q", "k": "k", "v": "v", "kv_down": "kv_latent", "k_rotary": "kv_latent",
    "k_up": "kv_latent", "v_up": "kv_latent", "scores": "scores", "scores_plain": "scores", "scores_rotary": "scores",
    "context": "context", "out": "o", "cross_out": "cross_o", "router": "router",
    **dict.fromkeys(("ffn1", "ffn2", "gate", "up", "down"), "ffn"),
}  # fmt: skip


def part_of(operator: str) -> str:
    name = operator.rpartition(".")[2]
    if name in PARTS:
        return PARTS[name]
    for start, part in {"cross_": name, "expert_": "experts", "rest_": "experts", "shared_": "shared_experts"}.items():
        if name.startswith(start):
            return part
    raise KeyError(operator)


def split(graph: OpGraph) -> dict[tuple[str, int], Counter[str]]:
    """MACs by part of every layer, by group and index."""
    layers: dict[tuple[str, int], Counter[str]] = {}
    all_names = tuple(op.name for op in graph.operators)
    kinds = [(kind.name, kind.layers, kind.operators) for kind in graph.kinds]
    for name, indices, names in kinds or [("", tuple(range(graph.repeat)), all_names)]:
        group = next((group for group in ("encoder", "decoder") if name.startswith(group)), "")
        counts: Counter[str] = Counter()
        for operator in map(graph.operator, names):
            if operator.macs:
                counts[part_of(operator.name)] += operator.macs
        layers.update({(group, index): counts for index in indices})
    return layers


def build(config: dict[str, Any], stack: Stack, **asked: Any) -> OpGraph:
    """A prompt of 128 tokens, or as many as the model fixes; 128 states of an encoder."""
    if len(stack.groups) > 1 and stack.tokens is None:
        asked["source"] = TOKENS
    if "context" not in asked:
        asked["seq"] = None if stack.tokens and not stack.generates else TOKENS
    return workloads.build(config, **asked)


def layer_of(stack: Stack, block: dict[str, Any]) -> Layer:
    (group,) = [group for group in stack.groups if group.name == block.get("group", "")]
    return group.layers[block["layers"][0]]


def expected_macs(block: dict[str, Any], key: str) -> dict[str, int]:
    """The class of Llama 4 multiplies every token by every expert; we count the chosen one, as the data does beside."""
    macs = {part: count for part, count in block[key].items() if part != "total"}
    return {**macs, **({"experts": block["experts_at_top_k"]} if "experts_at_top_k" in block else {})}


def readable(entry: dict[str, Any]) -> bool:
    try:
        families.read(entry["config"], entry["name"])
    except GraphError:
        return False
    return True


READ = [entry for entry in DATA["entries"] if readable(entry)]
each_entry = pytest.mark.parametrize("entry", READ, ids=[entry["name"] for entry in READ])


def test_only_blocks_unlike_ours_are_refused() -> None:
    refused = [entry for entry in DATA["entries"] if entry not in READ]
    assert {entry["config"]["model_type"] for entry in refused} <= MAY_BE_REFUSED
    assert (len(READ), len(DATA["entries"])) == (106, 110)


@each_entry
def test_prefill_and_weights(entry: dict[str, Any]) -> None:
    stack = families.read(entry["config"], entry["name"])
    graph = build(entry["config"], stack)
    layers = split(graph)
    for block in entry["blocks"]:
        for index in block["layers"]:
            found = layers.get((block.get("group", ""), index))
            assert found == expected_macs(block, "prefill_macs"), index
        assert layer_of(stack, block).weights == block["weights"]
        attention = layer_of(stack, block).attention
        assert attention.rotary == block["rotary_dims"]
        if "prefill_visible_pairs" in block:
            assert attention.visible_pairs(block["tokens"]) == block["prefill_visible_pairs"]
    assert graph.parameters == sum(len(block["layers"]) * block["weights"] for block in entry["blocks"])
    times = entry.get("times_each_block_runs", 1)
    whole = [len(block["layers"]) * sum(expected_macs(block, "prefill_macs").values()) for block in entry["blocks"]]
    assert graph.macs == times * sum(whole)


@each_entry
def test_decode(entry: dict[str, Any]) -> None:
    stack = families.read(entry["config"], entry["name"])
    for block in entry["blocks"]:
        attention = layer_of(stack, block).attention
        for step in block.get("decode", []):
            context = step["context"]
            layers = split(build(entry["config"], stack, phase="decode", context=context))
            for index in block["layers"]:
                found = layers.get((block.get("group", ""), index)) or layers["", index]
                assert sum(found.values()) == step.get("total_at_top_k", step["total"])
                assert (found["scores"], found["context"]) == (step["scores"], step["context_macs"])
            window = attention.window
            assert attention.keys(context, 1) == step["keys"]
            assert attention.cached_elements == step["kv_elements_per_token"]
            assert (context if window is None else window.kept(context)) == step["kept_tokens"]
            if "visible_keys" in step:
                visible = context + 1 if window is None else window.visible(context, context + 1)
                assert visible == step["visible_keys"]


@pytest.mark.parametrize("entry", DATA["defaults"], ids=lambda entry: entry["model_type"])
def test_a_type_alone_is_the_class_s_default(entry: dict[str, Any]) -> None:
    name = entry["model_type"]
    config = {"model_type": name}
    if name in MAY_BE_REFUSED | UNFINISHED.keys():
        with pytest.raises(GraphError, match=UNFINISHED.get(name, f"'{name}' is not supported")):
            families.read(config, name)
        return
    stack = families.read(config, name)
    graph = build(config, stack)
    layers = split(graph)
    for block in entry["blocks"]:
        for index in block["layers"]:
            expected = {part: count for part, count in block["macs"].items() if part != "total"}
            if name == "llama4_text":
                expected["experts"] //= 16  # as in the entries, the class runs all 16
            assert layers.get((block["group"], index)) == expected
    assert graph.parameters == sum(len(block["layers"]) * block["weights"] for block in entry["blocks"])


@pytest.mark.parametrize("name", DATA["missing_keys"])
def test_keys_that_are_left_out(name: str) -> None:
    said = DATA["missing_keys"][name]
    config = {"model_type": name, "hidden_size": 2048, "num_attention_heads": 64, "num_hidden_layers": 4}
    if name in IMPOSSIBLE:
        with pytest.raises(GraphError, match=IMPOSSIBLE[name]):
            families.read(config, name)
        return
    stack = families.read(config, name)
    first, layers = stack.groups[0].layers[0], stack.groups[0].layers
    ffn = first.ffn or (first.experts and first.experts.each)
    assert ffn is not None
    if first.attention.latent is None:
        assert said["num_key_value_heads"] in ("-", None, first.attention.kv_heads)
        assert said["head_dim"] in ("-", None, first.attention.head_dim)
    assert said["hidden_act"] in ("-", ffn.activation)
    if first.ffn is not None or not name.startswith("qwen3_moe"):  # there the key is that of layers without experts
        assert said["intermediate_size"] in ("-", None, ffn.inner)
    windows = [layer.attention.window for layer in layers]
    if said["layer_types"] not in ("-", None):
        assert " ".join("full" if window is None else window.kind for window in windows) == said["layer_types"]
    elif said["sliding_window"] != "-":
        assert [window and window.size for window in windows] == [said["sliding_window"]] * 4


@pytest.mark.parametrize("entry", DATA["refused"], ids=lambda entry: entry["model_type"])
def test_what_is_no_such_block_is_refused(entry: dict[str, Any]) -> None:
    """One line that names a deciding key, or says that the type itself decides."""
    with pytest.raises(GraphError) as caught:
        families.read(entry["config"], "config.json")
    message = str(caught.value)
    assert "\n" not in message
    words = [word for key in entry["deciding_keys"] for word in key.replace("/", " ").split() if "_" in word]
    assert not words or any(word in message for word in words) or "shown by" in message


def test_no_key_of_the_data_is_lost() -> None:
    """Every key is asked for, known to the table, harmless, or named in a note; a changed size changes the reading."""
    for entry in READ:
        config = entry["config"].get("text_config", entry["config"])
        for key in config:
            assert families.fate_of(key, entry["config"], entry["name"]) in ("read", "table", "harmless", "noted")


def test_every_type_has_a_table_and_a_reader() -> None:
    types = [name for family in FAMILIES for name in table(family)]
    assert len(types) == len(set(types)) and set(families.READERS) == set(FAMILIES)
    assert not set(types) & set(families.refused.TYPES)
