"""Elementwise product of two equally shaped tensors: gate times value in SwiGLU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from workloads.ops.operator import Array
from workloads.ops.rowwise import RowwiseOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class Mul(RowwiseOperator):
    """x * y."""

    kind: ClassVar[str] = "mul"
    operands: ClassVar[int] = 2
    flops_per_element: ClassVar[int] = 1

    def reference(self, *arrays: Array) -> Array:
        return (self.matrix(arrays[0]) * self.matrix(arrays[1])).reshape(self.output.shape)
