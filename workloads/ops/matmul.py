"""Matrix multiplication C = A B (+ bias), once or for many heads.

        n                    A  m x k, rows of activations
     ┌─────┐                 B  k x n, weights or another activation; stored in either order
   k │  B  │                 C  m x n
     └─────┘                 bias  n values added to every row of C
  k  ┌─────┐
m ─A─│  C  │                 ``repeat`` such products run on the matrices of the three tensors. Which of their
     └─────┘                 dimensions m, k, n and the instances are follows from the indexing maps of A and B.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from workloads.errors import GraphError
from workloads.iteration_space import Axis, IterationSpace, Operand
from workloads.ops.matrices import MATRIX_AXES, Matrices, MatrixAxes
from workloads.ops.operator import Array, OpClass, Operator, exact
from workloads.tensor import Extents, Role, Tensor, View, packed_bytes

LARGEST = 2**31
"""Largest extent of one dimension, as of a sequence. [elements]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matmul(Operator):
    """``repeat`` products of an m x k with a k x n matrix; inputs are A, B and the bias if there is one."""

    kind: ClassVar[str] = "matmul"

    a_indexing: tuple[Axis, ...] = ()
    """Indexing map of A, such as `Operand.by_name` makes; by the tensor's own dimensions if left out."""
    b_indexing: tuple[Axis, ...] = ()
    matrices: Matrices = field(init=False, repr=False, compare=False)
    """The operands as matrices; follows from the indexing maps."""
    _space: IterationSpace = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        needed = 2 if self.bias is None else 3
        self.require(len(self.inputs) == needed, f"needs {needed} inputs (A, B, and the bias if there is one)")
        self.require(self.bias is None or self.bias == self.inputs[2], "the third input must be the bias")
        given = zip(self.inputs, (self.a_indexing, self.b_indexing), strict=False)
        a, b = (Operand(tensor, axes) if axes else Operand.by_name(tensor) for tensor, axes in given)
        space = IterationSpace.of(self.name, (a, b), Operand.by_name(self.output))
        matrices = Matrices.of(space)
        if self.bias is not None:
            n, sizes = matrices.sizes["n"], space.sizes
            self.require(self.bias.elements == n, f"the bias must have n={n} values")
            columns = tuple((dim, sizes[dim]) for dim in matrices.fused["n"])
            space = replace(space, inputs=(a, b, Operand.by_position(self.bias, columns)))
        object.__setattr__(self, "matrices", matrices)
        object.__setattr__(self, "_space", space)

    @property
    def iteration_space(self) -> IterationSpace:
        return self._space

    @property
    def loop_dims(self) -> Mapping[str, tuple[str, ...]]:
        """The dimensions that m, k and n fuse, as loop nests name them; instances are apart."""
        return {"m": self.matrices.fused["m"], "k": self.matrices.fused["k"], "n": self.matrices.fused["n"]}

    @property
    def m(self) -> int:
        """Rows of A and C. [elements]"""
        return self.matrices.sizes["m"]

    @property
    def k(self) -> int:
        """Columns of A, the reduction. [elements]"""
        return self.matrices.sizes["k"]

    @property
    def n(self) -> int:
        """Columns of C. [elements]"""
        return self.matrices.sizes["n"]

    @property
    def repeat(self) -> int:
        return self.matrices.repeat

    @property
    def views(self) -> tuple[View, View, View]:
        """Where the matrices of A, B and C lie."""
        return self.matrices.views

    @property
    def dims(self) -> Mapping[str, int]:
        return {"m": self.m, "k": self.k, "n": self.n}

    @property
    def matrix_shapes(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """(rows, cols) of A, B and C as stored."""
        size = self.matrices.sizes
        a, b, c = ((size[row], size[col]) for row, col in self.matrices.axes)
        return a, b, c

    @property
    def details(self) -> tuple[Hashable, ...]:
        return self.matrices.axes, tuple(view.layout for view in self.views)

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
        product = a @ (b if self.matrices.axes[1] == MATRIX_AXES[1] else b.swapaxes(-1, -2))
        if self.bias is not None:
            product = product + exact(arrays[2]).reshape(-1)
        out = np.zeros(self.output.shape, dtype=product.dtype)
        self.views[2].matrices(out, self.m, self.n)[...] = product
        return out


def matmul(
    name: str, m: int, k: int, n: int, *, a: Tensor | None = None, b: Tensor | None = None, bias: Tensor | bool = False,
    repeat: int = 1, b_axes: MatrixAxes = ("k", "n"), op_class: OpClass = "other", output_bits: int = 8,
) -> Matmul:  # fmt: skip
    """Return a matmul on contiguous operands, made as needed (int8 activations times int8 weights).

    Its dimensions are ``row``, ``reduction``, ``column`` and, of several products, ``instance``; or the names of ``a``.

    Parameters
    ----------
    name
        Name of the operator; its output tensor is called the same.
    a, b
        Tensors with ``repeat * m * k`` and ``repeat * k * n`` elements, cut nowhere inside one of their dimensions.
    bias
        A tensor of n values, or True for a new int32 one.
    b_axes
        Axes of B as stored, the contiguous one last: ``("n", "k")`` for the keys of attention.

    Raises
    ------
    GraphError
        For sizes out of range, and for tensors that are no such matrices.

    Examples
    --------
    >>> op = matmul("qkv", 512, 768, 768, bias=True)
    >>> op.macs, op.bytes_read, op.bytes_written
    (301989888, 986112, 393216)
    """
    _check_sizes(name, {"m": m, "k": k, "n": n, "repeat": repeat})
    lead: Extents = (("instance", repeat),) if repeat > 1 else ()
    groups = (lead, (("row", m),), (("reduction", k),)) if a is None else _split_like(name, a, (repeat, m, k))
    a = a or _packed(f"{name}.a", groups)
    lead, rows, reduction = groups
    column: Extents = (("column", n),)
    of_b = (lead, *({"m": rows, "k": reduction, "n": column}[dim] for dim in b_axes))
    b = b or _packed(f"{name}.b", of_b, role="weight")
    row_bias = Tensor(f"{name}.bias", (n,), ("column",), 32, "bias") if bias is True else bias or None
    return Matmul(
        name=name, inputs=(a, b) if row_bias is None else (a, b, row_bias), op_class=op_class, bias=row_bias,
        output=_packed(name, (lead, rows, column), output_bits),
        a_indexing=_index(a, groups), b_indexing=_index(b, of_b),
    )  # fmt: skip


def _check_sizes(name: str, sizes: Mapping[str, int]) -> None:
    for label, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST:
            raise GraphError(f"matmul {name}: {label}={size!r:.40} must be a whole number in 1..{LARGEST}")


def _index(tensor: Tensor, groups: Iterable[Extents]) -> tuple[Axis, ...]:
    return Operand.by_position(tensor, tuple(itertools.chain.from_iterable(groups))).axes


def _packed(name: str, groups: Iterable[Extents], bits: int = 8, role: Role = "activation") -> Tensor:
    """Return a tensor with one axis per group of dimensions; none for an empty group."""
    axes = tuple(group for group in groups if group)
    shape = tuple(math.prod(extent for _, extent in axis) for axis in axes)
    return Tensor(name, shape, tuple(axis[0][0] if len(axis) == 1 else axis for axis in axes), bits, role)


def _split_like(name: str, a: Tensor, sizes: tuple[int, int, int]) -> tuple[Extents, Extents, Extents]:
    """Return the dimensions of A that count instances, its rows and its reduction.

    A reduction over ``column`` is renamed, since the result has a dimension of this name.
    """
    left = [dim for axis in a.axes for dim in axis]
    groups: list[Extents] = []
    for size, missing in zip(sizes, ("instance", "row", "reduction"), strict=True):
        taken: list[tuple[str, int]] = []
        while left and math.prod(extent for _, extent in taken) < size:
            taken.append(left.pop(0))
        if math.prod(extent for _, extent in taken) != size:
            raise GraphError(f"matmul {name}: tensor {a.name} {a.shape} cannot be read as {sizes} matrices")
        groups.append(tuple(taken) or ((missing, 1),) * (missing != "instance"))
    lead, rows, reduction = groups
    return lead, rows, tuple(("reduction" if dim == "column" else dim, extent) for dim, extent in reduction)
