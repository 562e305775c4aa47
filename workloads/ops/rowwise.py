"""The shape shared by normalisations and elementwise operators: a matrix of rows x cols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from workloads.ops.operator import Array, Operator, exact
from workloads.tensor import Tensor


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
    def dims(self) -> Mapping[str, int]:
        return {"rows": self.rows, "cols": self.cols}

    @property
    def flops(self) -> int:
        return self.repeat * self.rows * self.cols * self.flops_per_element

    def matrix(self, array: Array) -> Array:
        """Return ``array`` as exact rows x cols numbers."""
        return exact(array).reshape(self.rows, self.cols)


def like(tensor: Tensor, name: str) -> Tensor:
    """Return an activation called ``name`` with the shape and width of ``tensor``."""
    return Tensor(name, tensor.shape, tensor.dims, tensor.bits)
