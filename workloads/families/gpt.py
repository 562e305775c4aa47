"""Decoders with two feed-forward matrices: GPT-2 and its kin, with both parts of a layer in line or side by side."""

from __future__ import annotations

from dataclasses import replace

from workloads.families import dense
from workloads.families.keys import Keys
from workloads.models.layers import Layer, Stack


def read(keys: Keys) -> Stack:
    """Return the stack of a file."""
    return dense.stack(keys, "gpt", PECULIAR.get(keys.name, dense.layers)(keys))


def _one_key_head(keys: Keys) -> tuple[Layer, ...]:
    """``multi_query`` shares one head of keys and values."""
    layers = dense.layers(keys)
    if not keys.flag("multi_query"):
        return layers
    return tuple(replace(layer, attention=replace(layer.attention, kv_heads=1)) for layer in layers)


def _falcon(keys: Keys) -> tuple[Layer, ...]:
    """Two architectures: the newer one has ``num_kv_heads``, two norms, and caches keys once per query head."""
    heads, newer = keys.size("num_attention_heads"), keys.flag("new_decoder_architecture")
    given = keys.maybe_size("num_kv_heads")
    kv_heads = (given or heads) if newer else 1 if keys.flag("multi_query") else heads
    if heads % kv_heads:
        raise keys.fail(f"num_attention_heads={heads} must be a multiple of num_kv_heads={kv_heads}")
    alibi = keys.flag("alibi")
    side_by_side = newer or keys.flag("parallel_attn")
    norms = keys.maybe_size("num_ln_in_parallel_attn") or (2 if newer else 1)
    if norms not in (1, 2):
        raise keys.fail(f"num_ln_in_parallel_attn={norms} must be 1 or 2")

    def changed(layer: Layer) -> Layer:
        spec = layer.attention
        spec = replace(spec, kv_heads=kv_heads, repeats_cache=newer, rotary=0 if alibi else spec.rotary)
        return replace(layer, attention=spec, parallel=norms if side_by_side else 0)

    return tuple(changed(layer) for layer in dense.layers(keys))


def _opt(keys: Keys) -> tuple[Layer, ...]:
    """The first models normalise behind the additions."""
    layers = dense.layers(keys)
    return layers if keys.flag("do_layer_norm_before") else tuple(replace(layer, place="after") for layer in layers)


def _mpt(keys: Keys) -> tuple[Layer, ...]:
    """The class always has an inner width of four times the hidden size."""
    ratio = keys.maybe_size("expansion_ratio")
    if ratio != keys.kind.traits.inner:
        keys.notes.append(f"expansion_ratio={ratio} is not read by the class: the inner width is 4 x d_model")
    section = keys.section("attn_config")
    if section.get("attn_type") == "multiquery_attention" or section.get("kv_n_heads") not in (None, section.get("n")):
        raise keys.fail("attn_config: fewer heads of keys than of queries are not what the class of mpt has")
    return dense.layers(keys)


PECULIAR = {
    "falcon": _falcon,
    "gpt_bigcode": _one_key_head,
    "mpt": _mpt,
    "opt": _opt,
}
"""Types that one rule more describes."""
