"""Layer normalisation over complete rows.

The gain and offset (2 values per column) are taken as one and zero and are not tensors of the graph: in
front of a linear layer they fold into its weights and bias, elsewhere they are constants of the kernel.
They are 0.04 % of the parameters of a BERT-Base block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.ops.operator import Array
from workloads.ops.rowwise import RowwiseOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNorm(RowwiseOperator):
    """Row r becomes (x - mean) / sqrt(variance + epsilon)."""

    kind: ClassVar[str] = "layernorm"
    flops_per_element: ClassVar[int] = 7
    """Sum, subtract, square, sum, multiply by the inverse deviation, gain, offset."""

    epsilon: float = 1e-5

    @property
    def columns_together(self) -> int:
        return self.cols

    def reference(self, *arrays: Array) -> Array:
        x = self.matrix(arrays[0]).astype(np.float64)
        centred = x - x.mean(axis=1, keepdims=True)
        variance = (centred**2).mean(axis=1, keepdims=True)
        result: Array = centred / np.sqrt(variance + self.epsilon)
        return result.reshape(self.output.shape)
