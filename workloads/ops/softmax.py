"""Softmax over complete rows, with attention's scale and causal mask folded in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.ops.operator import Array
from workloads.ops.rowwise import RowwiseOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax(RowwiseOperator):
    """Row r becomes exp(scale x - max) / sum of the same."""

    kind: ClassVar[str] = "softmax"
    flops_per_element: ClassVar[int] = 5
    """Compare, subtract, exponential, add, divide; the scale is folded into the exponent."""

    scale: float = 1.0
    """Factor on the scores, 1/sqrt(head_dim) in attention."""
    causal_tokens: int | None = None
    """New tokens per sequence if later positions are masked; the mask saves no work in this model."""

    @property
    def columns_together(self) -> int:
        return self.cols

    def reference(self, *arrays: Array) -> Array:
        scores = self.matrix(arrays[0]).astype(np.float64) * self.scale
        if self.causal_tokens is not None:
            position = self.cols - self.causal_tokens + np.arange(self.rows) % self.causal_tokens
            scores = np.where(np.arange(self.cols) <= position[:, None], scores, -np.inf)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        result: Array = powers / powers.sum(axis=1, keepdims=True)
        return result.reshape(self.output.shape)
