"""Rectified linear unit, max(x, 0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.ops.operator import Array
from workloads.ops.rowwise import RowwiseOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class Relu(RowwiseOperator):
    """Element x becomes max(x, 0)."""

    kind: ClassVar[str] = "relu"
    flops_per_element: ClassVar[int] = 1

    def reference(self, *arrays: Array) -> Array:
        return np.maximum(self.matrix(arrays[0]), 0).reshape(self.output.shape)
