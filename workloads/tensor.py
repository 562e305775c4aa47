"""Tensors, strided views into them, and the bit widths a model is built with.

A per-head slice is a view, not a copy: of the query tensor Q (tokens x heads*head_dim), head i is the
rows ``Q[t, i*head_dim : (i+1)*head_dim]``, so its rows lie ``heads*head_dim`` elements apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from workloads.errors import GraphError

Role = Literal["weight", "activation", "kv_cache", "bias"]

Extents: TypeAlias = tuple[tuple[str, int], ...]
"""(dimension, extent), outer to inner."""

MAX_BITS = 64
"""Widest element a tensor may have. [bits]"""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A dense row-major array that an operator reads or writes."""

    name: str
    shape: tuple[int, ...]
    dims: tuple[str | Extents, ...]
    """Per axis of ``shape`` its dimension, or the dimensions with extents that index it together, outer to inner:
    ``(("batch", 2), ("query", 128))`` for rows of 256. `workloads.iteration_space` has the table of names."""
    bits: int = 8
    """Width of one element. [bits]"""
    role: Role = "activation"

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.dims):
            raise GraphError(f"tensor {self.name}: {len(self.shape)} sizes but {len(self.dims)} dimension names")
        if any(size < 1 for size in self.shape):
            raise GraphError(f"tensor {self.name}: shape {self.shape} must be positive in every dimension")
        if not 1 <= self.bits <= MAX_BITS:
            raise GraphError(f"tensor {self.name}: bits={self.bits} must lie in 1..{MAX_BITS}")
        names = [dim for axis in self.axes for dim, _ in axis]
        if len(set(names)) < len(names):
            raise GraphError(f"tensor {self.name}: a dimension is named twice in {', '.join(names)}")
        for size, axis in zip(self.shape, self.axes, strict=True):
            if math.prod(extent for _, extent in axis) != size:
                raise GraphError(f"tensor {self.name}: dimensions {axis} do not multiply to an axis of {size}")

    @property
    def axes(self) -> tuple[Extents, ...]:
        """Per axis the dimensions that index it with their extents, outer to inner."""
        return tuple(
            ((dims, size),) if isinstance(dims, str) else dims for dims, size in zip(self.dims, self.shape, strict=True)
        )

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size when elements are packed without gaps, rounded up. [bytes]"""
        return packed_bytes(self.elements, self.bits)


def packed_bytes(elements: int, bits: int) -> int:
    """Return the bytes that ``elements`` of ``bits`` each fill, rounded up. [bytes]"""
    return -(-elements * bits // 8)


@dataclass(frozen=True, slots=True)
class View:
    """Where the matrices of a repeated matmul lie inside one tensor.

    Matrix ``i`` has unit column stride; its element (r, c) is number
    ``instance_offset(i) + r * row_stride + c`` of the tensor.
    """

    tensor: Tensor
    row_stride: int
    """Distance between consecutive rows. [elements]"""
    instance_strides: tuple[tuple[int, int], ...] = ()
    """(count, stride in elements) per instance dimension, outer to inner; stride 0 shares one matrix."""

    @property
    def instances(self) -> int:
        """Number of matrices, shared ones counted every time."""
        return math.prod(count for count, _ in self.instance_strides)

    @property
    def distinct_instances(self) -> int:
        """Number of different matrices: dimensions of stride 0 share one."""
        return math.prod(count for count, stride in self.instance_strides if stride)

    def instance_offset(self, instance: int) -> int:
        """Return the position of the first element of matrix ``instance``. [elements]"""
        if not 0 <= instance < self.instances:
            raise IndexError(f"instance {instance} of {self.instances}")
        position = 0
        for count, stride in reversed(self.instance_strides):
            instance, index = divmod(instance, count)
            position += index * stride
        return position

    def matrices(self, array: np.ndarray[Any, Any], rows: int, cols: int) -> np.ndarray[Any, Any]:
        """Return a writable window (*instance counts, rows, cols) into the contiguous ``array``."""
        flat = array.reshape(-1)
        counts = tuple(count for count, _ in self.instance_strides)
        strides = (*(stride for _, stride in self.instance_strides), self.row_stride, 1)
        steps = tuple(stride * flat.itemsize for stride in strides)
        return as_strided(flat, shape=(*counts, rows, cols), strides=steps)

    @property
    def layout(self) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Everything about the view but the tensor, hashable."""
        return self.row_stride, self.instance_strides


@dataclass(frozen=True, slots=True)
class Bits:
    """Element widths a graph is built with. [bits]

    ``tensors`` overrides single tensors by name, for instance ``Bits(tensors={"scores": 16})``.
    """

    weight: int = 8
    activation: int = 8
    kv: int = 8
    """Keys and values of a decoder, cached or new."""
    bias: int = 32
    """Row biases: they start the accumulation, so they have its width."""
    tensors: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        named = {"weight": self.weight, "activation": self.activation, "kv": self.kv, "bias": self.bias}
        for name, value in {**named, **{f"tensors[{key!r}]": bits for key, bits in self.tensors.items()}}.items():
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_BITS:
                raise GraphError(f"bits: {name}={value!r} must be a whole number in 1..{MAX_BITS}")

    @classmethod
    def parse(cls, text: str) -> Bits:
        """Read widths by role, as in ``"weight=4,kv=8"``; roles that are not named keep theirs.

        Raises
        ------
        GraphError
            For a role that there is not, or a width that no tensor has.
        """
        roles = ("weight", "activation", "kv", "bias")
        usual = cls()
        widths: dict[str, int] = {}
        for part in text.split(","):
            role, _, bits = (piece.strip() for piece in part.partition("="))
            if role not in roles or role in widths:
                raise GraphError(f"bits: {part.strip()!r:.40}: must be ROLE=BITS, each of {', '.join(roles)} once")
            if not bits.isdigit() or not 1 <= int(bits) <= MAX_BITS:
                raise GraphError(f"bits: {role}={bits!r:.40} must be a whole number in 1..{MAX_BITS}")
            widths[role] = int(bits)
        weight, activation, kv, bias = (widths.get(role, getattr(usual, role)) for role in roles)
        return cls(weight=weight, activation=activation, kv=kv, bias=bias)

    def of(self, name: str, role: Role) -> int:
        """Return the width of tensor ``name``. [bits]"""
        by_role = {"weight": self.weight, "activation": self.activation, "kv_cache": self.kv, "bias": self.bias}
        return self.tensors.get(name, by_role[role])
