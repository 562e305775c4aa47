"""Model configurations: what a preset, a mapping or an imported config.json must say."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from workloads.ops import Gelu, Relu, RowwiseOperator, Silu

ACTIVATIONS: Mapping[str, type[RowwiseOperator]] = MappingProxyType({op.kind: op for op in (Gelu, Relu, Silu)})
"""What ``activation`` of a configuration may say, and the operator it means."""


def _activation(value: object) -> object:
    if value is None or (isinstance(value, str) and value in ACTIVATIONS):
        return value
    *first, last = (repr(name) for name in ACTIVATIONS)
    raise ValueError(f"input should be {', '.join(first)} or {last}")


Size = Annotated[int, Field(ge=1, le=2**31, strict=True)]


class ModelConfig(BaseModel):
    """Common to all families."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """Name of the model."""
    source: str
    """Where the numbers come from."""


Left = Annotated[int, Field(ge=0, le=2**31, strict=True)]


class PerLayer(BaseModel):
    """Shapes by layer, where they are not the model's own; each list has one number for each layer."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    heads: tuple[Left, ...] | None = None
    """Query heads that are left; 0: the layer has no attention."""
    kv_heads: tuple[Left, ...] | None = None
    """Key and value heads that are left; as many per query head as before if left out."""
    d_ffn: tuple[Left, ...] | None = None
    """Channels between the feed-forward layers; 0: the layer has no such part."""
    tokens: tuple[Size, ...] | None = None
    """Tokens per sequence that a prompt still has in the layer."""


class TransformerConfig(ModelConfig):
    """A stack of identical Transformer blocks, or of blocks whose shapes are listed by layer."""

    family: str
    """Which block, by the name of one of `workloads.models.TRANSFORMERS`."""
    layers: Size
    """Identical blocks."""
    d_model: Size
    """Channels of a token."""
    heads: Size
    """Query heads."""
    kv_heads: Size | None = None
    """Key and value heads; as many as ``heads`` if left out."""
    head_dim: Size | None = None
    """Channels of one head; d_model / heads if left out, but free."""
    d_ffn: Size
    """Channels between the two feed-forward layers."""
    activation: Annotated[str | None, BeforeValidator(_activation)] = None
    """Nonlinearity of the feed-forward layers; gelu, and silu for llama, if left out."""
    attention_bias: bool | None = None
    """Whether Q, K, V (and in bert, gpt, vit the output projection) add a bias; the family's habit if left out."""
    max_positions: Size | None = None
    """Longest sequence the model was made for."""
    rope_theta: Annotated[float, Field(gt=1)] = 10000.0
    """Base of the rotary embedding (llama)."""
    norm_epsilon: Annotated[float, Field(gt=0)] = 1e-5
    """Added to the variance by the normalisations."""
    vocabulary: Size | None = None
    """Rows of the embedding, and columns of the LM head."""
    tokens: Size | None = None
    """Tokens of one input when the model fixes them (vit: patches plus class token)."""

    @model_validator(mode="after")
    def _check_heads(self) -> TransformerConfig:
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise ValueError(f"heads={self.heads} must be a multiple of kv_heads={self.kv_heads}")
        if self.head_dim is None and self.d_model % self.heads:
            raise ValueError(f"d_model={self.d_model} is not a multiple of heads={self.heads}; give head_dim")
        return self

    per_layer: PerLayer | None = None
    """Shapes by layer, of pruned models and shrinking sequences."""

    @model_validator(mode="after")
    def _per_layer(self) -> TransformerConfig:
        listed = self.per_layer
        if listed is None:
            return self
        for name in PerLayer.model_fields:
            values = getattr(listed, name)
            if values is not None and len(values) != self.layers:
                raise ValueError(f"per_layer.{name}: {len(values)} numbers for {self.layers} layers")
        heads = listed.heads or (self.heads,) * self.layers
        shared = self.heads // self.key_value_heads
        keys = listed.kv_heads or tuple(-(-one // shared) for one in heads)
        for layer, (query, key) in enumerate(zip(heads, keys, strict=True)):
            if (query > 0) != (key > 0) or (key and query % key):
                raise ValueError(f"per_layer: layer {layer}: {query} heads are no multiple of {key} of keys and values")
            if query == 0 and listed.d_ffn is not None and listed.d_ffn[layer] == 0:
                raise ValueError(
                    f"per_layer: layer {layer} has neither attention nor a feed-forward part; leave it out"
                )
        return self

    @property
    def head_size(self) -> int:
        """Channels of one head."""
        return self.head_dim or self.d_model // self.heads

    @property
    def key_value_heads(self) -> int:
        """Key and value heads."""
        return self.kv_heads or self.heads


class ResNetConfig(ModelConfig):
    """A residual convolutional network of bottleneck blocks."""

    family: Literal["resnet"]
    """Always resnet."""
    image_size: Size
    """Height and width of the input. [pixels]"""
    stem_channels: Size
    """Channels of the 7x7 stem and of the first stage's inner layers; doubled in every stage."""
    blocks: tuple[Annotated[int, Field(ge=1, le=1000, strict=True)], ...] = Field(min_length=1, max_length=8)
    """Bottleneck blocks per stage."""
    expansion: Size
    """Output channels of a block over its inner channels."""
    classes: Size
    """Outputs of the classifier."""
