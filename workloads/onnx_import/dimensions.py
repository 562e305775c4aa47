"""Dimensions of the values of a file, which turn out to be made of several when a Reshape cuts them.

A Reshape that cuts 768 channels into 12 heads of 64 says something about the tensor that was made before: its channels
are heads and channels of a head. So a dimension may be split after operators have used it, and dimensions that run
together (the reduction of a product, on either side) are split together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence


class UnevenSplit(ValueError):
    """Dimensions that do not cut into the sizes asked for."""


class Dim:
    """One dimension of at least two indices."""

    __slots__ = ("extent", "hint", "parts", "twins")

    def __init__(self, extent: int, hint: str) -> None:
        self.extent = extent
        self.hint = hint
        """What it might be called."""
        self.parts: tuple[Dim, ...] = ()
        """What it consists of, outer to inner; none as long as nobody has cut it."""
        self.twins: list[Dim] = []
        """Dimensions that run together with this one."""

    def split(self, outer: int, hints: tuple[str, str]) -> None:
        """Cut it and its twins into ``outer`` times the rest.

        Raises
        ------
        UnevenSplit
            If ``outer`` is no divisor.
        """
        if self.extent % outer:
            raise UnevenSplit(f"{self.extent} cannot be cut into {outer} parts")
        group, left = [self], [self]
        while left:
            new = [twin for twin in left.pop().twins if twin not in group]
            group += new
            left += new
        for dim in group:
            if not dim.parts:
                dim.parts = Dim(outer, hints[0]), Dim(dim.extent // outer, hints[1])
        for first, second in itertools.pairwise(group):
            for one, other in zip(first.parts, second.parts, strict=True):
                link(one, other)


Dims = tuple[Dim, ...]


def link(first: Dim, second: Dim) -> None:
    """Let two dimensions of one extent be split together from now on."""
    if first is not second:
        first.twins.append(second)
        second.twins.append(first)


def atoms(dims: Iterable[Dim]) -> Dims:
    """Return what dimensions consist of, outer to inner."""
    return tuple(leaf for dim in dims for leaf in (atoms(dim.parts) if dim.parts else (dim,)))


def size(dims: Iterable[Dim]) -> int:
    """Return the indices that dimensions make together."""
    return math.prod(dim.extent for dim in dims)


def of_extent(extent: int, hint: str) -> Dims:
    """Return a new dimension, none for a single index."""
    return (Dim(extent, hint),) if extent > 1 else ()


def copied(dims: Iterable[Dim], hint: str | None = None) -> Dims:
    """Return new dimensions that are split together with ``dims``."""
    copies = []
    for dim in atoms(dims):
        copy = Dim(dim.extent, hint or dim.hint)
        link(dim, copy)
        copies.append(copy)
    return tuple(copies)


def match(first: Sequence[Dim], second: Sequence[Dim]) -> None:
    """Cut both until they consist of equal extents, and split them together from now on.

    Raises
    ------
    UnevenSplit
        For sizes that differ, and for cuts that do not fit each other.
    """
    one, other = list(atoms(first)), list(atoms(second))
    if size(one) != size(other):
        raise UnevenSplit(f"sizes {size(one)} and {size(other)} differ")
    while one and other:
        a, b = one[0], other[0]
        if a.extent == b.extent:
            link(a, b)
            one, other = one[1:], other[1:]
        elif a.extent > b.extent:
            a.split(b.extent, (b.hint, a.hint))
        else:
            b.split(a.extent, (a.hint, b.hint))
        one, other = list(atoms(one)), list(atoms(other))


def regrouped(dims: Iterable[Dim], sizes: Sequence[int]) -> tuple[Dims, ...]:
    """Return dimensions, outer to inner, as axes of the sizes given; what does not fit is split.

    Raises
    ------
    UnevenSplit
        If that cannot be.
    """
    left, axes = list(atoms(dims)), []
    for wanted in sizes:
        taken: list[Dim] = []
        while size(taken) < wanted and left:
            missing = -(-wanted // size(taken))
            if left[0].extent > missing:
                left[0].split(missing, _names(left[0], len(sizes)))
                left = list(atoms(left))
            taken.append(left.pop(0))
        if size(taken) != wanted:
            raise UnevenSplit(f"no axis of {wanted} can be made of {', '.join(str(dim.extent) for dim in taken)}")
        axes.append(tuple(taken))
    if left:
        raise UnevenSplit(f"{size(left)} times more elements than before")
    return tuple(axes)


def _names(dim: Dim, rank: int) -> tuple[str, str]:
    """Return names of the two parts of a dimension; what a tensor of four axes cuts out are heads."""
    return ("head", "head_dim") if rank == 4 and dim.hint == "column" else (dim.hint, f"{dim.hint}_inner")
