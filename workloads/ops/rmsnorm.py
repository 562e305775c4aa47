"""Root-mean-square normalisation over complete rows; the gain folds into the following linear layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.ops.operator import Array
from workloads.ops.rowwise import RowwiseOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class RmsNorm(RowwiseOperator):
    """Row r becomes x / sqrt(mean(x^2) + epsilon)."""

    kind: ClassVar[str] = "rmsnorm"
    flops_per_element: ClassVar[int] = 4
    """Square, sum, multiply by the inverse root, gain."""

    epsilon: float = 1e-5

    @property
    def columns_together(self) -> int:
        return self.cols

    def reference(self, *arrays: Array) -> Array:
        x = self.matrix(arrays[0]).astype(np.float64)
        mean_square = (x**2).mean(axis=1, keepdims=True)
        result: Array = x / np.sqrt(mean_square + self.epsilon)
        return result.reshape(self.output.shape)
