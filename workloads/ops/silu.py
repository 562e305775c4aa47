"""Sigmoid linear unit x / (1 + exp(-x)), the gate of SwiGLU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.ops.operator import Array
from workloads.ops.rowwise import RowwiseOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class Silu(RowwiseOperator):
    """Element x becomes x sigmoid(x)."""

    kind: ClassVar[str] = "silu"
    flops_per_element: ClassVar[int] = 4
    """Negate, exponential, add, divide."""

    def reference(self, *arrays: Array) -> Array:
        x = self.matrix(arrays[0]).astype(np.float64)
        # exp(-|x|) cannot overflow; both branches are the same function
        decay = np.exp(-np.abs(x))
        result: Array = x * np.where(x >= 0, 1.0, decay) / (1 + decay)
        return result.reshape(self.output.shape)
