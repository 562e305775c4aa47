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
from workloads.ops.matmul import Matmul
from workloads.ops.operator import Array, OpClass, Operator, exact
from workloads.tensor import Tensor, View


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
        x, weight, out = self.inputs[0], self.inputs[1], self.output
        n, p, q, n_out = out.shape
        m, depth = n * p * q, weight.elements // n_out
        a = x if self.is_pointwise else Tensor(f"{self.name}.im2col", (m, depth), ("pixels", "window"), x.bits)
        return Matmul(
            name=self.name, inputs=(a, *self.inputs[1:]), output=out, op_class=self.op_class, bias=self.bias,
            views=(View(a, depth), View(weight, n_out), View(out, n_out)), m=m, k=depth, n=n_out,
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
    weight = Tensor(f"{name}.weight", (window, window, c, k), ("r", "s", "c", "k"), bits[0], "weight")
    row_bias = Tensor(f"{name}.bias", (k,), ("k",), bits[2], "bias") if bias else None
    out = Tensor(name, (n, p, q, k), ("n", "p", "q", "k"), bits[1])
    inputs = (x, weight) if row_bias is None else (x, weight, row_bias)
    return Conv2d(name=name, inputs=inputs, output=out, op_class=op_class, bias=row_bias, stride=stride, pad=pad)
