"""Encoders and decoders: the decoder attends to its own tokens and to the states of the encoder."""

from __future__ import annotations

from workloads.families import dense
from workloads.families.keys import Keys
from workloads.models.layer_builder import NONLINEARITIES
from workloads.models.layers import Attention, CrossAttention, FeedForward, Group, Layer, Stack
from workloads.ops import LayerNorm


def read(keys: Keys) -> Stack:
    """Return the stack of a file."""
    encoder, decoder = _t5(keys) if "d_kv" in keys.kind.defaults else _bart(keys)
    frames = keys.size("max_source_positions") if keys.name == "whisper" else None
    positions = keys.given("max_position_embeddings")[0]
    vocabulary = keys.value("vocab_size")
    return Stack(
        name=dense.title(keys), model_type=keys.name, family="encoder_decoder",
        groups=(Group(encoder, "encoder"), Group(decoder, "decoder")), generates=True, tokens=frames,
        tied=keys.flag("tie_word_embeddings", True),
        max_positions=keys.maybe_size(positions) if positions in keys.kind.defaults else None,
        vocabulary=vocabulary if isinstance(vocabulary, int) else None, notes=keys.finish(),
    )  # fmt: skip


def _bart(keys: Keys) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """Encoder and decoder have heads and inner widths of their own."""
    return _side(keys, "encoder"), _side(keys, "decoder")


def _side(keys: Keys, side: str) -> tuple[Layer, ...]:
    width, heads = keys.size("d_model"), keys.size(f"{side}_attention_heads")
    if width % heads:
        raise keys.fail(f"d_model={width} is not a multiple of {side}_attention_heads={heads}")
    bias, decodes = dense.biases(keys), side == "decoder"
    head = width // heads
    layer = Layer(
        d_model=width, norm=LayerNorm.kind, place=keys.kind.traits.place,
        attention=Attention(heads=heads, kv_heads=heads, head_dim=head, value_dim=head, bias=bias, causal=decodes),
        ffn=FeedForward(
            inner=keys.size(f"{side}_ffn_dim"), gated=False, activation=dense.activation(keys), bias=True
        ),
        cross=CrossAttention(heads=heads, head_dim=head, bias=bias) if decodes else None,
    )  # fmt: skip
    return (layer,) * keys.size(f"{side}_layers")


def _t5(keys: Keys) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """All heads together may be wider or narrower than the stream; the decoder may have other layers."""
    word = str(keys.value("feed_forward_proj"))
    gated, activation = word.startswith("gated-"), word.removeprefix("gated-")
    if activation not in NONLINEARITIES:
        raise keys.fail(f"feed_forward_proj={word!r:.40} is not supported: relu, gated-gelu and their like are")
    if word == "gated-gelu":
        activation = "gelu_new"
    heads, size, width = keys.size("num_heads"), keys.size("d_kv"), keys.size("d_model")
    ffn = FeedForward(inner=keys.size("d_ff"), gated=gated, activation=activation)

    def layer(*, decodes: bool) -> Layer:
        return Layer(
            d_model=width, ffn=ffn,
            attention=Attention(heads=heads, kv_heads=heads, head_dim=size, value_dim=size, causal=decodes),
            cross=CrossAttention(heads=heads, head_dim=size) if decodes else None,
        )  # fmt: skip

    count = keys.size("num_layers")
    given = keys.maybe_size("num_decoder_layers") if "num_decoder_layers" in keys.raw else None
    return (layer(decodes=False),) * count, (layer(decodes=True),) * (given or count)
