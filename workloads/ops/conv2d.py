"""Two-dimensional convolution with a row bias (batch normalisation folded in), seven dimensions.

input   (n, h, w, c)   channels last, as Gemmini's convolution loop reads them
weight  (r, s, c, k)
output  (n, p, q, k)   p = (h + 2 pad - dilation (r - 1) - 1) / stride + 1, q likewise
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.errors import GraphError
from workloads.iteration_space import Axis, IterationSpace, Operand
from workloads.ops.matmul import Matmul
from workloads.ops.operator import Array, OpClass, Operator, exact
from workloads.tensor import Tensor

PIXELS = ("image", "height", "width", "channel")
"""Dimensions of a tensor of images."""

REDUCED = ("window_height", "window_width", "in_channel")
"""Dimensions over which a result is summed; the others are those of the output tensor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2d(Operator):
    """Dense convolution, square stride, padding and dilation."""

    kind: ClassVar[str] = "conv2d"

    stride: int = 1
    pad: int = 0
    dilation: int = 1

    def __post_init__(self) -> None:
        self.require(min(self.stride, self.dilation) >= 1 and self.pad >= 0, "stride, dilation or pad is out of range")
        n, h, w, c = self.inputs[0].shape
        r, s, channels, k = self.inputs[1].shape
        self.require(channels == c, f"weights take {channels} channels, the input has {c}")
        p, q = (output_size(size, window, self.stride, self.pad, self.dilation) for size, window in ((h, r), (w, s)))
        self.require(min(p, q) >= 1, f"the {r}x{s} window is larger than the {h}x{w} input")
        self.require(self.output.shape == (n, p, q, k), f"output must be {(n, p, q, k)}, is {self.output.shape}")
        self.require(self.bias is None or self.bias.elements == k, f"the bias must have k={k} values")

    @property
    def iteration_space(self) -> IterationSpace:
        out, (r, s, c, _) = Operand.by_name(self.output), self.inputs[1].shape
        image, height, width, channel = out.axes
        window = tuple(Axis.fused(((dim, size),)) for dim, size in zip(REDUCED, (r, s, c), strict=True))
        rows = sliding(height, REDUCED[0], self.stride, self.dilation, self.pad)
        cols = sliding(width, REDUCED[1], self.stride, self.dilation, self.pad)
        x = Operand(self.inputs[0], (image, rows, cols, window[2]))
        operands = [x, Operand(self.inputs[1], (*window, channel))]
        if self.bias is not None:
            operands.append(Operand.by_position(self.bias, self.output.axes[3]))
        return IterationSpace.of(self.name, operands, out)

    @property
    def loop_dims(self) -> Mapping[str, tuple[str, ...]]:
        """The dimensions behind the short names of loop nests."""
        image, height, width, channel = (axis.dims for axis in Operand.by_name(self.output).axes)
        r, s, c = ((dim,) for dim in REDUCED)
        return {"n": image, "k": channel, "c": c, "p": height, "q": width, "r": r, "s": s}

    @property
    def dims(self) -> Mapping[str, int]:
        n, p, q, k = self.output.shape
        r, s, c, _ = self.inputs[1].shape
        return {"n": n, "k": k, "c": c, "p": p, "q": q, "r": r, "s": s}

    @property
    def macs(self) -> int:
        r, s, c, _ = self.inputs[1].shape
        return self.output.elements * r * s * c

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @property
    def details(self) -> tuple[Hashable, ...]:
        return self.stride, self.pad, self.dilation

    def reference(self, *arrays: Array) -> Array:
        _, p, q, _ = self.output.shape
        r, s, _, _ = self.inputs[1].shape
        padded = np.pad(exact(arrays[0]), ((0, 0), (self.pad,) * 2, (self.pad,) * 2, (0, 0)))
        weight = exact(arrays[1])
        out: Array = np.zeros(self.output.shape, dtype=np.result_type(padded, weight))
        for i in range(r):
            for j in range(s):
                top, left = i * self.dilation, j * self.dilation
                rows = slice(top, top + (p - 1) * self.stride + 1, self.stride)
                cols = slice(left, left + (q - 1) * self.stride + 1, self.stride)
                out += padded[:, rows, cols, :] @ weight[i, j]
        return out if self.bias is None else out + exact(arrays[2]).reshape(-1)

    @property
    def is_pointwise(self) -> bool:
        """Whether im2col would copy the input unchanged."""
        return self.inputs[1].shape[:2] == (1, 1) and self.stride == 1 and self.pad == 0

    def as_matmul(self) -> Matmul:
        """Return the same convolution as matmul on the im2col matrix (n p q) x (r s c).

        The matrix is a new tensor ``<name>.im2col`` with its true size; producing it is not part of the
        matmul. A pointwise convolution multiplies its input directly.
        """
        space, x, out = self.iteration_space, self.inputs[0], self.output
        a, a_indexing = x, (*space.output.axes[:3], space.inputs[0].axes[3])
        if not self.is_pointwise:
            sizes = space.sizes
            window = tuple((dim, sizes[dim]) for dim in REDUCED)
            pixels = (*out.axes[0], *out.axes[1], *out.axes[2])
            shape = out.elements // out.shape[3], self.inputs[1].elements // out.shape[3]
            a, a_indexing = Tensor(f"{self.name}.im2col", shape, (pixels, window), x.bits), ()
        return Matmul(
            name=self.name, inputs=(a, *self.inputs[1:]), output=out, op_class=self.op_class, bias=self.bias,
            a_indexing=a_indexing, b_indexing=space.inputs[1].axes,
        )  # fmt: skip

    def im2col(self, x: Array) -> Array:
        """Return the im2col matrix of an input array, (n p q) x (r s c)."""
        _, p, q, _ = self.output.shape
        r, s, c, _ = self.inputs[1].shape
        padded = np.pad(x, ((0, 0), (self.pad,) * 2, (self.pad,) * 2, (0, 0)))
        rows = np.arange(p)[:, None] * self.stride + np.arange(r) * self.dilation
        cols = np.arange(q)[:, None] * self.stride + np.arange(s) * self.dilation
        windows = padded[:, rows[:, None, :, None], cols[None, :, None, :], :]
        return windows.reshape(-1, r * s * c)


def sliding(pixels: Axis, window: str, stride: int, dilation: int, pad: int) -> Axis:
    """Return the axis of an input on which a window slides with the ``pixels`` of the result."""
    steps = tuple((dim, coefficient * stride) for dim, coefficient in pixels.terms)
    return Axis((*steps, (window, dilation)), -pad, slides=True)


def output_size(size: int, window: int, stride: int, pad: int, dilation: int = 1) -> int:
    """Return how many windows fit along one axis."""
    return (size + 2 * pad - dilation * (window - 1) - 1) // stride + 1


def conv2d(
    name: str,
    x: Tensor,
    k: int,
    window: int,
    *,
    stride: int = 1,
    pad: int = 0,
    bias: bool = True,
    bits: tuple[int, int, int] = (8, 8, 32),
    op_class: OpClass = "conv",
) -> Conv2d:
    """Return a convolution of ``x`` (n, h, w, c) to ``k`` channels with a square window.

    ``bits`` are the widths of weights, output and bias; the bias is int32 like the accumulation.
    """
    if len(x.shape) != 4 or min(k, window, stride) < 1 or pad < 0:
        raise GraphError(f"conv2d {name}: needs an (n, h, w, c) input and k, window, stride at least 1, pad at least 0")
    n, h, w, c = x.shape
    p, q = (output_size(size, window, stride, pad) for size in (h, w))
    if min(p, q) < 1:
        raise GraphError(f"conv2d {name}: the {window}x{window} window is larger than the {h}x{w} input")
    weight = Tensor(f"{name}.weight", (window, window, c, k), (*REDUCED, "channel"), bits[0], "weight")
    row_bias = Tensor(f"{name}.bias", (k,), ("channel",), bits[2], "bias") if bias else None
    out = Tensor(name, (n, p, q, k), PIXELS, bits[1])
    inputs = (x, weight) if row_bias is None else (x, weight, row_bias)
    return Conv2d(name=name, inputs=inputs, output=out, op_class=op_class, bias=row_bias, stride=stride, pad=pad)
