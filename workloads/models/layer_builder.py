"""Adds the pieces of a `Layer` operator by operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from workloads.models.layers import FeedForward, Layer, Norm
from workloads.models.operator_builder import OperatorBuilder
from workloads.ops import Gelu, LayerNorm, Relu, RmsNorm, Rope, RowwiseOperator, Silu, Xielu
from workloads.tensor import Extents, Tensor

NORMS: Mapping[Norm, type[LayerNorm] | type[RmsNorm]] = MappingProxyType({op.kind: op for op in (LayerNorm, RmsNorm)})

NONLINEARITIES: Mapping[str, type[RowwiseOperator]] = MappingProxyType(
    {
        **{op.kind: op for op in (Gelu, Silu, Relu, Xielu)},
        **dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python", "gelu_accurate"), Gelu),
        **dict.fromkeys(("swish", "quick_gelu"), Silu),
        "relu2": Relu,
    }
)
"""Nonlinearity of the transformers library -> operator of the same cost.

The approximations of GELU count as GELU, but for ``quick_gelu``, which is x sigmoid(1.702 x). ``relu2`` is squared by
an operator of its own.
"""


@dataclass(slots=True)
class LayerBuilder(OperatorBuilder):
    """Collects the operators of one layer."""

    layer: Layer

    def channels(self, width: int) -> Extents:
        """Dimension of the columns of the residual stream."""
        return (("channel", width),)

    def norm(self, name: str, x: Tensor) -> Tensor:
        """Normalise the rows of ``x`` as the layer does."""
        return self.rows_norm(name, x, 1, self.layer.norm)

    def rows_norm(self, name: str, x: Tensor, parts: int, kind: Norm) -> Tensor:
        """Normalise each of ``parts`` equal parts of the rows of ``x`` by itself; keeps the width of ``x``."""
        rows, cols = x.shape[0] * parts, x.shape[1] // parts
        out = Tensor(self.named(name), x.shape, x.dims, self.shape.bits.tensors.get(self.named(name), x.bits))
        return self.add(
            NORMS[kind](name=out.name, inputs=(x,), output=out, rows=rows, cols=cols, epsilon=self.layer.epsilon)
        )

    def activation(self, name: str, x: Tensor, kind: str) -> Tensor:
        """Apply a nonlinearity by its name in the transformers library."""
        out, operator = self.like(x, name), NONLINEARITIES[kind]
        self.add(operator(name=out.name, inputs=(x,), output=out, rows=x.shape[0], cols=x.shape[1]))
        return self.product(f"{name}_square", out, out) if kind == "relu2" else out

    def rope(self, name: str, x: Tensor, head_dim: int, turned: int) -> Tensor:
        """Turn the first ``turned`` channels of each head by the token's position; keeps the width of ``x``."""
        out = Tensor(self.named(name), x.shape, x.dims, self.shape.bits.tensors.get(self.named(name), x.bits))
        return self.add(
            Rope(
                name=out.name, inputs=(x,), output=out, rows=x.shape[0], cols=x.shape[1], head_dim=head_dim,
                turned=turned, tokens=self.shape.seq, first_position=self.shape.context, theta=self.layer.rope_theta,
            )
        )  # fmt: skip

    def feed_forward(self, x: Tensor, spec: FeedForward, part: str = "") -> Tensor:
        """Add a dense feed-forward part; the names of its operators begin with ``part``."""
        inner, width = (("hidden", spec.inner),), self.channels(x.shape[1])
        if not spec.gated:
            hidden = self.linear(f"{part}ffn1", x, inner, "ffn_projection", bias=spec.bias)
            active = self.activation(f"{part}ffn_activation", hidden, spec.activation)
            return self.linear(f"{part}ffn2", active, width, "ffn_projection", bias=spec.bias)
        gate = self.linear(f"{part}gate", x, inner, "ffn_projection", bias=spec.bias)
        active = self.activation(f"{part}ffn_activation", gate, spec.activation)
        up = self.linear(f"{part}up", x, inner, "ffn_projection", bias=spec.bias)
        both = self.product(f"{part}ffn_mul", active, up)
        return self.linear(f"{part}down", both, width, "ffn_projection", bias=spec.bias)
