"""Operators that an import has found; they are built at its end, when it is known how every dimension is cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workloads.errors import GraphError
from workloads.iteration_space import Operand
from workloads.onnx_import.dimensions import Dims, atoms, size
from workloads.onnx_import.file import Node
from workloads.onnx_import.values import Base, Names, stored
from workloads.ops import Conv2d, LayerNorm, Matmul, Operator, RmsNorm, RowwiseOperator, Softmax
from workloads.ops.operator import OpClass
from workloads.tensor import Role, Tensor

WHOLE_ROWS = (Softmax, LayerNorm, RmsNorm)
"""Operators of which a result depends on its whole row."""

Widths = Callable[[str, Role], int]


@dataclass(slots=True)
class Builder:
    """Makes the tensors of operators, each once."""

    bits: Widths
    names: Names = field(default_factory=Names)
    made: dict[int, Tensor] = field(default_factory=dict)

    def tensor(self, base: Base) -> Tensor:
        """Return a tensor."""
        if id(base) not in self.made:
            self.made[id(base)] = stored(base, self.names, self.bits)
        return self.made[id(base)]

    def name(self, dim: Any) -> str:
        """Return the name of a dimension."""
        return self.names.of(dim, dim.hint)


@dataclass(slots=True, kw_only=True)
class Record:
    """An operator to be built."""

    name: str
    node: Node
    out: Base
    op_class: OpClass = "other"

    @property
    def inputs(self) -> tuple[Base, ...]:
        """Tensors that it reads."""
        raise NotImplementedError

    def build(self, builder: Builder) -> Operator:
        """Return the operator."""
        raise NotImplementedError


@dataclass(slots=True, kw_only=True)
class Product(Record):
    """A product of two operands."""

    a: Base
    b: Base
    pairs: tuple[tuple[Dims, Dims], ...]
    """Dimensions of B, and what the operator calls them: those of A or of the result."""
    columns: Dims
    """Dimensions of the result that come from B."""
    biased: bool = False
    parted: bool = False
    """Whether the columns were taken apart into products of their own."""

    @property
    def by_weights(self) -> bool:
        """Whether B is stored in the file."""
        return self.b.role == "weight"

    @property
    def inputs(self) -> tuple[Base, ...]:
        return self.a, self.b

    def build(self, builder: Builder) -> Operator:
        a, b, out = (builder.tensor(base) for base in (self.a, self.b, self.out))
        renamed = {
            builder.name(own): builder.name(dim)
            for theirs, ours in self.pairs
            for own, dim in zip(atoms(theirs), atoms(ours), strict=True)
        }
        bias = None
        if self.biased:
            columns = tuple((builder.name(dim), dim.extent) for dim in atoms(self.columns)) or (("single", 1),)
            name = f"{self.name}.bias"
            bias = Tensor(name, (size(self.columns),), (columns,), builder.bits(name, "bias"), "bias")
        inputs = (a, b) if bias is None else (a, b, bias)
        return Matmul(
            name=self.name, inputs=inputs, output=out, op_class=self.op_class, bias=bias,
            a_indexing=Operand.by_name(a).axes, b_indexing=Operand.by_name(b, renamed).axes,
        )  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Rows(Record):
    """An elementwise operator or a normalisation."""

    kind: type[RowwiseOperator]
    reads: tuple[Base, ...]
    cols: Dims
    """Dimensions of what is normalised together; any split of an elementwise operator."""
    further: dict[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[Base, ...]:
        return self.reads

    def build(self, builder: Builder) -> Operator:
        out = builder.tensor(self.out)
        cols = size(self.cols)
        own, inner = self.out.dims, atoms(self.cols)
        if issubclass(self.kind, WHOLE_ROWS) and own[len(own) - len(inner) :] != inner:
            raise GraphError("it runs along an axis that is not contiguous; a transposition would be needed")
        inputs = tuple(builder.tensor(base) for base in self.reads)
        return self.kind(
            name=self.name, inputs=inputs, output=out, rows=out.elements // cols, cols=cols, **self.further
        )  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Convolution(Record):
    """A convolution of images, channels last."""

    x: Base
    window: tuple[int, int]
    channels: int
    stride: int
    pad: int
    dilation: int
    biased: bool = False

    @property
    def inputs(self) -> tuple[Base, ...]:
        return (self.x,)

    def build(self, builder: Builder) -> Operator:
        x, out = builder.tensor(self.x), builder.tensor(self.out)
        weight_name, bias_name = f"{self.name}.weight", f"{self.name}.bias"
        names = ("window_height", "window_width", "in_channel")
        shape = (*self.window, self.channels, out.shape[3])
        weight = Tensor(weight_name, shape, (*names, out.dims[3]), builder.bits(weight_name, "weight"), "weight")
        bias = None
        if self.biased:
            bias = Tensor(bias_name, out.shape[3:], out.dims[3:], builder.bits(bias_name, "bias"), "bias")
        inputs = (x, weight) if bias is None else (x, weight, bias)
        return Conv2d(
            name=self.name, inputs=inputs, output=out, op_class="conv", bias=bias, stride=self.stride, pad=self.pad,
            dilation=self.dilation,
        )  # fmt: skip
