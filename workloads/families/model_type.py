"""What the tables of this package say about a model type, and the tables themselves.

An entry of ``llama.yaml`` reads:

    stablelm:
      traits: {gated: true, rotary: 0.25, norm: layernorm, bias: {qkv: use_qkv_bias}, ...}   how its block is built
      names: {...}                                                                            other names that are read
      defaults: {hidden_size: 2560, ...}                                                      what an absent key means

Where a trait may be ``true``, ``false`` or a word, the word is the key of the file that decides.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from workloads.models.layers import Norm, Place
from workloads.ops import RmsNorm
from workloads.reading import parse

FAMILIES = ("bert", "gpt", "llama", "experts", "latent", "vision", "encoder_decoder")
"""Tables of this package, each beside the file that reads its types."""

Decision = bool | str
"""A fact, or the key that decides."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class BiasTraits(_Strict):
    """Which products add a bias."""

    qkv: Decision = False
    """Projections of queries, keys and values."""
    q: Decision = False
    v: Decision = False
    o: Decision = False
    """Output projection of attention."""
    ffn: Decision = False
    """Feed-forward part."""


class HeadNormTraits(_Strict):
    """Norm of queries and keys that a key switches on."""

    key: str
    kind: Literal["head", "all"]


class ExpertTraits(_Strict):
    """Keys that size the experts."""

    count: str
    inner: str
    """Key of an expert's inner width."""
    shared: str = ""
    """Key of the inner width of the part that all tokens run through; 0 or absent: none."""
    shared_times: str = ""
    """Key of how many inner widths of an expert the shared part has."""
    shared_gate: bool = False
    bias: bool = False
    corrected: bool = False
    """Whether a router keeps a term for each expert that only the choice sees, and that balances the loads."""
    layers: Literal["all", "by_step", "after_first", "by_list", "by_type"] = "all"
    """Which layers have experts (`workloads.families.experts`)."""


class Traits(_Strict):
    """How the block of a type is built."""

    norm: Norm = RmsNorm.kind
    place: Place = "before"
    gated: bool
    activation: str = "hidden_act"
    """Key of the nonlinearity; ``=gelu`` if the class has no key for it."""
    bias: BiasTraits = BiasTraits()
    head_norm: Literal["", "head", "all"] | HeadNormTraits = ""
    head_norm_kind: Norm = RmsNorm.kind
    rotary: float = 0.0
    """Share of a head that is turned where ``partial_rotary_factor`` is absent; 0: positions are not rotary."""
    rotary_dims: str = ""
    """Key of the turned channels of a head."""
    old_rotary: str = ""
    """Older name of ``partial_rotary_factor``."""
    window: str = ""
    """Rule of `workloads.families.windows` for files without ``layer_types``."""
    period: int = 0
    period_key: str = ""
    """Key of the period, which older files have."""
    no_rotary: Literal["", "list", "full", "full_beside_windows"] = ""
    """Which layers carry no positions: those of ``no_rope_layers`` with a 0, or full ones."""
    parallel: Literal[0, 1, 2] = 0
    """Norms before attention and feed-forward part where both read the layer's input."""
    parallel_key: str = ""
    causal: bool = True
    masked: bool = False
    """A causal mask in an encoder without a cache (CLIP)."""
    generates: bool = True
    head_dim: Literal["read", "floor", "refused", "ignored"] = "read"
    """What a ``head_dim`` other than hidden / heads does: works, breaks the class, or is not read.

    ``floor``: it works, and the class rounds hidden / heads down where the key is absent.
    """
    square_output: bool = False
    """The output projection has hidden_size inputs, whatever the heads are."""
    inner: int = 0
    """Inner width over hidden size where the inner width is null."""
    fixed_inner: bool = False
    """There is no key for the inner width."""
    dense_inner: str = "intermediate_size"
    """Key of the inner width of layers without experts."""
    sizes: Mapping[str, str] = {}
    """Name that this package uses -> name of the class, where they differ."""
    experts: ExpertTraits | None = None
    rotary_if: str = ""
    """``key=value`` that switches rotary positions on."""
    extra_tokens: int = 0
    """Tokens of an image beside its patches."""


class ModelType(_Strict):
    """One entry of a table."""

    traits: Traits
    names: Mapping[str, str] = {}
    """Other name that a file may use -> name of the class (its ``attribute_map``)."""
    reads_layer_types: bool = False
    defaults: Mapping[str, object]
    """Values of the configuration class of transformers 5.24.0."""


@functools.cache
def table(family: str) -> Mapping[str, ModelType]:
    """Return the types of one family."""
    name = f"{family}.yaml"
    text = resources.files("workloads").joinpath("families", name).read_text("utf-8")
    return TypeAdapter(dict[str, ModelType]).validate_python(parse(text, name))


@functools.cache
def family_of() -> Mapping[str, str]:
    """Return the family of every type that is read."""
    return {model_type: family for family in FAMILIES for model_type in table(family)}
