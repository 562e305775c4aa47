"""Matrix multiplication C = A B (+ bias), once or for many heads.

        n                    A  m x k, rows of activations
     ┌─────┐                 B  k x n, weights or another activation; stored n x k if ``b_transposed``
   k │  B  │                 C  m x n
     └─────┘                 bias  n values added to every row of C
  k  ┌─────┐
m ─A─│  C  │                 ``repeat`` such problems run on the matrices the three views describe.
     └─────┘
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.errors import GraphError
from workloads.ops.operator import Array, OpClass, Operator, exact
from workloads.tensor import Tensor, View, packed_bytes

LARGEST = 2**31
"""Largest extent of one dimension, as of a sequence. [elements]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matmul(Operator):
    """``repeat`` products of an m x k with a k x n matrix."""

    kind: ClassVar[str] = "matmul"

    m: int
    k: int
    n: int

    def __post_init__(self) -> None:
        self.require(min(self.m, self.k, self.n, self.repeat) >= 1, "m, k, n and repeat must be at least 1")
        self.require(len(self.views) == 3, "needs three views (A, B, C)")
        for label, view, (rows, cols) in zip("ABC", self.views, self.matrix_shapes, strict=True):
            self.require(view.instances == self.repeat, f"{label} has {view.instances} matrices, not {self.repeat}")
            inside = view.last_element(rows, cols) < view.tensor.elements
            self.require(inside, f"{label} ({rows} x {cols}) reaches outside tensor {view.tensor.name}")
        tensors = (self.views[0].tensor, self.views[1].tensor, *((self.bias,) if self.bias else ()))
        self.require(self.inputs == tensors, "inputs must be the tensors of A and B and the bias")
        self.require(self.output == self.views[2].tensor, "output must be the tensor of C")
        self.require(self.bias is None or self.bias.elements == self.n, f"the bias must have n={self.n} values")

    @property
    def dims(self) -> Mapping[str, int]:
        return {"m": self.m, "k": self.k, "n": self.n}

    @property
    def matrix_shapes(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """(rows, cols) of A, B and C as stored."""
        b = (self.n, self.k) if self.b_transposed else (self.k, self.n)
        return (self.m, self.k), b, (self.m, self.n)

    @property
    def macs(self) -> int:
        return self.repeat * self.m * self.k * self.n

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @property
    def bytes_read(self) -> int:
        bias = self.bias.bytes if self.bias else 0
        return bias + self._footprint(0) + (0 if self.views[0] == self.views[1] else self._footprint(1))

    @property
    def bytes_written(self) -> int:
        return self._footprint(2)

    def _footprint(self, operand: int) -> int:
        """Bytes of the distinct matrices of A (0), B (1) or C (2). [bytes]"""
        view, (rows, cols) = self.views[operand], self.matrix_shapes[operand]
        return packed_bytes(view.distinct_instances * rows * cols, view.tensor.bits)

    def reference(self, *arrays: Array) -> Array:
        a, b = (
            view.matrices(np.ascontiguousarray(exact(array)), *shape)
            for view, array, shape in zip(self.views[:2], arrays[:2], self.matrix_shapes[:2], strict=True)
        )
        product = a @ (b.swapaxes(-1, -2) if self.b_transposed else b)
        if self.bias is not None:
            product = product + exact(arrays[2]).reshape(-1)
        out = np.zeros(self.output.shape, dtype=product.dtype)
        self.views[2].matrices(out, self.m, self.n)[...] = product
        return out


def matmul(
    name: str,
    m: int,
    k: int,
    n: int,
    *,
    a: Tensor | None = None,
    b: Tensor | None = None,
    bias: Tensor | bool = False,
    repeat: int = 1,
    b_transposed: bool = False,
    op_class: OpClass = "other",
    output_bits: int = 8,
) -> Matmul:
    """Return a matmul on contiguous operands, made as needed (int8 activations times int8 weights).

    Parameters
    ----------
    name
        Name of the operator; its output tensor is called the same.
    a, b
        Tensors with ``repeat * m * k`` and ``repeat * k * n`` elements.
    bias
        A tensor of n values, or True for a new int32 one.

    Examples
    --------
    >>> op = matmul("qkv", 512, 768, 768, bias=True)
    >>> op.macs, op.bytes_read, op.bytes_written
    (301989888, 986112, 393216)
    """
    for label, size in {"m": m, "k": k, "n": n, "repeat": repeat}.items():
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST:
            raise GraphError(f"matmul {name}: {label}={size!r:.40} must be a whole number in 1..{LARGEST}")
    lead, lead_dims = ((repeat,), ("instance",)) if repeat > 1 else ((), ())
    b_shape, b_dims = ((n, k), ("n", "k")) if b_transposed else ((k, n), ("k", "n"))
    a = a or Tensor(f"{name}.a", (*lead, m, k), (*lead_dims, "m", "k"))
    b = b or Tensor(f"{name}.b", (*lead, *b_shape), (*lead_dims, *b_dims), role="weight")
    c = Tensor(name, (*lead, m, n), (*lead_dims, "m", "n"), output_bits)
    row_bias = Tensor(f"{name}.bias", (n,), ("n",), 32, "bias") if bias is True else bias or None
    count = ((repeat, m * k),), ((repeat, k * n),), ((repeat, m * n),)
    views = (View(a, k, count[0]), View(b, b_shape[1], count[1]), View(c, n, count[2]))
    inputs = (a, b) if row_bias is None else (a, b, row_bias)
    return Matmul(
        name=name, inputs=inputs, output=c, op_class=op_class, repeat=repeat, views=views,
        b_transposed=b_transposed, bias=row_bias, m=m, k=k, n=n,
    )  # fmt: skip
