"""What a loop nest computes: dimensions, three tensors, and which dimensions index which tensor.

A matmul, a batched matmul and a convolution differ only in their tensors' axes. An axis is indexed by a weighted sum
of dimensions: ``(("m", 1),)`` is a plain one, ``(("p", stride), ("r", dilation))`` slides a window. `NestProblem.of`
reads all of it from an operator's iteration space.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mapper.errors import MappingError
from mapper.mapping.loop_nest import OPERAND_AXES
from workloads.iteration_space import Axis, Operand
from workloads.ops import Conv2d, Matmul, Operator
from workloads.tensor import Extents, Tensor

TENSORS = tuple(OPERAND_AXES)
"""Roles of the three tensors, in the order of every table: input, weight, output."""

LARGEST_MACS = 2**52
"""Above this, counts would not be exact in the float64 columns of the cost kernel."""


@dataclass(frozen=True, slots=True)
class NestTensor:
    """One operand."""

    name: str
    """input, weight or output."""
    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        for axis in self.axes:
            if not 1 <= len(axis.terms) <= 2 or any(coefficient < 1 for _, coefficient in axis.terms):
                raise MappingError(
                    f"{self.name}: axis {axis.terms} needs one or two dimensions with coefficients of at least 1"
                )

    @property
    def dims(self) -> frozenset[str]:
        """Relevant dimensions: those that index the tensor."""
        return frozenset(dim for axis in self.axes for dim in axis.dims)

    def extent(self, sizes: Mapping[str, int]) -> int:
        """Distinct elements of a tile with ``sizes`` of the dimensions."""
        return math.prod(axis.extent(sizes) for axis in self.axes)


@dataclass(frozen=True, slots=True)
class NestProblem:
    """output[...] += input[...] * weight[...] over all dimensions."""

    name: str
    dims: tuple[tuple[str, int], ...]
    """(dimension, size); the order in which tables list them, no loop order."""
    tensors: tuple[NestTensor, NestTensor, NestTensor]
    """input, weight, output."""

    def __post_init__(self) -> None:
        _check_sizes(self.name, self.dims)
        if tuple(tensor.name for tensor in self.tensors) != TENSORS:
            raise MappingError(f"{self.name}: tensors must be {', '.join(TENSORS)}, in this order")
        unknown = sorted(set().union(*(tensor.dims for tensor in self.tensors)) - dict(self.dims).keys())
        if unknown:
            raise MappingError(f"{self.name}: tensors use unknown dimensions {', '.join(unknown)}")
        if self.macs > LARGEST_MACS:
            raise MappingError(f"{self.name}: {self.macs:,} multiplications; counts are exact up to {LARGEST_MACS:,}")

    @classmethod
    def of(cls, operator: Operator) -> NestProblem:
        """Return the nest of a matmul or convolution of a graph: a view of its iteration space.

        Dimensions that run together are one loop, such as batch and head; an axis lists its dimensions in the order of
        the nest, since the model knows no order of axes.

        Raises
        ------
        MappingError
            For operators that are no such nest (softmax, additions), and for products that share operands unevenly.
        """
        if not isinstance(operator, (Matmul, Conv2d)):
            kind = type(operator).__name__.lower()
            raise MappingError(
                f"{operator.name}: no loop nest for {kind}; only matmul and conv2d are nests of one product"
            )
        space = operator.iteration_space
        fused = {**(_instances(operator) if isinstance(operator, Matmul) else {}), **operator.loop_dims}
        sizes = {loop: math.prod(space.sizes[dim] for dim in dims) for loop, dims in fused.items()}
        operands = zip(TENSORS, (*space.inputs[:2], space.output), strict=True)
        a, b, c = (NestTensor(role, _axes(operand, fused)) for role, operand in operands)
        return cls(operator.name, tuple(sizes.items()), (a, b, c))

    @property
    def sizes(self) -> dict[str, int]:
        """Size by dimension [elements]."""
        return dict(self.dims)

    @property
    def names(self) -> tuple[str, ...]:
        """Dimensions in their order."""
        return tuple(dim for dim, _ in self.dims)

    @property
    def macs(self) -> int:
        return math.prod(size for _, size in self.dims)

    def size(self, dim: str) -> int:
        """Size of one dimension [elements]; a `MappingError` names an unknown one."""
        for name, size in self.dims:
            if name == dim:
                return size
        raise MappingError(f"{self.name}: unknown dimension {dim!r}; the problem has {', '.join(self.names)}")

    def tensor(self, name: str) -> NestTensor:
        """Return the tensor of a role."""
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise MappingError(f"{self.name}: unknown tensor {name!r}; use {', '.join(TENSORS)}")

    def relevant(self, tensor: str) -> frozenset[str]:
        """Dimensions that index ``tensor``."""
        return self.tensor(tensor).dims

    def irrelevant(self, tensor: str) -> frozenset[str]:
        """Dimensions over which a tile of ``tensor`` is reused."""
        return frozenset(self.names) - self.tensor(tensor).dims

    def elements(self, tensor: str) -> int:
        """Distinct elements of the whole tensor that take part; a halo counts once."""
        return self.tensor(tensor).extent(self.sizes)


def _check_sizes(name: str, dims: Extents) -> None:
    bad = [f"{dim}={size}" for dim, size in dims if size < 1]
    if bad:
        raise MappingError(f"{name}: sizes must be at least 1, not {', '.join(bad)}")


def _instances(operator: Matmul) -> dict[str, tuple[str, ...]]:
    """Return the loops over the instances of a matmul, none for a single one.

    Instances that share an operand (key-value heads of grouped-query attention) share its batch axis: b counts the
    distinct instances of the rarest operand, h the products that share it.
    """
    repeat, distinct = operator.repeat, [view.distinct_instances for view in operator.views]
    if repeat == 1:
        return {}
    if min(distinct) == repeat:
        return {"b": operator.matrices.instances}
    if any(count not in (min(distinct), repeat) for count in distinct):
        raise MappingError(f"{operator.name}: {repeat} products share operands unevenly: {distinct} distinct A, B, C")
    a, b = operator.iteration_space.inputs[:2]
    common = tuple(dim for dim in operator.matrices.instances if dim in a.dims and dim in b.dims)
    return {"b": common, "h": tuple(dim for dim in operator.matrices.instances if dim not in common)}


def _axes(operand: Operand, fused: Mapping[str, tuple[str, ...]]) -> tuple[Axis, ...]:
    """Return the axes of an operand over the loops that fuse its dimensions, in the order of the loops."""
    loop_of = {dim: loop for loop, dims in fused.items() for dim in dims}
    axes: dict[str, Axis] = {}
    for axis in operand.axes:
        # of fused dimensions the innermost one, listed last, has the step of the loop
        steps = {loop_of[dim]: coefficient for dim, coefficient in axis.terms if dim in loop_of}
        if axis.slides:
            axes[next(iter(steps))] = Axis(tuple(steps.items()), slides=True)
        else:
            axes.update({loop: Axis(((loop, 1),)) for loop in steps})
    return tuple(axes[loop] for loop in fused if loop in axes)


def _plain(name: str, dims: Iterable[str]) -> NestTensor:
    return NestTensor(name, tuple(Axis(((dim, 1),)) for dim in dims))


def matmul(m: int, k: int, n: int, name: str = "matmul") -> NestProblem:
    """C[m, n] = sum over k of A[m, k] B[k, n]."""
    return _product((("m", m), ("k", k), ("n", n)), "", name)


def batched_matmul(b: int, m: int, k: int, n: int, name: str = "batched_matmul") -> NestProblem:
    """``b`` independent matmuls, as many heads of attention: every tensor has its own batch axis."""
    return _product((("b", b), ("m", m), ("k", k), ("n", n)), "b", name)


def _product(dims: Extents, batch: str, name: str) -> NestProblem:
    a, b, c = (_plain(role, (*batch, *axes)) for role, axes in OPERAND_AXES.items())
    return NestProblem(name, dims, (a, b, c))


def conv2d(
    n: int, k: int, c: int, p: int, q: int, r: int, s: int, stride: int = 1, dilation: int = 1, name: str = "conv2d"
) -> NestProblem:
    """Convolution: ``n`` images, ``k`` output and ``c`` input channels, ``p`` x ``q`` pixels, ``r`` x ``s`` window.

    The input is the part of the padded image that takes part; padding counts as data.
    """
    sizes = (("n", n), ("k", k), ("c", c), ("p", p), ("q", q), ("r", r), ("s", s))
    _check_sizes(name, (*sizes, ("stride", stride), ("dilation", dilation)))
    height, width = ((size - 1) * stride + (window - 1) * dilation + 1 for size, window in ((p, r), (q, s)))
    names = ("image", "height", "width", "channel")
    operator = Conv2d(
        name=name, stride=stride, dilation=dilation, output=Tensor(name, (n, p, q, k), names),
        inputs=(Tensor("x", (n, height, width, c), names), Tensor("w", (r, s, c, k), tuple("rsck"), role="weight")),
    )  # fmt: skip
    return NestProblem.of(operator)
