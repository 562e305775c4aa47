"""What a loop nest computes: dimensions, three tensors, and which dimensions index which tensor.

A matmul, a batched matmul and a convolution differ only in their tensors' axes. An axis is indexed by a weighted sum
of dimensions: ``(("m", 1),)`` is a plain one, ``(("p", stride), ("r", dilation))`` slides a window.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mapper.errors import MappingError
from workloads.ops import Conv2d, Matmul, Operator

TENSORS = ("input", "weight", "output")
"""Roles of the three tensors, in the order of every table."""

LARGEST_MACS = 2**52
"""Above this, counts would not be exact in the float64 columns of the cost kernel."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a tensor; its index is the sum of coefficient times dimension index."""

    terms: tuple[tuple[str, int], ...]
    """(dimension, coefficient); one or two of them."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.terms) <= 2 or any(coefficient < 1 for _, coefficient in self.terms):
            raise MappingError(f"axis {self.terms}: needs one or two dimensions with coefficients of at least 1")

    @property
    def dims(self) -> tuple[str, ...]:
        return tuple(dim for dim, _ in self.terms)

    @property
    def is_plain(self) -> bool:
        """Whether one dimension indexes it alone: every index is used once."""
        return len(self.terms) == 1

    @property
    def overlap(self) -> tuple[int, int]:
        """For a sliding axis (u, v) of sizes a, b: extent = a b - max(0, a - first) max(0, b - second).

        With strides s and d without common factor, s i + d j and s (i + d) + d (j - s) are the same index and there
        are no other coincidences; so the pairs that are counted twice are those with i + d < a and j >= s.
        """
        (_, stride), (_, dilation) = self.terms
        common = math.gcd(stride, dilation)
        return dilation // common, stride // common

    def extent(self, sizes: Mapping[str, int]) -> int:
        """Distinct indices of a tile with ``sizes`` of the dimensions [elements]."""
        if self.is_plain:
            return sizes[self.terms[0][0]]
        a, b = (sizes[dim] for dim in self.dims)
        first, second = self.overlap
        return a * b - max(0, a - first) * max(0, b - second)


@dataclass(frozen=True, slots=True)
class NestTensor:
    """One operand."""

    name: str
    """input, weight or output."""
    axes: tuple[Axis, ...]

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
        bad = [f"{dim}={size}" for dim, size in self.dims if size < 1]
        if bad:
            raise MappingError(f"{self.name}: sizes must be at least 1, not {', '.join(bad)}")
        if tuple(tensor.name for tensor in self.tensors) != TENSORS:
            raise MappingError(f"{self.name}: tensors must be {', '.join(TENSORS)}, in this order")
        unknown = sorted(set().union(*(tensor.dims for tensor in self.tensors)) - dict(self.dims).keys())
        if unknown:
            raise MappingError(f"{self.name}: tensors use unknown dimensions {', '.join(unknown)}")
        if self.macs > LARGEST_MACS:
            raise MappingError(f"{self.name}: {self.macs:,} multiplications; counts are exact up to {LARGEST_MACS:,}")

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


def _plain(name: str, dims: Iterable[str]) -> NestTensor:
    return NestTensor(name, tuple(Axis(((dim, 1),)) for dim in dims))


def matmul(m: int, k: int, n: int, name: str = "matmul") -> NestProblem:
    """C[m, n] = sum over k of A[m, k] B[k, n]."""
    tensors = (_plain("input", "mk"), _plain("weight", "kn"), _plain("output", "mn"))
    return NestProblem(name, (("m", m), ("k", k), ("n", n)), tensors)


def batched_matmul(b: int, m: int, k: int, n: int, name: str = "batched_matmul") -> NestProblem:
    """``b`` independent matmuls, as many heads of attention: every tensor has its own batch axis."""
    tensors = (_plain("input", "bmk"), _plain("weight", "bkn"), _plain("output", "bmn"))
    return NestProblem(name, (("b", b), ("m", m), ("k", k), ("n", n)), tensors)


def conv2d(
    n: int, k: int, c: int, p: int, q: int, r: int, s: int, stride: int = 1, dilation: int = 1, name: str = "conv2d"
) -> NestProblem:
    """Convolution: ``n`` images, ``k`` output and ``c`` input channels, ``p`` x ``q`` pixels, ``r`` x ``s`` window.

    The input is the part of the padded image that takes part; padding counts as data.
    """
    rows, cols = Axis((("p", stride), ("r", dilation))), Axis((("q", stride), ("s", dilation)))
    image = NestTensor("input", (Axis((("n", 1),)), Axis((("c", 1),)), rows, cols))
    dims = (("n", n), ("k", k), ("c", c), ("p", p), ("q", q), ("r", r), ("s", s))
    return NestProblem(name, dims, (image, _plain("weight", "kcrs"), _plain("output", "nkpq")))


def from_operator(operator: Operator) -> NestProblem:
    """Return the nest of a matmul or convolution of a graph.

    Raises
    ------
    MappingError
        For operators that are no such nest (softmax, additions, grouped or depthwise convolutions).
    """
    if isinstance(operator, Conv2d):
        n, p, q, k = operator.output.shape
        r, s, c, _ = operator.inputs[1].shape
        return conv2d(n, k, c, p, q, r, s, operator.stride, operator.dilation, operator.name)
    if not isinstance(operator, Matmul):
        kind = type(operator).__name__.lower()
        raise MappingError(f"{operator.name}: no loop nest for {kind}; only matmul and conv2d are nests of one product")
    return _of_matmul(operator)


def _of_matmul(operator: Matmul) -> NestProblem:
    """Instances that share an operand (key-value heads of grouped-query attention) share its batch axis.

    Dimensions: b counts the distinct instances of the rarest operand, h the products that share it.
    """
    m, k, n, repeat = operator.m, operator.k, operator.n, operator.repeat
    if repeat == 1:
        return matmul(m, k, n, operator.name)
    distinct = [view.distinct_instances for view in operator.views]
    groups = min(distinct)
    if repeat % groups or any(count not in (groups, repeat) for count in distinct):
        raise MappingError(f"{operator.name}: {repeat} products share operands unevenly: {distinct} distinct A, B, C")
    if groups == repeat:
        return batched_matmul(repeat, m, k, n, operator.name)
    batch = ["b" if count == groups else "bh" for count in distinct]
    a, b, c = (_plain(name, dims + plain) for name, dims, plain in zip(TENSORS, batch, ("mk", "kn", "mn"), strict=True))
    dims = (("b", groups), ("h", repeat // groups), ("m", m), ("k", k), ("n", n))
    return NestProblem(operator.name, dims, (a, b, c))
