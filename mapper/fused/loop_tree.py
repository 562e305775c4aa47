"""A loop tree: shared loops around a sequence of parts, each with its own loops below, down to one operator.

    hold v in scratchpad
    for m in steps of 114
      hold scores in scratchpad
      then
        hold q in scratchpad · for p in steps of 16 · hold scores in accumulator · ... · scores
        hold weights ... · softmax
        ... · context

Steps of a block come outer to inner. A tile lies in a memory inside all loops above its `Hold`, and is moved each time
that place is reached; what a maker and its readers all stand below stays there in between. Everything else comes from
DRAM and goes there. Inside the innermost steps the array takes a tile of its own size, and the rows of the moving
operand pass one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

MEMORIES = ("scratchpad", "accumulator", "registers")


@dataclass(frozen=True)
class Loop:
    """Walk ``dim`` in steps of ``step`` elements; the last step may be smaller."""

    dim: str
    step: int


@dataclass(frozen=True)
class Hold:
    """Keep a tile of ``tensor`` in ``memory`` from here on inwards."""

    tensor: str
    memory: str


Step: TypeAlias = Loop | Hold


@dataclass(frozen=True)
class Block:
    """Steps around one operator, or around parts that run one after another."""

    steps: tuple[Step, ...]
    operator: str | None = None
    parts: tuple[Block, ...] = field(default=())

    def leaves(self) -> Iterator[Leaf]:
        """Yield the operators with the steps above them, in the order in which they run."""
        yield from self._leaves((), (), ())

    def _leaves(self, above: tuple[Step, ...], splits: tuple[int, ...], address: tuple[int, ...]) -> Iterator[Leaf]:
        path = above + self.steps
        if self.operator is not None:
            yield Leaf(self.operator, path, splits, address)
        for number, part in enumerate(self.parts):
            yield from part._leaves(path, (*splits, len(path)), (*address, number))


@dataclass(frozen=True)
class Leaf:
    """One operator of a tree."""

    operator: str
    path: tuple[Step, ...]
    """All steps above it, outer to inner."""
    splits: tuple[int, ...]
    """Lengths of the path at which a sequence begins, outer to inner."""
    address: tuple[int, ...]
    """Which part of each of these sequences it lies in."""

    def common(self, other: Leaf) -> int:
        """Return how many steps two leaves have in common."""
        for split, own, its in zip(self.splits, self.address, other.address, strict=False):
            if own != its:
                return split
        return len(self.path)

    def holds(self, tensor: str, memory: str | None = None) -> tuple[int, ...]:
        """Return the places of a tensor on the path, outer to inner."""
        return tuple(
            place
            for place, step in enumerate(self.path)
            if isinstance(step, Hold) and step.tensor == tensor and memory in (None, step.memory)
        )

    def steps_of(self, dim: str, place: int | None = None) -> list[int]:
        """Return the steps of the loops over a dimension outside a place, outer to inner."""
        path = self.path if place is None else self.path[:place]
        return [step.step for step in path if isinstance(step, Loop) and step.dim == dim]


LoopTree: TypeAlias = Block


def tiles(size: int, steps: list[int]) -> dict[int, int]:
    """Return how often each size occurs among the tiles of a dimension after loops, outer to inner.

    Examples
    --------
    >>> tiles(10, [8, 4])
    {4: 2, 2: 1}
    """
    sizes = {size: 1}
    for step in steps:
        smaller: dict[int, int] = {}
        for outer, number in sizes.items():
            whole, rest = divmod(outer, step)
            if whole:
                smaller[step] = smaller.get(step, 0) + whole * number
            if rest:
                smaller[rest] = smaller.get(rest, 0) + number
        sizes = smaller
    return sizes


def trips(size: int, steps: list[int]) -> int:
    """Return the number of tiles of a dimension after loops."""
    return sum(tiles(size, steps).values())
