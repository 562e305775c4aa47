"""Builds a Transformer block operator by operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workloads.models.config import ACTIVATIONS, TransformerConfig
from workloads.models.operator_builder import OperatorBuilder, Shape
from workloads.ops import Gelu, LayerNorm, RmsNorm, Rope
from workloads.ops.rowwise import RowwiseOperator
from workloads.tensor import Extents, Tensor

__all__ = ["BlockBuilder", "Family", "Shape"]


@dataclass(frozen=True, slots=True)
class Family:
    """Models whose blocks are built alike; each family is one file of this package."""

    name: str
    """What a configuration calls it."""
    add_block: Callable[[BlockBuilder], object]
    """Adds the operators of one block."""
    is_decoder: bool = False
    """Whether tokens are generated one by one, with a cache of keys and values."""
    is_rotary: bool = False
    """Whether queries and keys are turned in pairs of channels, so that a head has an even number of them."""
    norm: type[LayerNorm] | type[RmsNorm] = LayerNorm
    """Normalisation of the residual stream."""
    activation: type[RowwiseOperator] = Gelu
    """Nonlinearity of the feed-forward layers unless the configuration names one."""


@dataclass(slots=True)
class BlockBuilder(OperatorBuilder):
    """Collects the operators of one block of a configuration."""

    family: Family
    config: TransformerConfig

    @property
    def heads(self) -> Extents:
        """Dimensions of the columns of queries."""
        config = self.config
        shared = config.heads // config.key_value_heads
        return ("head", config.key_value_heads), ("query_head", shared), ("head_dim", config.head_size)

    @property
    def key_heads(self) -> Extents:
        """Dimensions of the columns of keys and values."""
        return ("head", self.config.key_value_heads), ("head_dim", self.config.head_size)

    @property
    def channels(self) -> Extents:
        """Dimension of the columns of the residual stream."""
        return (("channel", self.config.d_model),)

    @property
    def hidden(self) -> Extents:
        """Dimension of the columns between the feed-forward layers."""
        return (("hidden", self.config.d_ffn),)

    def block_input(self) -> Tensor:
        """Return the residual stream that enters the block, (tokens, d_model)."""
        return self.input(self.config.d_model)

    def norm(self, name: str, x: Tensor) -> Tensor:
        """Apply the family's normalisation to the rows of ``x``."""
        kind = self.family.norm
        rows, cols = x.shape
        out = self.like(x, name)
        return self.add(
            kind(name=name, inputs=(x,), output=out, rows=rows, cols=cols, epsilon=self.config.norm_epsilon)
        )

    def activation(self, name: str, x: Tensor) -> Tensor:
        """Apply the configured nonlinearity, the family's own unless the configuration names one."""
        named = self.config.activation
        kind = self.family.activation if named is None else ACTIVATIONS[named]
        return self.add(kind(name=name, inputs=(x,), output=self.like(x, name), rows=x.shape[0], cols=x.shape[1]))

    def rope(self, name: str, x: Tensor) -> Tensor:
        """Turn queries or keys by their position; keeps the width of ``x``."""
        bits = self.shape.bits.tensors.get(name, x.bits)
        return self.add(
            Rope(
                name=name, inputs=(x,), output=Tensor(name, x.shape, x.dims, bits), rows=x.shape[0], cols=x.shape[1],
                head_dim=self.config.head_size, tokens=self.shape.seq, first_position=self.shape.context,
                theta=self.config.rope_theta,
            )
        )  # fmt: skip
