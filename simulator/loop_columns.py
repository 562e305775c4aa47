"""Hardware loops as columns: a tiled product has thousands of them, of few kinds, which differ by addresses alone.

    kinds      A16x512x64  A16x512x64 kept  ...      one loop of each, its matrices at address 0
    loop       0  1  2  3  4  5  ...
    kind       0  1  1  1  0  1                      what it is
    addresses  a  a  a  a  a  a                      of A, B, D, residual and C, where its kind has one

Loops as objects are made one by one, and only for those who ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from simulator.arrays import Ints
from simulator.program import Fence, HostTask, Item, MatmulLoop, Matrix

MATRICES = ("a", "b", "d", "residual", "c")
"""Rows of the addresses of loops: attributes of `MatmulLoop`."""


@dataclass(frozen=True, slots=True, eq=False)
class LoopColumns:
    """Hardware loops in order."""

    kinds: tuple[MatmulLoop, ...]
    """One of each kind, with its matrices at address 0, in the order in which the first of each stands."""
    kind: Ints
    """Of each loop, its index."""
    addresses: Ints
    """``MATRICES`` x loops [bytes]; 0 where the kind has no such matrix."""

    def __len__(self) -> int:
        return len(self.kind)

    def part(self, part: range) -> LoopColumns:
        """Return some neighbouring loops."""
        loops = slice(part.start, part.stop)
        return LoopColumns(self.kinds, self.kind[loops], self.addresses[:, loops])

    def loop(self, number: int) -> MatmulLoop:
        """Return one loop."""
        kind = self.kinds[int(self.kind[number])]
        at = dict(zip(MATRICES, self.addresses[:, number].tolist(), strict=True))
        moved = {name: Matrix(at[name], stride) for name, stride in strides(kind).items() if stride is not None}
        return replace(kind, **moved)  # type: ignore[arg-type]


def strides(loop: MatmulLoop) -> dict[str, int | None]:
    """Return the distance of the rows of each matrix of a loop, None for one that it has not, by ``MATRICES``."""
    matrices: list[Matrix | None] = [getattr(loop, name) for name in MATRICES]
    found = (None if matrix is None else matrix.row_stride_bytes for matrix in matrices)
    return dict(zip(MATRICES, found, strict=True))


class LoopItems(Sequence[Item]):
    """Items of a program: hardware loops, and what the host does before and behind them.

    Equal to any sequence of the same items.

    Parameters
    ----------
    before, behind
        Host work and fences.
    loops
        Between them.
    """

    def __init__(
        self, before: Sequence[HostTask | Fence], loops: LoopColumns, behind: Sequence[HostTask | Fence]
    ) -> None:
        self.before, self.loops, self.behind = tuple(before), loops, tuple(behind)

    def __len__(self) -> int:
        return len(self.before) + len(self.loops) + len(self.behind)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Item, ...]: ...

    def __getitem__(self, index: int | slice) -> Item | tuple[Item, ...]:
        if isinstance(index, slice):
            return tuple(self[at] for at in range(*index.indices(len(self))))
        at = range(len(self))[index] - len(self.before)
        if at < 0:
            return self.before[at]
        return self.loops.loop(at) if at < len(self.loops) else self.behind[at - len(self.loops)]

    def __iter__(self) -> Iterator[Item]:
        yield from self.before
        yield from map(self.loops.loop, range(len(self.loops)))
        yield from self.behind

    def firsts(self) -> Iterator[tuple[int, Item]]:
        """Yield index and item of the first loop of each kind, and of all that are no loops."""
        begin, end = len(self.before), len(self) - len(self.behind)
        first = np.unique(self.loops.kind, return_index=True)[1] + begin
        for index in (*range(begin), *np.sort(first).tolist(), *range(end, len(self))):
            yield index, self[index]

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (tuple, LoopItems)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))


def loop_kinds(items: Sequence[Item]) -> list[int]:
    """Number of the kind of each hardware loop, -1 for other items; loops of one kind differ by addresses alone."""
    if isinstance(items, LoopItems):
        numbers_of_loops: list[int] = items.loops.kind.tolist()
        return [-1] * len(items.before) + numbers_of_loops + [-1] * len(items.behind)
    numbers: dict[tuple[object, ...], int] = {}
    return [numbers.setdefault(_kind(item), len(numbers)) if isinstance(item, MatmulLoop) else -1 for item in items]


def besides_columns(items: Sequence[Item]) -> Sequence[Item]:
    """Return the items that are not in columns of loops."""
    return (*items.before, *items.behind) if isinstance(items, LoopItems) else items


def numbered(codes: Ints) -> tuple[Ints, Ints]:
    """Number codes in the order in which they first stand.

    Returns
    -------
    Where each number first stands, and the number of every code.
    """
    first, number = np.unique(codes, return_index=True, return_inverse=True)[1:]
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[number]


def _kind(loop: MatmulLoop) -> tuple[object, ...]:
    return (
        loop.m,
        loop.k,
        loop.n,
        *strides(loop).values(),
        loop.accumulate,
        loop.b_transposed,
        loop.c_full,
        loop.activation,
        loop.a_half,
        loop.b_half,
        loop.whole_memory,
        loop.a_kept,
        loop.c_kept,
        loop.reserved_rows,
    )
