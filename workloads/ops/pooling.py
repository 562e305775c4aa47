"""What maximum and average pooling share: windows over the pixels of an (n, h, w, c) tensor."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from workloads.iteration_space import IterationSpace, Operand
from workloads.ops.conv2d import PIXELS, REDUCED, output_size, sliding
from workloads.ops.operator import Array, Operator
from workloads.tensor import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling(Operator):
    """One result per window and channel; rows are output pixels, cols are channels."""

    window: int
    stride: int
    pad: int = 0

    def __post_init__(self) -> None:
        valid = min(self.window, self.stride) >= 1 and 0 <= 2 * self.pad <= self.window
        self.require(valid, "window and stride must be at least 1, pad at most half a window")
        n, h, w, c = self.inputs[0].shape
        shape = (n, *(output_size(size, self.window, self.stride, self.pad) for size in (h, w)), c)
        self.require(self.output.shape == shape, f"output must be {shape}, is {self.output.shape}")

    @property
    def iteration_space(self) -> IterationSpace:
        out = Operand.by_name(self.output)
        image, height, width, channel = out.axes
        rows, cols = (
            sliding(axis, dim, self.stride, 1, self.pad) for axis, dim in zip((height, width), REDUCED[:2], strict=True)
        )
        windows = tuple((dim, self.window) for dim in REDUCED[:2])
        x = Operand(self.inputs[0], (image, rows, cols, channel))
        return IterationSpace.of(self.name, (x,), out, windows=windows)

    @property
    def dims(self) -> Mapping[str, int]:
        n, p, q, c = self.output.shape
        return {"rows": n * p * q, "cols": c, "r": self.window, "s": self.window}

    @property
    def flops(self) -> int:
        return self.output.elements * self.window**2

    @property
    def details(self) -> tuple[Hashable, ...]:
        return self.window, self.stride, self.pad

    def windows(self, array: Array, fill: float) -> Array:
        """Return (n, p, q, c, window, window) with the border padded by ``fill``."""
        border = (self.pad, self.pad)
        padded = np.pad(array.astype(np.float64), ((0, 0), border, border, (0, 0)), constant_values=fill)
        sliding: Array = np.lib.stride_tricks.sliding_window_view(padded, (self.window, self.window), axis=(1, 2))
        return sliding[:, :: self.stride, :: self.stride]


def pooled(x: Tensor, name: str, window: int, stride: int, pad: int = 0, bits: int | None = None) -> Tensor:
    """Return the output tensor of a pooling of ``x``."""
    n, h, w, c = x.shape
    p, q = (output_size(size, window, stride, pad) for size in (h, w))
    return Tensor(name, (n, p, q, c), PIXELS, bits or x.bits)
