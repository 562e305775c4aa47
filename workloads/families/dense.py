"""What most types share: heads, positions, biases, and the feed-forward part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from workloads.families import windows
from workloads.families.keys import Keys
from workloads.families.model_type import HeadNormTraits
from workloads.models.layer_builder import NONLINEARITIES
from workloads.models.layers import Attention, FeedForward, Group, Layer, Stack, Window


def layers(keys: Keys) -> tuple[Layer, ...]:
    """Return the layers of a type without peculiarities."""
    count = keys.size("num_hidden_layers")
    types = windows.layer_types(keys, count)
    base, ffn = attention(keys), feed_forward(keys)
    seen = zip(windows.windows(keys, types), windows.without_rotary(keys, types), strict=True)
    return tuple(layer(keys, sees(base, window, plain=plain), ffn) for window, plain in seen)


def sees(base: Attention, window: Window | None, *, plain: bool) -> Attention:
    """Return an attention with a window, and without positions if it is ``plain``."""
    return replace(base, window=window, rotary=0 if plain else base.rotary)


def layer(keys: Keys, spec: Attention, ffn: FeedForward | None) -> Layer:
    """Return a layer with the norms of the type."""
    traits = keys.kind.traits
    parallel = traits.parallel if not traits.parallel_key or keys.flag(traits.parallel_key) else 0
    return Layer(
        d_model=keys.size("hidden_size"), attention=spec, ffn=ffn, norm=traits.norm, place=traits.place,
        parallel=parallel, epsilon=_epsilon(keys), rope_theta=_theta(keys),
    )  # fmt: skip


def attention(keys: Keys) -> Attention:
    """Return the attention that all layers of a type share, without windows."""
    traits = keys.kind.traits
    width, heads = keys.size("hidden_size"), keys.size("num_attention_heads")
    kv_heads = heads
    if "num_key_value_heads" in keys.kind.defaults or keys.given("num_key_value_heads")[0] in keys.raw:
        kv_heads = keys.maybe_size("num_key_value_heads") or heads
    if heads % kv_heads:
        raise keys.fail(f"{_name(keys)}={heads} must be a multiple of num_key_value_heads={kv_heads}")
    head_dim = head_size(keys, width, heads)
    if traits.square_output and heads * head_dim != width:
        raise keys.fail(f"head_dim={head_dim}: {keys.name} needs {_name(keys)} x head_dim = hidden_size = {width}")
    return Attention(
        heads=heads, kv_heads=kv_heads, head_dim=head_dim, value_dim=head_dim, rotary=turned(keys, head_dim),
        causal=traits.causal or traits.masked, bias=biases(keys), head_norm=_head_norm(keys),
        head_norm_kind=traits.head_norm_kind,
    )  # fmt: skip


def _name(keys: Keys) -> str:
    return keys.given("num_attention_heads")[0]


def head_size(keys: Keys, width: int, heads: int) -> int:
    """Return the channels of a head: the key's, the class's, or hidden size over heads."""
    kind = keys.kind.traits.head_dim
    given = None if kind == "ignored" else keys.maybe_size("head_dim")
    if given is None or kind == "refused":
        if width % heads and kind != "floor":
            raise keys.fail(f"{keys.own_name('hidden_size')}={width} is not a multiple of {_name(keys)}={heads}")
        if given not in (None, width // heads):
            raise keys.fail(f"head_dim={given}: the class of {keys.name} cannot use it; it needs {width // heads}")
        return width // heads
    return given


def turned(keys: Keys, head_dim: int) -> int:
    """Return how many channels of each head are turned by position."""
    traits = keys.kind.traits
    if traits.rotary_if:
        key, _, word = traits.rotary_if.partition("=")
        if keys.value(key) != word:
            return 0
    if traits.rotary_dims:
        dims = keys.maybe_size(traits.rotary_dims)
        if dims is not None and dims > head_dim:
            raise keys.fail(f"{traits.rotary_dims}={dims} is more than the {head_dim} channels of a head")
        return head_dim if dims is None else _even(keys, dims, traits.rotary_dims)
    if not traits.rotary:
        return 0
    share = _share(keys)
    if not 0 < share <= 1:
        raise keys.fail(f"partial_rotary_factor={share:g} must lie in 0..1")
    # the library turns a pair of channels for each frequency that it has begun
    return _even(keys, head_dim if share == 1 else (int(head_dim * share) + 1) // 2 * 2, "head_dim")


def _even(keys: Keys, dims: int, name: str) -> int:
    if dims % 2 or not dims:
        raise keys.fail(f"{name}={dims} must be even for the rotary embedding")
    return dims


def _share(keys: Keys) -> float:
    """Return ``partial_rotary_factor``, which may lie beside the other keys or among those of the rotation."""
    traits = keys.kind.traits
    inside = keys.section("rope_parameters").get("partial_rotary_factor")
    if isinstance(inside, int | float) and not isinstance(inside, bool):
        return float(inside)
    if traits.old_rotary and keys.given("partial_rotary_factor")[0] not in keys.raw:
        return keys.number(traits.old_rotary, traits.rotary)
    return keys.number("partial_rotary_factor", traits.rotary)


def biases(keys: Keys) -> str:
    """Return the letters of the projections that add a bias."""
    bias = keys.kind.traits.bias
    together = keys.decide(bias.qkv)
    q, v = together or keys.decide(bias.q), together or keys.decide(bias.v)
    return "q" * q + "k" * together + "v" * v + "o" * keys.decide(bias.o)


def _head_norm(keys: Keys) -> Literal["", "head", "all"]:
    norm = keys.kind.traits.head_norm
    if isinstance(norm, HeadNormTraits):
        return norm.kind if keys.flag(norm.key) else ""
    return norm


def feed_forward(keys: Keys, key: str | None = None) -> FeedForward:
    """Return the dense feed-forward part; ``key`` names its inner width."""
    traits = keys.kind.traits
    inner = None if traits.fixed_inner else keys.maybe_size(key or traits.dense_inner)
    if inner is None and traits.inner:
        inner = traits.inner * keys.size("hidden_size")
    if inner is None:
        inner = keys.size(key or traits.dense_inner)
    return FeedForward(
        inner=inner, gated=traits.gated, activation=activation(keys), bias=keys.decide(traits.bias.ffn)
    )  # fmt: skip


def activation(keys: Keys, key: str | None = None) -> str:
    """Return the nonlinearity by its name in the library."""
    key = key or keys.kind.traits.activation
    if key.startswith("="):
        return key.removeprefix("=")
    name = keys.value(key)
    if not isinstance(name, str) or name not in NONLINEARITIES:
        raise keys.fail(f"{key}={name!r:.60} is not supported ({', '.join(sorted(NONLINEARITIES))})")
    return name


def _epsilon(keys: Keys) -> float:
    """Return what is added to the variance; no type's cost depends on it."""
    names = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps", "norm_epsilon")
    values = [keys.raw[name] for name in names if name in keys.raw]
    fits = values and isinstance(values[0], int | float) and not isinstance(values[0], bool) and values[0] > 0
    return float(values[0]) if fits else 1e-5  # type: ignore[arg-type]


def _theta(keys: Keys) -> float:
    """Return the base of the rotation; it changes angles, not cost."""
    inside = keys.section("rope_parameters").get("rope_theta")
    if keys.raw.get("rope_theta") is None and isinstance(inside, int | float) and inside > 1:
        return float(inside)
    theta = keys.number("rope_theta", 10000.0)
    if theta <= 1:
        raise keys.fail(f"rope_theta={theta:g} must be greater than 1")
    return theta


def stack(
    keys: Keys, family: str, layers: Sequence[Layer], *, tokens: int | None = None, weight_sets: int | None = None
) -> Stack:
    """Return a model of one group of layers; ``weight_sets`` as for `Stack`."""
    keys.refuse_if("add_cross_attention", "keys and values come from states whose size the file does not tell")
    keys.refuse_if("cross_attention_freq", "keys and values come from states whose size the file does not tell")
    vocabulary, traits = keys.value("vocab_size"), keys.kind.traits
    generates = traits.generates and not traits.masked and any(layer.attention.causal for layer in layers)
    return Stack(
        name=title(keys), model_type=keys.name, family=family, groups=(Group(tuple(layers)),),
        weight_sets=weight_sets, generates=generates, tokens=tokens,
        max_positions=keys.maybe_size("max_position_embeddings") if tokens is None else None,
        tied=keys.flag("tie_word_embeddings", True),
        vocabulary=vocabulary if isinstance(vocabulary, int) else None, notes=keys.finish(),
    )  # fmt: skip


def title(keys: Keys) -> str:
    """Return what the file calls its model, else its type; `workloads.sources` knows the folder."""
    name = keys.raw.get("_name_or_path")
    return name if isinstance(name, str) and name else keys.name
