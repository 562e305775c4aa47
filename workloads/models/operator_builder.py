"""Collects operators and makes their tensors: what builders of all kinds of blocks share."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from workloads.ops import Add, Matmul, Mul, Operator
from workloads.ops.operator import OpClass
from workloads.routing import BALANCED, Routing
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
    skips_masked: bool = False
    """Whether a prompt's products leave out blocks of keys that the mask hides."""
    routing: Routing = BALANCED
    """How routers spread the tokens over experts."""

    @property
    def tokens(self) -> int:
        """New tokens of the whole batch."""
        return self.batch * self.seq

    @property
    def attended(self) -> int:
        """Positions a token attends to; the causal mask is not exploited."""
        return self.context + self.seq


@dataclass(slots=True)
class OperatorBuilder:
    """Collects operators; every method adds one and returns its output tensor, which carries the operator's name."""

    shape: Shape
    operators: list[Operator] = field(default_factory=list, kw_only=True)
    appends: dict[str, str] = field(default_factory=dict, kw_only=True)
    prefix: str = field(default="", kw_only=True)
    """Before the names of all operators and tensors: which of several blocks they belong to."""

    @property
    def tokens(self) -> Extents:
        """Dimensions of the rows of an activation."""
        return ("batch", self.shape.batch), ("query", self.shape.seq)

    def named(self, name: str) -> str:
        """Return the name of an operator or tensor of this block in the graph."""
        return self.prefix + name

    def tensor(
        self, name: str, shape: tuple[int, ...], dims: tuple[str | Extents, ...], role: Role = "activation"
    ) -> Tensor:
        """Return a tensor with the width asked for its name or role."""
        name = self.named(name)
        return Tensor(name, shape, dims, self.shape.bits.of(name, role), role)

    def input(self, channels: int) -> Tensor:
        """Return the residual stream that enters the block, (tokens, channels)."""
        return self.tensor("x", (self.shape.tokens, channels), (self.tokens, (("channel", channels),)))

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
        full = self.named(name)
        out = Tensor(full, (x.shape[0], n), (rows, to), self.shape.bits.of(full, "kv_cache" if kv else "activation"))
        inputs = (x, weight) if row_bias is None else (x, weight, row_bias)
        return self.add(Matmul(name=full, inputs=inputs, output=out, op_class=op_class, bias=row_bias))

    def residual(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """Add two tensors."""
        return self.add(
            Add(name=self.named(name), inputs=(x, y), output=self.like(x, name), rows=x.shape[0], cols=x.shape[1])
        )

    def product(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """Multiply two tensors element by element."""
        return self.add(
            Mul(name=self.named(name), inputs=(x, y), output=self.like(x, name), rows=x.shape[0], cols=x.shape[1])
        )

    def like(self, x: Tensor, name: str) -> Tensor:
        """Return an activation of the shape of ``x``."""
        return self.tensor(name, x.shape, x.dims)
