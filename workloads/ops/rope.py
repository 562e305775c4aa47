"""Rotary position embedding of queries or keys.

Channels i and i + r/2 of the first r of each head form a plane, turned by position * theta^(-2i/r) [1]_; r is
head_dim unless the model turns fewer. This pairing of halves is the one of the published LLaMA checkpoints in Hugging
Face form. The table of sines and cosines is a constant of the kernel and is not counted.

References
----------
.. [1] J. Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", arXiv:2104.09864, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.ops.operator import Array
from workloads.ops.rowwise import RowwiseOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class Rope(RowwiseOperator):
    """Rotation of each head by the token's position; rows are tokens, sequences one after the other."""

    kind: ClassVar[str] = "rope"
    flops_per_element: ClassVar[int] = 3
    """Two products and a sum, of the channels that are turned."""

    head_dim: int
    tokens: int
    """Rows per sequence."""
    first_position: int = 0
    """Position of each sequence's first row: the length of its cache."""
    theta: float = 10000.0
    turned: int | None = None
    """Channels of each head that are turned, its first; None: all."""

    def __post_init__(self) -> None:
        size = self.rotary
        self.require(size % 2 == 0, f"{'head_dim' if self.turned is None else 'turned'}={size} must be even")
        self.require(0 < size <= self.head_dim, f"turned={size} must lie in 1..head_dim={self.head_dim}")
        self.require(self.cols % self.head_dim == 0, f"head_dim={self.head_dim} must divide cols={self.cols}")
        self.require(self.rows % self.tokens == 0, f"tokens={self.tokens} must divide rows={self.rows}")
        RowwiseOperator.__post_init__(self)

    @property
    def rotary(self) -> int:
        """Channels of each head that are turned."""
        return self.head_dim if self.turned is None else self.turned

    @property
    def flops(self) -> int:
        return self.rows * self.cols // self.head_dim * self.rotary * self.flops_per_element

    @property
    def columns_together(self) -> int:
        """A channel's partner lies half a head away, so a head is the least range that holds both."""
        return self.head_dim

    def reference(self, *arrays: Array) -> Array:
        return self.turn(self.matrix(arrays[0]).astype(np.float64), 0).reshape(self.output.shape)

    def turn(self, values: Array, first: int) -> Array:
        """Turn whole heads of some rows, from row ``first`` on (rows, columns)."""
        half = self.rotary // 2
        x = values.reshape(len(values), -1, self.head_dim)
        position = self.first_position + (first + np.arange(len(values))) % self.tokens
        angle = position[:, None] * self.theta ** (-2.0 * np.arange(half) / self.rotary)
        cosine, sine = np.cos(angle)[:, None, :], np.sin(angle)[:, None, :]
        low, high, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        turned = np.concatenate([low * cosine - high * sine, high * cosine + low * sine, rest], axis=-1)
        return turned.reshape(values.shape)
