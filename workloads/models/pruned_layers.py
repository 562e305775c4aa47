"""Models whose layers have shapes of their own: pruned heads and channels, layers without a part, fewer tokens.

A configuration lists them by layer (`workloads.models.config.PerLayer`); equal layers stay one kind of block. Heads
that are left keep their width. That tokens are chosen, and layers searched, is not costed.
"""

from __future__ import annotations

from workloads.models.config import PerLayer, TransformerConfig
from workloads.models.layers import Attention, FeedForward, Group, Layer, Stack
from workloads.ops import LayerNorm, RmsNorm


def stack_of(config: TransformerConfig, listed: PerLayer) -> Stack:
    """Return the stack of a configuration with shapes by layer."""
    layers = tuple(_layer(config, listed, place) for place in range(config.layers))
    generates = config.family in ("gpt", "llama")
    note = ["layers have shapes of their own (per_layer)"]
    if listed.tokens is not None:
        note.append("tokens leave between layers; that they are chosen costs nothing here")
    return Stack(
        name=config.name, model_type=config.family, family=config.family, groups=(Group(layers),), generates=generates,
        tokens=config.tokens, max_positions=config.max_positions, vocabulary=config.vocabulary, notes=tuple(note),
    )  # fmt: skip


def _layer(config: TransformerConfig, listed: PerLayer, place: int) -> Layer:
    rotary = config.family == "llama"
    heads = config.heads if listed.heads is None else listed.heads[place]
    shared = config.heads // config.key_value_heads
    kv_heads = heads // shared if listed.kv_heads is None else listed.kv_heads[place]
    inner = config.d_ffn if listed.d_ffn is None else listed.d_ffn[place]
    bias = ("qkv" if config.attention_bias else "") if rotary else "" if config.attention_bias is False else "qkvo"
    spec = Attention(
        heads=max(heads, 1), kv_heads=max(kv_heads, 1), head_dim=config.head_size, value_dim=config.head_size,
        rotary=config.head_size if rotary else 0, causal=config.family in ("gpt", "llama"), bias=bias,
    )  # fmt: skip
    activation = config.activation or ("silu" if rotary else "gelu")
    part = FeedForward(inner=inner, gated=rotary, activation=activation, bias=not rotary) if inner else None
    return Layer(
        d_model=config.d_model, attention=spec, ffn=part, has_attention=heads > 0,
        norm=RmsNorm.kind if rotary else LayerNorm.kind, place="after" if config.family == "bert" else "before",
        epsilon=config.norm_epsilon, rope_theta=config.rope_theta,
        tokens=None if listed.tokens is None else listed.tokens[place],
    )  # fmt: skip
