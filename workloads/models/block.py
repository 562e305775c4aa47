"""Builds a Transformer block operator by operator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from workloads.models.config import ACTIVATIONS, TransformerConfig
from workloads.ops import Add, Gelu, LayerNorm, Matmul, Mul, Operator, RmsNorm, Rope
from workloads.ops.operator import OpClass
from workloads.ops.rowwise import RowwiseOperator
from workloads.tensor import Bits, Extents, Role, Tensor


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model is asked to process."""

    phase: str
    seq: int
    """New tokens per sequence; 1 in decode."""
    context: int
    """Tokens per sequence whose keys and values are cached."""
    batch: int
    bits: Bits

    @property
    def tokens(self) -> int:
        """New tokens of the whole batch."""
        return self.batch * self.seq

    @property
    def attended(self) -> int:
        """Positions a token attends to; the causal mask is not exploited."""
        return self.context + self.seq


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
class BlockBuilder:
    """Collects the operators of one block; every method adds one and returns its output tensor.

    Output tensors carry the operator's name.
    """

    family: Family
    config: TransformerConfig
    shape: Shape
    operators: list[Operator] = field(default_factory=list)
    appends: dict[str, str] = field(default_factory=dict)

    @property
    def tokens(self) -> Extents:
        """Dimensions of the rows of an activation."""
        return ("batch", self.shape.batch), ("query", self.shape.seq)

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

    def tensor(
        self, name: str, shape: tuple[int, ...], dims: tuple[str | Extents, ...], role: Role = "activation"
    ) -> Tensor:
        """Return a tensor with the width asked for its name or role."""
        return Tensor(name, shape, dims, self.shape.bits.of(name, role), role)

    def block_input(self) -> Tensor:
        """Return the residual stream that enters the block, (tokens, d_model)."""
        return self.tensor("x", (self.shape.tokens, self.config.d_model), (self.tokens, self.channels))

    def add(self, operator: Operator) -> Tensor:
        """Append ``operator`` and return its output."""
        self.operators.append(operator)
        return operator.output

    def linear(self, name: str, x: Tensor, to: Extents, op_class: OpClass, *, bias: bool, kv: bool = False) -> Tensor:
        """Project the rows of ``x`` to channels ``to``; ``kv`` results have the width of keys and values."""
        rows, inner = x.axes
        n = math.prod(extent for _, extent in to)
        weight = self.tensor(f"{name}.weight", (x.shape[1], n), (inner, to), "weight")
        row_bias = self.tensor(f"{name}.bias", (n,), (to,), "bias") if bias else None
        out = Tensor(name, (x.shape[0], n), (rows, to), self.shape.bits.of(name, "kv_cache" if kv else "activation"))
        inputs = (x, weight) if row_bias is None else (x, weight, row_bias)
        return self.add(Matmul(name=name, inputs=inputs, output=out, op_class=op_class, bias=row_bias))

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

    def residual(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """Add two tensors."""
        return self.add(Add(name=name, inputs=(x, y), output=self.like(x, name), rows=x.shape[0], cols=x.shape[1]))

    def product(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """Multiply two tensors element by element."""
        return self.add(Mul(name=name, inputs=(x, y), output=self.like(x, name), rows=x.shape[0], cols=x.shape[1]))

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

    def like(self, x: Tensor, name: str) -> Tensor:
        """Return an activation of the shape of ``x``."""
        return self.tensor(name, x.shape, x.dims)
