"""Encoders of images: patches, and the tokens that the type adds to them."""

from __future__ import annotations

from dataclasses import replace

from workloads.families import dense
from workloads.families.keys import Keys
from workloads.models.layers import FeedForward, Layer, Stack


def read(keys: Keys) -> Stack:
    """Return the stack of a file."""
    tokens = _patches(keys) + keys.kind.traits.extra_tokens
    if "num_register_tokens" in keys.kind.defaults:
        tokens += keys.size("num_register_tokens", 0)
    return dense.stack(keys, "vision", _layers(keys), tokens=tokens)


def _layers(keys: Keys) -> tuple[Layer, ...]:
    if "mlp_ratio" not in keys.kind.defaults:
        return dense.layers(keys)
    layer = dense.layer(keys, dense.attention(keys), _dinov2(keys))
    return (layer,) * keys.size("num_hidden_layers")


def _dinov2(keys: Keys) -> FeedForward:
    """Return the part whose width is ``mlp_ratio`` times the hidden size; two thirds of it, rounded up, if gated."""
    inner = int(keys.size("hidden_size") * keys.number("mlp_ratio", 4))
    plain = FeedForward(inner=inner, gated=False, activation=dense.activation(keys), bias=True)
    if not keys.flag("use_swiglu_ffn"):
        return plain
    return replace(plain, inner=(int(inner * 2 / 3) + 7) // 8 * 8, gated=True, activation="silu")


def _patches(keys: Keys) -> int:
    """Return the patches of an image; sizes are numbers or pairs, and whole patches count."""
    image, patch = _pair(keys, "image_size"), _pair(keys, "patch_size")
    count = 1
    for side, part in zip(image, patch, strict=True):
        if side % part and keys.name in ("vit", "vit_msn", "deit", "beit"):
            raise keys.fail(f"image_size={side} must be a multiple of patch_size={part}")
        if side < part:
            raise keys.fail(f"image_size={side} is smaller than patch_size={part}")
        count *= side // part
    return count


def _pair(keys: Keys, key: str) -> tuple[int, int]:
    if isinstance(keys.value(key), list):
        numbers = keys.whole_numbers(key, None) or []
        if len(numbers) != 2 or min(numbers) < 1:
            raise keys.fail(f"{key} must be a positive whole number or a pair of them")
        return numbers[0], numbers[1]
    size = keys.size(key)
    return size, size
