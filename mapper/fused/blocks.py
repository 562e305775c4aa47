"""Blocks that shared loops leave to each operator, as columns: one row per choice of the loops' steps.

A loop over a dimension of size D in steps of t leaves D // t whole blocks and perhaps a smaller one, so that s loops
leave each operator up to 2^s kinds of blocks, and one that lacks a loop's dimension is repeated by it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mapper.fused.einsum import Einsum, FusedGraph
from simulator.arrays import Floats, Ints


@dataclass(frozen=True)
class Kind:
    """Blocks of one kind: how many, and the sizes of the operator's classes of dimensions in each."""

    number: Floats
    rows: Floats
    reduced: Floats
    columns: Floats
    passes: Floats
    """Tiles of the array along the reduction."""
    piece: Floats
    """Elements of the reduction in the largest of them."""

    def take(self, rows: Ints) -> Kind:
        """Return some rows."""
        return Kind(
            self.number[rows],
            self.rows[rows],
            self.reduced[rows],
            self.columns[rows],
            self.passes[rows],
            self.piece[rows],
        )


@dataclass(frozen=True)
class MainDims:
    """The dimension of each class that tiles cut; the others are walked one by one outside of everything."""

    rows: str
    reduced: str
    columns: str
    singles: tuple[str, ...]
    """Walked one by one around the operator, such as heads."""
    inner: tuple[str, ...]
    """Other reduced dimensions: walked one by one inside the accumulator's tile."""


def main_dims(operator: Einsum, graph: FusedGraph, shared: Sequence[str], lead: Sequence[str]) -> MainDims:
    """Return which dimensions are cut: of the rows one that is shared, of each class the largest otherwise."""

    def largest(dims: Sequence[str]) -> str:
        return max(dims, key=lambda dim: (dim in shared, graph.sizes[dim]), default="")

    rows = largest([dim for dim in operator.rows if dim not in lead])
    reduced = operator.reduced[-1] if operator.is_product else ""
    columns = operator.columns[-1] if operator.is_product else ""
    cut = {rows, columns, *operator.reduced, *lead, *shared}
    singles = tuple(dim for dim in operator.output.dims if dim not in cut)
    return MainDims(rows, reduced, columns, singles, tuple(dim for dim in operator.reduced if dim != reduced))


@dataclass(frozen=True)
class StepGrid:
    """Steps of the shared loops, one column per loop."""

    loops: tuple[str, ...]
    """Dimensions, outer to inner."""
    steps: Mapping[str, Floats]
    graph: FusedGraph
    lead: tuple[str, ...]
    """Dimensions that everything has: walked one by one outside of all."""

    def __len__(self) -> int:
        return 1 if not self.loops else len(self.steps[self.loops[0]])

    def take(self, rows: Ints) -> StepGrid:
        """Return some rows."""
        return replace(self, steps={dim: steps[rows] for dim, steps in self.steps.items()})

    def ones(self) -> Floats:
        """Return a column of ones."""
        return np.ones(len(self))

    def trips(self, dim: str) -> Floats:
        """Return how often a shared loop turns."""
        return np.ceil(self.graph.sizes[dim] / self.steps[dim])

    def turns(self, dims: Sequence[str], outside: int) -> Floats:
        """Return the product of the trips of the first ``outside`` loops over dimensions other than ``dims``."""
        total = self.ones()
        for dim in self.loops[:outside]:
            if dim not in dims:
                total = total * self.trips(dim)
        return total

    def block(self, dim: str) -> Floats:
        """Return the largest extent of a dimension inside the loops."""
        if dim in self.steps:
            return self.steps[dim]
        return self.ones() * (1 if dim in self.lead else self.graph.sizes[dim])

    def tile_words(self, dims: Sequence[str], outside: int | None = None) -> Floats:
        """Return the words of a tensor's tile inside the first ``outside`` loops; None: inside all."""
        inside = self.loops if outside is None else self.loops[:outside]
        words = self.ones()
        for dim in dims:
            if dim in self.lead:
                continue
            words = words * (self.steps[dim] if dim in inside else self.graph.sizes[dim])
        return words

    @property
    def lead_trips(self) -> int:
        """Return how often everything is repeated."""
        return self.graph.words(self.lead)


def kinds(operator: Einsum, grid: StepGrid, main: MainDims, array_rows: int) -> list[Kind]:
    """Return the blocks of an operator under the loops of a grid."""
    around = grid.graph.words(main.singles) * grid.lead_trips
    sizes = [_sizes(dim, operator, grid) for dim in grid.loops]
    found = []
    for chosen in itertools.product(*sizes):
        number = grid.ones() * around
        extents = {dim: grid.block(dim) for dim in operator.dims}
        for dim, (count, extent) in zip(grid.loops, chosen, strict=True):
            number = number * count
            if extent is not None:
                extents[dim] = extent
        if not number.any():
            continue
        ones = grid.ones()
        inner = (
            grid.graph.words(main.inner) if not set(main.inner) & set(grid.loops) else _words(main.inner, extents, ones)
        )
        reduced = extents[main.reduced] if main.reduced else ones
        found.append(
            Kind(
                number,
                extents[main.rows] if main.rows else ones,
                reduced * inner,
                extents[main.columns] if main.columns else ones,
                np.ceil(reduced / array_rows) * inner,
                np.minimum(reduced, float(array_rows)),
            )
        )
    return found


def _words(dims: Sequence[str], extents: Mapping[str, Floats], ones: Floats) -> Floats:
    for dim in dims:
        ones = ones * extents[dim]
    return ones


def _sizes(dim: str, operator: Einsum, grid: StepGrid) -> list[tuple[Floats, Floats | None]]:
    """(how many, extent) of the blocks that one loop leaves; no extent for an operator that is only repeated."""
    step, size = grid.steps[dim], grid.graph.sizes[dim]
    if dim not in operator.dims:
        return [(grid.trips(dim), None)]
    rest = size % step
    whole: Floats = np.floor(size / step)
    return [(whole, step), (np.where(rest > 0, 1.0, 0.0), np.maximum(rest, 1.0))]
