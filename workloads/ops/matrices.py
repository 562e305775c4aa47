"""How the operands of a matmul are cut into matrices: which dimensions are rows and columns, and which count instances.

    indexes    A and C      m   rows
               A and B      k   reduction
               B and C      n   columns
               all three    one matmul per index: instances

Rows of one matrix lie one stride apart. So where the dimensions of m (or n) cannot be fused in both of their tensors,
the outer ones count instances too, which then share B (or A): the query heads of grouped-query attention.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from workloads.errors import GraphError
from workloads.iteration_space import IterationSpace, Operand
from workloads.tensor import View

MatrixDim: TypeAlias = Literal["m", "k", "n"]

MatrixAxes: TypeAlias = tuple[MatrixDim, MatrixDim]
"""Dimensions of a matrix as stored: that of its rows, then the contiguous one."""

MATRIX_DIMS: tuple[MatrixDim, MatrixDim, MatrixDim] = ("m", "k", "n")
"""Dimensions of C[m, n] = sum over k of A[m, k] B[k, n]."""

MATRIX_AXES: tuple[MatrixAxes, MatrixAxes, MatrixAxes] = (("m", "k"), ("k", "n"), ("m", "n"))
"""Those that index A, B and C, in the order in which they are stored unless an operator says otherwise."""


@dataclass(frozen=True, slots=True)
class Matrices:
    """A matmul as repeated products of two matrices."""

    fused: Mapping[MatrixDim, tuple[str, ...]]
    """The operator's dimensions that m, k and n fuse, outer to inner."""
    instances: tuple[str, ...]
    """Dimensions that count the products, outer to inner."""
    sizes: Mapping[MatrixDim, int]
    axes: tuple[MatrixAxes, MatrixAxes, MatrixAxes]
    """Order of axes of A, B and C as stored."""
    views: tuple[View, View, View]

    @classmethod
    def of(cls, space: IterationSpace) -> Matrices:
        """Cut the operands of a product into matrices.

        Raises
        ------
        GraphError
            When an operand is not made of matrices with contiguous rows.
        """
        operands = (*space.inputs[:2], space.output)
        fused, instances = _roles(space, operands)
        extent = space.sizes
        sizes: dict[MatrixDim, int] = {role: math.prod(extent[dim] for dim in fused[role]) for role in MATRIX_DIMS}
        axes = (MATRIX_AXES[0], _order(operands[1], fused), MATRIX_AXES[2])
        counts = tuple((dim, extent[dim]) for dim in instances)
        views = []
        for operand, (row, col) in zip(operands, axes, strict=True):
            strides = operand.strides
            if sizes[col] > 1 and _stride(fused[col], strides, extent, absent=0) != 1:
                raise GraphError(f"{space.name}: rows of tensor {operand.tensor.name} are not contiguous")
            row_stride = _stride(fused[row], strides, extent, absent=sizes[col])
            views.append(View(operand.tensor, row_stride, tuple((count, strides.get(dim, 0)) for dim, count in counts)))
        a, b, c = views
        return cls(fused, instances, sizes, axes, (a, b, c))

    @property
    def repeat(self) -> int:
        """Number of products."""
        return self.views[2].instances


def _roles(
    space: IterationSpace, operands: tuple[Operand, ...]
) -> tuple[dict[MatrixDim, tuple[str, ...]], tuple[str, ...]]:
    """Sort the dimensions by the operands that they index; return those of m, k and n, and of the instances."""
    a, b, c = operands
    extent, result = space.sizes, c.dims
    in_a, in_b, in_c = set(a.dims), set(b.dims), set(result)
    for dim, size in extent.items():
        if size > 1 and (dim in in_a) + (dim in in_b) + (dim in in_c) < 2:
            raise GraphError(f"{space.name}: dimension {dim} indexes only one operand of the product")
    # what cuts the contiguous axis of a tensor, as a head cuts a token's channels, is no distance between whole rows
    slices = {*a.axes[-1].dims, *c.axes[-1].dims}
    rows = tuple(sorted((dim for dim in result if dim in in_a - in_b), key=lambda dim: dim not in slices))
    cols = tuple(dim for dim in result if dim in in_b - in_a)
    reduced = tuple(dim for dim in extent if dim not in in_c)
    if _split(reduced, extent, (a, b)):
        raise GraphError(f"{space.name}: the reduction over {', '.join(reduced)} is not contiguous in both operands")
    m, n = rows[_split(rows, extent, (a, c)) :], cols[_split(cols, extent, (b, c)) :]
    return {"m": m, "k": reduced, "n": n}, tuple(dim for dim in result if dim not in m and dim not in n)


def _split(dims: Sequence[str], extent: Mapping[str, int], operands: Sequence[Operand]) -> int:
    """Return how many outer ones of ``dims`` do not fuse with the inner ones to one stride in all ``operands``."""
    expected: list[int] | None = None
    large = [position for position, dim in enumerate(dims) if extent[dim] > 1]
    if len(large) < 2:
        return 0
    strides = [operand.strides for operand in operands]
    for position in reversed(large):
        dim = dims[position]
        present = [stride[dim] for stride in strides]
        if expected is not None and present != expected:
            return position + 1
        expected = [stride * extent[dim] for stride in present]
    return 0


def _order(b: Operand, fused: Mapping[MatrixDim, tuple[str, ...]]) -> MatrixAxes:
    """Return whether the columns of B or its reduction are contiguous: the last dimension of its tensor tells."""
    inner = next((dim for dim in reversed(b.dims) if dim in fused["k"] or dim in fused["n"]), "")
    return ("n", "k") if inner in fused["k"] else MATRIX_AXES[1]


def _stride(dims: Sequence[str], strides: Mapping[str, int], extent: Mapping[str, int], *, absent: int) -> int:
    """Return the distance between neighbours along fused dimensions; ``absent`` if none of them indexes the operand."""
    present = [dim for dim in dims if dim in strides]
    if not present:
        return absent
    spread = [strides[dim] for dim in present if extent[dim] > 1]
    # a single row has no neighbour; any distance is true of it, so the densest one is stated
    return spread[-1] if spread else min(strides[dim] for dim in present)
