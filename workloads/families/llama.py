"""Decoders with a gated feed-forward part: LLaMA and its kin, with windows, other norms and other positions."""

from __future__ import annotations

from dataclasses import replace

from workloads.families import dense, windows
from workloads.families.keys import Keys
from workloads.models.layers import Attention, Experts, FeedForward, Layer, Stack


def read(keys: Keys) -> Stack:
    """Return the stack of a file."""
    return dense.stack(keys, "llama", PECULIAR.get(keys.name, dense.layers)(keys))


def _modernbert_decoder(keys: Keys) -> tuple[Layer, ...]:
    """The first layer has no norm before attention: the embedding ends with one."""
    first, *rest = dense.layers(keys)
    return (replace(first, normed_input=False), *rest)


def _gemma3(keys: Keys) -> tuple[Layer, ...]:
    keys.refuse_if("use_bidirectional_attention", "attention in both directions")
    return dense.layers(keys)


def _gemma4(keys: Keys) -> tuple[Layer, ...]:
    """Full layers have heads of their own; a layer may have experts beside its feed-forward part."""
    keys.refuse_if("hidden_size_per_layer_input", "products with an input of their own in every layer (absent: 256)")
    keys.refuse_if("num_kv_shared_layers", "layers that use the keys of another layer")
    keys.refuse_if("use_double_wide_mlp", "feed-forward parts of two widths")
    if keys.value("use_bidirectional_attention") == "all":
        raise keys.fail("use_bidirectional_attention='all': attention in both directions; not modelled")
    if "per_layer_config" in keys.raw:
        raise keys.fail("per_layer_config: sizes of single layers; not modelled")
    types = windows.layer_types(keys, keys.size("num_hidden_layers"))
    types = [*types[:-1], windows.FULL]
    seen = windows.windows(keys, types)
    local, ffn = replace(dense.attention(keys), value_norm=True), dense.feed_forward(keys)
    full = _gemma4_full(keys, local)
    spec = _gemma4_experts(keys)
    layers = (dense.layer(keys, replace(full if not window else local, window=window), ffn) for window in seen)
    return tuple(replace(layer, experts=spec) for layer in layers)


def _gemma4_full(keys: Keys, local: Attention) -> Attention:
    """Return the attention of full layers; with ``attention_k_eq_v`` they have fewer heads and no v projection."""
    head_dim = keys.maybe_size("global_head_dim") or 512
    shared = keys.flag("attention_k_eq_v")
    kv_heads = (keys.maybe_size("num_global_key_value_heads") if shared else None) or local.kv_heads
    if local.heads % kv_heads:
        raise keys.fail(f"num_attention_heads={local.heads} must be a multiple of {kv_heads} global key heads")
    section = keys.section("rope_parameters").get("full_attention")
    share = section.get("partial_rotary_factor", 1.0) if isinstance(section, dict) else 0.25
    rotary = max(2, int(head_dim * float(share)) // 2 * 2)
    return replace(
        local, head_dim=head_dim, value_dim=head_dim, kv_heads=kv_heads, rotary=rotary, has_values=not shared
    )  # fmt: skip


def _gemma4_experts(keys: Keys) -> Experts | None:
    if not keys.flag("enable_moe_block"):
        return None
    count, chosen = keys.size("num_experts"), keys.size("top_k_experts")
    if chosen > count:
        raise keys.fail(f"top_k_experts={chosen} is more than num_experts={count}")
    inner = keys.size("moe_intermediate_size")
    each = FeedForward(inner=inner, gated=True, activation=dense.activation(keys))
    return Experts(count=count, chosen=chosen, each=each, beside=True)


PECULIAR = {
    "modernbert-decoder": _modernbert_decoder,
    "gemma3_text": _gemma3,
    "gemma4_text": _gemma4,
}
"""Types that one rule more describes."""
