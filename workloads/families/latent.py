"""Decoders with latent attention: what is cached is a low-rank vector that all heads expand."""

from __future__ import annotations

from workloads.families import dense
from workloads.families.experts import with_experts
from workloads.families.keys import Keys
from workloads.models.layers import Attention, Latent, Stack


def read(keys: Keys) -> Stack:
    """Return the stack of a file."""
    keys.read.update(key for key in ("num_key_value_heads", "head_dim", "qk_head_dim") if key in keys.raw)
    layer = dense.layer(keys, _attention(keys), None)
    keys.notes.append("latent attention as transformers runs it: every step expands the whole cache again")
    return dense.stack(keys, "latent", with_experts(keys, (layer,) * keys.size("num_hidden_layers")))


def _attention(keys: Keys) -> Attention:
    heads = keys.size("num_attention_heads")
    plain, rotary = keys.size("qk_nope_head_dim"), keys.size("qk_rope_head_dim")
    if rotary % 2:
        raise keys.fail(f"qk_rope_head_dim={rotary} must be even for the rotary embedding")
    value = keys.maybe_size("v_head_dim") or keys.size("hidden_size") // heads
    bias = keys.decide(keys.kind.traits.bias.qkv)
    low = Latent(keys.size("kv_lora_rank"), keys.maybe_size("q_lora_rank"), plain, rotary)
    return Attention(
        heads=heads, kv_heads=heads, head_dim=plain + rotary, value_dim=value, rotary=rotary, latent=low,
        bias="ao" if bias else "",
    )  # fmt: skip
