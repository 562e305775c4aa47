"""The shape shared by normalisations and elementwise operators: a matrix of rows x cols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from workloads.iteration_space import IterationSpace, Operand
from workloads.ops.operator import Array, Operator, exact
from workloads.tensor import Extents, Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class RowwiseOperator(Operator):
    """An operator whose output has the shape of its first input, seen as rows x cols."""

    operands: ClassVar[int] = 1
    """Number of equally shaped inputs."""
    flops_per_element: ClassVar[int]
    """Natural count, one per add, multiply, compare, divide, exponential or root."""

    rows: int
    cols: int

    def __post_init__(self) -> None:
        self.require(len(self.inputs) == self.operands, f"takes {self.operands} input(s), got {len(self.inputs)}")
        for tensor in (*self.inputs, self.output):
            fits = tensor.elements == self.rows * self.cols
            self.require(fits, f"tensor {tensor.name} {tensor.shape} is not {self.rows} x {self.cols}")

    @property
    def columns_together(self) -> int:
        """Adjacent columns that must be complete before one of them has a result: the row of a normalisation."""
        return 1

    @property
    def iteration_space(self) -> IterationSpace:
        tensors = (self.output, *self.inputs)
        # the finest dimensions name all; a tensor seen as fewer or other axes is indexed by position
        dims = max((tuple(dim for axis in tensor.axes for dim in axis) for tensor in tensors), key=len)
        output, *inputs = (Operand.by_position(tensor, dims) for tensor in tensors)
        return IterationSpace.of(self.name, inputs, output, complete=_innermost(dims, self.columns_together))

    @property
    def dims(self) -> Mapping[str, int]:
        return {"rows": self.rows, "cols": self.cols}

    @property
    def flops(self) -> int:
        return self.rows * self.cols * self.flops_per_element

    def matrix(self, array: Array) -> Array:
        """Return ``array`` as exact rows x cols numbers."""
        return exact(array).reshape(self.rows, self.cols)


def _innermost(dims: Extents, together: int) -> tuple[str, ...]:
    """Return the fewest inner dimensions that hold whole groups of ``together`` columns; none for single columns."""
    names: list[str] = []
    size = 1
    for dim, extent in reversed(dims):
        if size % together == 0:
            break
        names.append(dim)
        size *= extent
    return tuple(names)


def like(tensor: Tensor, name: str) -> Tensor:
    """Return an activation called ``name`` with the shape and width of ``tensor``."""
    return Tensor(name, tensor.shape, tensor.dims, tensor.bits)
