"""Iteration spaces: which dimensions an operator runs over, and which of them index each axis of its operands.

An operator is a loop nest over named dimensions. Each operand has an indexing map: the index along an axis of its
tensor is a weighted sum of dimensions. Given a tile of the result, the space tells the tile of the iterations and the
tiles of all operands, as MLIR's TilingInterface does [1]_:

    scores[(batch, head, query_head, query), attended] += q[(batch, query), (head, query_head, head_dim)]
                                                          * k[(batch, attended), (head, head_dim)]
    tile of the result   query 64:128, attended 0:512, everything else complete
    iterations           the same, and head_dim complete, because the product is reduced over it
    tile of q            query 64:128, all heads and channels;  tile of k: attended 0:512

Names belong to tensors (`Tensor.dims`), so that producer and consumer of a tensor use the same ones. The shipped models
use the names of this table:

    batch          sequences                             image           images
    query          new positions of a sequence           height, width   pixels of the result
    attended       positions that are attended to        channel         channels of a token, of a pixel
    head           key and value heads                   window_height   offsets inside a convolution's or pooling's
    query_head     query heads that share one of them    window_width    window
    head_dim       channels of one head                  in_channel      channels that a convolution reduces
    hidden         channels between the feed-forward     classes         results of a classifier
                   layers

`workloads.matmul` alone has ``row``, ``column``, ``reduction`` and ``instance``.

An operator may have to run over two dimensions that a tensor calls by one name. Self-attention reads the rows of the
new keys as ``attended``, which their projection made as ``query``; a convolution reads ``channel`` as ``in_channel``.
`Operand.renamed` lists these pairs, and `OperandTile.result_tile` translates a tile back into the producer's names.

References
----------
.. [1] MLIR, ``mlir/include/mlir/Interfaces/TilingInterface.td``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from workloads.errors import GraphError, nearest
from workloads.tensor import Extents, Tensor

Indices: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

Tile: TypeAlias = Mapping[str, range]
"""Indices by dimension; each range has step one."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Indexing map of one axis: the index is ``offset`` plus the sum of coefficient times dimension index."""

    terms: tuple[tuple[str, int], ...]
    """(dimension, coefficient), the outer one of fused dimensions first."""
    offset: int = 0
    """Index that all dimensions at zero reach; minus the padding if a window slides. [elements]"""
    slides: bool = False
    """Whether a window slides along the axis: tiles overlap and may reach into the padding."""

    @classmethod
    def fused(cls, dims: Extents) -> Axis:
        """Return the axis that dimensions with their extents index together, outer to inner without gaps."""
        coefficient, terms = 1, []
        for dim, extent in reversed(dims):
            terms.append((dim, coefficient))
            coefficient *= extent
        return cls(tuple(reversed(terms)))

    @property
    def dims(self) -> tuple[str, ...]:
        """The dimensions that index the axis."""
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
        """Distinct indices of a tile with ``sizes`` of the one or two dimensions; padding counts. [elements]"""
        if self.is_plain:
            return sizes[self.terms[0][0]]
        a, b = (sizes[dim] for dim in self.dims)
        first, second = self.overlap
        return a * b - max(0, a - first) * max(0, b - second)

    def indices(self, tile: Tile, size: int) -> Indices:
        """Return the indices of a tile that lie inside an axis of ``size`` elements, ascending."""
        reached: Indices = np.array([self.offset], np.int64)
        for dim, coefficient in self.terms:
            steps = coefficient * np.arange(tile[dim].start, tile[dim].stop, dtype=np.int64)
            reached = (reached[:, None] + steps).ravel()
        return np.unique(reached[(reached >= 0) & (reached < size)])

    def hull(self, tile: Tile, size: int) -> range:
        """Return the smallest range that holds the indices of a tile inside an axis of ``size`` elements."""
        first = self.offset + sum(coefficient * tile[dim].start for dim, coefficient in self.terms)
        last = self.offset + sum(coefficient * (tile[dim].stop - 1) for dim, coefficient in self.terms)
        return range(max(first, 0), max(min(last + 1, size), max(first, 0)))


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor and the indexing map of each of its axes."""

    tensor: Tensor
    axes: tuple[Axis, ...]

    @classmethod
    def by_name(cls, tensor: Tensor, renamed: Mapping[str, str] | None = None) -> Operand:
        """Index a tensor by its own dimensions; ``renamed`` gives an operator's name for some of them."""
        own = renamed or {}
        named = (tuple((own.get(dim, dim), size) for dim, size in axis) for axis in tensor.axes)
        return cls(tensor, tuple(Axis.fused(dims) for dims in named))

    @classmethod
    def by_position(cls, tensor: Tensor, dims: Extents) -> Operand:
        """Index a tensor by dimensions outer to inner, each axis by as many as multiply to its size.

        Raises
        ------
        GraphError
            When a dimension would have to be cut to fill an axis.
        """
        own = [len(axis) for axis in tensor.axes]
        if [extent for axis in tensor.axes for _, extent in axis] == [extent for _, extent in dims]:
            starts = [sum(own[:position]) for position in range(len(own))]
            return cls(tensor, tuple(Axis.fused(dims[at : at + count]) for at, count in zip(starts, own, strict=True)))
        axes, left = [], list(dims)
        for size in tensor.shape:
            taken: list[tuple[str, int]] = []
            while left and math.prod(extent for _, extent in taken) < size:
                taken.append(left.pop(0))
            axes.append(Axis.fused(tuple(taken)))
            if math.prod(extent for _, extent in taken) != size:
                raise GraphError(
                    f"tensor {tensor.name} {tensor.shape}: {_listed(dims)} would have to be cut to fill it"
                )
        if any(extent > 1 for _, extent in left):
            raise GraphError(f"tensor {tensor.name} {tensor.shape}: has fewer elements than {_listed(dims)}")
        return cls(tensor, tuple(axes))

    @property
    def dims(self) -> tuple[str, ...]:
        """All dimensions that index the operand, in the order of its axes: the last one is contiguous."""
        return tuple(dim for axis in self.axes for dim in axis.dims)

    @property
    def strides(self) -> dict[str, int]:
        """Distance of neighbouring indices of each dimension in the row-major tensor. [elements]"""
        inside, strides = 1, {}
        for axis, size in zip(reversed(self.axes), reversed(self.tensor.shape), strict=True):
            strides.update({dim: coefficient * inside for dim, coefficient in axis.terms})
            inside *= size
        return strides

    @property
    def renamed(self) -> dict[str, str]:
        """The operator's dimension -> the tensor's name for it, where the two differ."""
        pairs = [
            (dim, name)
            for axis, own in zip(self.axes, self.tensor.axes, strict=True)
            if _follows(axis, own)
            for dim, (name, _) in zip(axis.dims, own, strict=True)
        ]
        return {dim: name for dim, name in pairs if dim != name}

    def named_extents(self, sizes: Mapping[str, int]) -> tuple[Extents | None, ...]:
        """Return per axis the tensor's names of the dimensions and their ``sizes``; None for a sliding axis."""
        names = self.renamed
        return tuple(
            tuple((names.get(dim, dim), sizes[dim]) for dim in axis.dims) if _follows(axis, own) else None
            for axis, own in zip(self.axes, self.tensor.axes, strict=True)
        )


def _follows(axis: Axis, own: Extents) -> bool:
    """Whether an axis is indexed by the same factors as its tensor names, whatever they are called."""
    coefficients = tuple(coefficient for _, coefficient in axis.terms)
    return not axis.slides and coefficients == tuple(coefficient for _, coefficient in Axis.fused(own).terms)


@dataclass(frozen=True, slots=True)
class OperandTile:
    """The part of an operand that a tile of the iterations touches."""

    operand: Operand
    ranges: Tile
    """Indices by dimension of the operator; those of this operand only."""

    @property
    def indices(self) -> tuple[Indices, ...]:
        """Per axis of the tensor the indices inside it, ascending; for ``numpy.ix_``."""
        shape = self.operand.tensor.shape
        return tuple(axis.indices(self.ranges, size) for axis, size in zip(self.operand.axes, shape, strict=True))

    @property
    def elements(self) -> int:
        """Number of elements; padding does not count."""
        return math.prod(len(index) for index in self.indices)

    @property
    def result_tile(self) -> dict[str, range]:
        """The tile to ask the tensor's producer for, by the tensor's own names.

        It may hold more than `indices` where a window leaves gaps, and where the operator cuts an axis into other
        factors than the tensor names.
        """
        tile: dict[str, range] = {}
        tensor = self.operand.tensor
        for axis, own, size in zip(self.operand.axes, tensor.axes, tensor.shape, strict=True):
            if _follows(axis, own):
                tile.update({name: self.ranges[dim] for dim, (name, _) in zip(axis.dims, own, strict=True)})
            elif len(own) == 1:
                tile[own[0][0]] = axis.hull(self.ranges, size)
            else:
                tile.update({name: range(extent) for name, extent in own})
        return tile


@dataclass(frozen=True, slots=True)
class OperatorTile:
    """A tile of an operator's iterations with the tiles of its operands."""

    iterations: Tile
    inputs: tuple[OperandTile, ...]
    """In the order of `Operator.inputs`."""
    output: OperandTile


@dataclass(frozen=True, slots=True)
class IterationSpace:
    """The dimensions of an operator and the indexing maps of its operands."""

    name: str
    """Name of the operator, for errors."""
    dims: Extents
    """(dimension, extent), those of the result first."""
    inputs: tuple[Operand, ...]
    """In the order of `Operator.inputs`."""
    output: Operand
    complete: frozenset[str] = frozenset()
    """Dimensions of the result that must be complete in an input before the first result exists, such as the attended
    positions of a softmax."""

    @classmethod
    def of(
        cls,
        name: str,
        inputs: Sequence[Operand],
        output: Operand,
        *,
        complete: Iterable[str] = (),
        windows: Extents = (),
    ) -> IterationSpace:
        """Return the space of operands; extents follow from the tensors, those of ``windows`` are given.

        Raises
        ------
        GraphError
            When a dimension has two extents, or is named but has none.
        """
        sizes: dict[str, int] = {}
        for operand in (output, *inputs):
            for axis, size in zip(operand.axes, operand.tensor.shape, strict=True):
                for dim, extent in _extents(axis, size):
                    if sizes.setdefault(dim, extent) != extent:
                        where = operand.tensor.name
                        raise GraphError(f"{name}: {dim} has extent {sizes[dim]}, but {extent} in tensor {where}")
        sizes.update(windows)
        unknown = sorted({dim for operand in (output, *inputs) for dim in operand.dims} - sizes.keys())
        if unknown:
            raise GraphError(f"{name}: nothing tells the extent of {', '.join(unknown)}")
        return cls(name, tuple(sizes.items()), tuple(inputs), output, frozenset(complete))

    @property
    def sizes(self) -> dict[str, int]:
        """Extent by dimension."""
        return dict(self.dims)

    @property
    def reduced(self) -> tuple[str, ...]:
        """Dimensions that do not index the result."""
        indexing = set(self.output.dims)
        return tuple(dim for dim, _ in self.dims if dim not in indexing)

    def tile_for(self, result: Tile) -> OperatorTile:
        """Return the iterations and the operand tiles that a tile of the result needs.

        Parameters
        ----------
        result
            Indices by dimension of the result; dimensions that are left out are complete.

        Raises
        ------
        GraphError
            For dimensions that do not index the result, and for ranges that are empty, have gaps or reach outside.
        """
        whole = {dim: range(size) for dim, size in self.dims}
        for dim, indices in result.items():
            self._check(dim, indices)
        iterations = {**whole, **result, **{dim: whole[dim] for dim in self.complete}}
        return OperatorTile(
            iterations,
            tuple(_restricted(operand, iterations) for operand in self.inputs),
            _restricted(self.output, {**whole, **result}),
        )

    def _check(self, dim: str, indices: range) -> None:
        names = self.output.dims
        if dim not in names:
            hint = nearest(dim, names) or f"; it has {', '.join(names)}"
            raise GraphError(f"{self.name}: the result has no dimension {dim!r}{hint}")
        size = self.sizes[dim]
        if indices.step != 1 or not 0 <= indices.start < indices.stop <= size:
            raise GraphError(
                f"{self.name}: tile {dim}={indices.start}:{indices.stop}:{indices.step} is no part of 0:{size}"
            )


def _restricted(operand: Operand, iterations: Tile) -> OperandTile:
    return OperandTile(operand, {dim: iterations[dim] for dim in operand.dims})


def _extents(axis: Axis, size: int) -> Extents:
    """Return what the size of an axis implies for the dimensions fused in it: nothing if a window slides.

    The coefficient of a fused dimension is the product of the extents inside it, so neighbours give each extent.
    """
    if axis.slides:
        return ()
    inside = [coefficient for _, coefficient in axis.terms]
    products = [size, *inside]
    return tuple((dim, outer // inner) for (dim, inner), outer in zip(axis.terms, products, strict=False))


def _listed(dims: Extents) -> str:
    return " x ".join(f"{dim}={extent}" for dim, extent in dims)
