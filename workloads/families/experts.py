"""Decoders with experts in all layers or in some; the others have a dense feed-forward part."""

from __future__ import annotations

from dataclasses import replace

from workloads.families import dense, windows
from workloads.families.keys import Keys
from workloads.models.layers import Attention, Experts, FeedForward, Layer, Stack


def read(keys: Keys) -> Stack:
    """Return the stack of a file."""
    if keys.name == "granitemoehybrid":
        keys.read.update(key for key in keys.raw if key.startswith(("mamba_", "time_step")))
    return dense.stack(keys, "experts", with_experts(keys, dense_layers(keys)))


def dense_layers(keys: Keys) -> tuple[Layer, ...]:
    """Return the layers with their attention, and no feed-forward part yet."""
    types = windows.layer_types(keys, keys.size("num_hidden_layers"))
    base = dense.attention(keys)
    if keys.name == "llama4_text" and keys.flag("use_qk_norm"):
        return tuple(_llama4(layer) for layer in _bare(keys, types, base))
    return _bare(keys, types, base)


def _bare(keys: Keys, types: list[str], base: Attention) -> tuple[Layer, ...]:
    seen = zip(windows.windows(keys, types), windows.without_rotary(keys, types), strict=True)
    return tuple(dense.layer(keys, dense.sees(base, window, plain=plain), None) for window, plain in seen)


def _llama4(layer: Layer) -> Layer:
    """Queries and keys are normalised where they are turned."""
    spec = layer.attention
    return replace(layer, attention=replace(spec, head_norm="head" if spec.rotary else ""))


def with_experts(keys: Keys, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Return the layers with experts where the type has them, and the dense part elsewhere."""
    if keys.kind.traits.experts is None:
        return tuple(replace(layer, ffn=dense.feed_forward(keys)) for layer in layers)
    sparse = _sparse(keys, len(layers))
    spec = _experts(keys) if any(sparse) else None
    ffn = None if all(sparse) else dense.feed_forward(keys)
    if isinstance(spec, FeedForward):
        return tuple(replace(layer, ffn=spec) for layer in layers)
    return tuple(
        replace(layer, experts=spec) if has else replace(layer, ffn=ffn)
        for layer, has in zip(layers, sparse, strict=True)
    )  # fmt: skip


def _sparse(keys: Keys, layers: int) -> list[bool]:
    """Return which layers have experts."""
    traits = keys.kind.traits.experts
    assert traits is not None
    match traits.layers:
        case "by_step":
            dense_ones, step = keys.whole_numbers("mlp_only_layers", None) or [], keys.size("decoder_sparse_step")
            return [index not in dense_ones and (index + 1) % step == 0 for index in range(layers)]
        case "after_first":
            if keys.raw.get("moe_layer_freq") not in (None, 1):
                raise keys.fail(f"moe_layer_freq={keys.raw['moe_layer_freq']!r:.40}: the class of {keys.name} has none")
            keys.read.add("moe_layer_freq")
            first = keys.size("first_k_dense_replace", 0)
            return [index >= first for index in range(layers)]
        case "by_list":
            listed, step = keys.whole_numbers("moe_layers", None), keys.size("interleave_moe_layer_step")
            chosen = range(step - 1, layers, step) if listed is None else listed
            return [index in chosen for index in range(layers)]
        case "by_type":
            types = keys.words("mlp_layer_types", layers) or ["dense"] + ["sparse"] * (layers - 1)
            if set(types) - {"dense", "sparse"}:
                raise keys.fail("mlp_layer_types may hold 'dense' and 'sparse' only")
            return [kind == "sparse" for kind in types]
    return [True] * layers


def _experts(keys: Keys) -> Experts | FeedForward:
    """Return the experts; a file of Granite without any has the shared part alone."""
    traits = keys.kind.traits.experts
    assert traits is not None
    count = keys.size(traits.count, 0)
    shared = keys.maybe_size(traits.shared, 0) if traits.shared else None
    each = FeedForward(
        inner=keys.size(traits.inner), gated=True, activation=dense.activation(keys), bias=traits.bias
    )  # fmt: skip
    if count == 0 and shared and keys.name == "granitemoehybrid":
        return replace(each, inner=shared)
    chosen = keys.size("num_experts_per_tok")
    if not 1 <= chosen <= count:
        raise keys.fail(f"num_experts_per_tok={chosen} is more than the {count} experts of {_own(keys, traits.count)}")
    if traits.shared_times:
        shared = (keys.maybe_size(traits.shared_times, 0) or 0) * each.inner
    return Experts(
        count=count, chosen=chosen, each=each, shared=replace(each, inner=shared) if shared else None,
        shared_gate=traits.shared_gate and bool(shared), corrected=traits.corrected,
    )  # fmt: skip


def _own(keys: Keys, key: str) -> str:
    return keys.given(key)[0]
