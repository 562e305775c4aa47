"""What the proof needs to know of one choice of keep sets and spatial loops: costs as functions of visit counts.

The coefficients are those of the kernel (`mapper.nest.model.cost.Coefficients`), sorted by the group of dimensions
whose count they multiply: the irrelevant dimensions of a tensor. Energy and loads are sums over groups, array steps
are a product over groups, capacities couple them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from mapper.errors import MappingError
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.capacity import block_sizes
from mapper.nest.model.cost import GUARD, Coefficients, Linear
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import TENSORS, NestProblem
from mapper.nest.model.reuse_groups import groups_of
from mapper.nest.model.transfers import Kept, Move, Spread, pairs, partial_words

Pair = tuple[int, int]
"""(group, child): the copy inside the outermost ``child`` levels of the tensor whose irrelevant dimensions are the
group; child ``levels`` + 1 stands for the multipliers, for which every loop counts."""


@dataclass(frozen=True, slots=True)
class Affine:
    """constant + sum of coefficient x visits of a pair."""

    constant: float
    terms: tuple[tuple[Pair, float], ...]


@dataclass(frozen=True, slots=True)
class Slide:
    """A sliding axis of the input: its words grow where tiles of both dimensions repeat their halos."""

    dims: tuple[str, str]
    overlap: tuple[int, int]
    """Of tiles with a and b elements, max(0, a - first) max(0, b - second) indices are counted twice."""
    pairs: int
    """Product of the dimensions."""
    extent: int
    """Distinct indices of the whole axis."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A copy of a tensor that takes room in a memory of limited size."""

    tensor: str
    level: int
    dims: tuple[str, ...]
    words: int
    """Words per element of a partial sum; 1 if partial sums never come here, or are as wide as final values."""
    spilled: Pair | None
    """The pair whose visits tell whether partial sums come here (more than one)."""
    serial: Affine | None
    """Cycles of its transfers, added to the array's steps if the tile has one copy only and is not the whole tensor;
    None if transfers always overlap."""


@dataclass(frozen=True, slots=True)
class Structure:
    """Everything but tiles and orders, which are searched."""

    problem: NestProblem
    hierarchy: Hierarchy
    accounting: Accounting
    kept: Kept
    spatial: Spread
    levels: int
    """Levels with temporal loops."""
    groups: tuple[tuple[str, ...], ...]
    """Irrelevant dimensions of input, weight, output; those that index all three."""
    array_tile: Mapping[str, int]
    """Elements of each dimension that the array takes at once."""
    pairs: tuple[Pair, ...]
    """Those whose visits depend on the order."""
    energy: Affine
    ports: tuple[Affine, ...]
    tiles: tuple[Tile, ...]
    rooms: tuple[tuple[str, int, tuple[int, ...]], ...]
    """(place, words, indices of the tiles that share it)."""
    blocks: Mapping[int, Mapping[str, int]]
    """Per level: multiples to which extents are rounded up [elements]."""
    slides: tuple[Slide, ...]
    """Of a convolution. Words of the input are then visits x product of (pairs - overlaps) / extent; costs hold the
    coefficients of visits for halos that are moved once."""

    def __hash__(self) -> int:
        return hash((self.problem, self.hierarchy, self.accounting, self.kept, self.spatial))


@lru_cache(maxsize=4096)
def structure(
    problem: NestProblem, hierarchy: Hierarchy, accounting: Accounting, kept: Kept, spatial: Spread
) -> Structure:
    """Sort the kernel's coefficients by group.

    Raises
    ------
    MappingError
        For spatial loops at several levels, where instances of one memory share the words of a tensor unevenly, or
        for an accounting with terms that have no bound here.
    """
    if accounting.min_pair_cycles:
        raise MappingError(
            f"{accounting.name}: a least time per tile of the array (min_pair_cycles) is evaluated, not searched"
        )
    levels = temporal_levels(spatial)
    groups = groups_of(problem)
    coefficients = Coefficients.of(problem, hierarchy, kept, spatial, accounting)
    sorter = _Sorter(problem, spatial, levels, groups)
    tiles = _tiles(problem, hierarchy, accounting, kept, coefficients, sorter)
    places = {memory.place: memory.entries for memory in hierarchy.memories[1:] if memory.entries is not None}
    rooms = tuple(
        (place, entries, tuple(i for i, tile in enumerate(tiles) if hierarchy.memories[tile.level].place == place))
        for place, entries in places.items()
    )
    energy = sorter.affine(coefficients.energy_pj)
    ports = tuple(sorter.affine(port.load, 1.0 - GUARD) for port in coefficients.ports)
    lines = [energy, *ports, *(tile.serial for tile in tiles if tile.serial)]
    seen = {pair for line in lines for pair, _ in line.terms} | {tile.spilled for tile in tiles if tile.spilled}
    return Structure(
        problem,
        hierarchy,
        accounting,
        kept,
        spatial,
        levels,
        groups,
        {dim: prod(loop.size for loops in spatial for loop in loops if loop.dim == dim) for dim in problem.names},
        tuple(sorted(pair for pair in seen if pair[1] <= levels)),
        energy,
        ports,
        tiles,
        rooms,
        {level: block_sizes(spatial, level, accounting) for level in range(levels)},
        _slides(problem),
    )


def _slides(problem: NestProblem) -> tuple[Slide, ...]:
    found = []
    for tensor in problem.tensors:
        for axis in tensor.axes:
            if axis.is_plain:
                continue
            if tensor.name != "input":
                raise MappingError(f"{tensor.name}: only inputs are searched with sliding axes")
            (a, b), sizes = axis.dims, problem.sizes
            found.append(Slide((a, b), axis.overlap, sizes[a] * sizes[b], axis.extent(sizes)))
    return tuple(found)


def temporal_levels(spatial: Spread) -> int:
    """Levels with temporal loops: those down to the spatial loops."""
    used = [level for level, loops in enumerate(spatial) if loops]
    if len(used) > 1:
        raise MappingError("spatial loops at several levels cannot be searched; put them at one")
    return used[0] + 1 if used else len(spatial)


@dataclass(frozen=True, slots=True)
class _Sorter:
    """Turns words of moves into visits of pairs."""

    problem: NestProblem
    spatial: Spread
    levels: int
    groups: tuple[tuple[str, ...], ...]

    def pair(self, move: Move) -> Pair:
        """The visits that a move's words are proportional to."""
        child = move.child if move.child < len(self.spatial) else self.levels + 1
        return TENSORS.index(move.tensor), child

    def affine(self, line: Linear, factor: float = 1.0) -> Affine:
        constant, terms = line.constant * factor, dict[Pair, float]()
        for move, weight in line.terms:
            irrelevant = self.problem.irrelevant(move.tensor)
            if move.busiest or any(loop.dim in irrelevant for loops in self.spatial[: move.spread] for loop in loops):
                raise MappingError(
                    f"{move.tensor}: instances that share or repeat words of one memory are evaluated, not searched"
                )
            scale = weight * self.problem.elements(move.tensor) * factor
            if move.distinct:
                constant += scale
            else:
                terms[self.pair(move)] = terms.get(self.pair(move), 0.0) + scale
        if any(weight < 0 for weight in terms.values()):
            raise MappingError("a cost that falls with more traffic cannot be bounded")
        return Affine(constant, tuple(sorted(terms.items())))


def _tiles(
    problem: NestProblem,
    hierarchy: Hierarchy,
    accounting: Accounting,
    kept: Kept,
    coefficients: Coefficients,
    sorter: _Sorter,
) -> tuple[Tile, ...]:
    serial = {(item.level, item.tensor): sorter.affine(item.load) for item in coefficients.serial}
    found = []
    for level in range(1, len(kept)):
        for tensor in TENSORS:
            if tensor not in kept[level]:
                continue
            words, spilled = 1, None
            if tensor == "output":
                words = partial_words(hierarchy, level, accounting)
                inner = next(child for name, outer, child in pairs(kept) if name == "output" and outer == level)
                spilled = sorter.pair(Move("output", inner, level)) if words > 1 else None
            dims = tuple(dim for dim in problem.names if dim in problem.relevant(tensor))
            load = serial.get((level, tensor))
            found.append(Tile(tensor, level, dims, words, spilled, load))
    return tuple(found)
