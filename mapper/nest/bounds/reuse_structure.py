"""Costs as functions of visit counts, for one choice of keep sets and spatial loops.

The coefficients are those of the kernel (`mapper.nest.model.cost.Coefficients`), sorted by the reuse group whose count
they multiply: the words of a tensor that a memory moves are |tensor| x visits, and the visits count tiles of the
dimensions that do not index the tensor. So energy and loads are sums over groups, the array's steps are a product over
groups, and only the capacities couple the groups. Bounds rest on all coefficients being at least zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from mapper.errors import MappingError
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.capacity import block_sizes, partial_transfer
from mapper.nest.model.cost import GUARD, Coefficients, Linear
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import TENSORS, NestProblem
from mapper.nest.model.reuse_groups import groups_of
from mapper.nest.model.transfers import Kept, Spread, Transfer, partial_words

Pair = tuple[int, int]
"""(group, child): the copy inside the outermost ``child`` levels of the tensor whose irrelevant dimensions are the
group; child ``levels`` + 1 stands for the multipliers, for which every loop counts."""


@dataclass(frozen=True, slots=True)
class Affine:
    """constant + sum of coefficient x visits of a pair."""

    constant: float
    terms: tuple[tuple[Pair, float], ...]


@dataclass(frozen=True, slots=True)
class SlidingAxis:
    """A sliding axis of the input: its words grow where tiles of both dimensions repeat their halos."""

    dims: tuple[str, str]
    overlap: tuple[int, int]
    """Of tiles with a and b elements, max(0, a - first) max(0, b - second) indices are counted twice."""
    pairs: int
    """Product of the dimensions."""
    extent: int
    """Distinct indices of the whole axis."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a tensor that takes room in a memory inside the outermost one."""

    tensor: str
    level: int
    dims: tuple[str, ...]
    words: int
    """Words per element of a partial sum; 1 if partial sums never come here, or are as wide as final values."""
    spill_pair: Pair | None
    """The pair whose visits tell whether partial sums come here (more than one)."""
    serial: Affine | None
    """Cycles of its transfers, added to the array's steps if there is no second copy and the tile is not the whole
    tensor; None if transfers always overlap."""


@dataclass(frozen=True, slots=True)
class SharedCapacity:
    """A memory of limited size and the copies that share it."""

    memory: str
    words: int
    copies: tuple[int, ...]
    """Positions in `ReuseStructure.copies`."""


@dataclass(frozen=True, slots=True)
class ReuseStructure:
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
    copies: tuple[Copy, ...]
    capacities: tuple[SharedCapacity, ...]
    blocks: Mapping[int, Mapping[str, int]]
    """Per level: multiples to which extents are rounded up [elements]."""
    sliding: tuple[SlidingAxis, ...]
    """Of a convolution. Words of the input are then visits x product of (pairs - overlaps) / extent; costs hold the
    coefficients of visits for halos that are moved once."""

    def __hash__(self) -> int:
        # All else follows from these five, and the dictionaries among it have no hash.
        return hash((self.problem, self.hierarchy, self.accounting, self.kept, self.spatial))

    @property
    def multipliers(self) -> int:
        """Child of the pairs whose inner copy is the multipliers."""
        return self.levels + 1


@lru_cache(maxsize=4096)
def reuse_structure(
    problem: NestProblem, hierarchy: Hierarchy, accounting: Accounting, kept: Kept, spatial: Spread
) -> ReuseStructure:
    """Return the kernel's coefficients sorted by group.

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
    coefficients = Coefficients.of(problem, hierarchy, kept, spatial, accounting)
    sorter = _Sorter(problem, spatial, levels)
    copies = _copies(problem, hierarchy, accounting, kept, coefficients, sorter)
    energy = sorter.affine(coefficients.energy_pj)
    # The kernel lowers loads by its guard before it rounds up; a bound must not be above it.
    ports = tuple(sorter.affine(port.load, 1.0 - GUARD) for port in coefficients.ports)
    return ReuseStructure(
        problem,
        hierarchy,
        accounting,
        kept,
        spatial,
        levels,
        groups_of(problem),
        {dim: prod(loop.size for loops in spatial for loop in loops if loop.dim == dim) for dim in problem.names},
        _order_dependent(levels, energy, ports, copies),
        energy,
        ports,
        copies,
        _capacities(hierarchy, copies),
        {level: block_sizes(spatial, level, accounting) for level in range(levels)},
        _sliding(problem),
    )


def temporal_levels(spatial: Spread) -> int:
    """Return the number of levels with temporal loops: those down to the spatial loops."""
    used = [level for level, loops in enumerate(spatial) if loops]
    # Loops between two spreads would run in some instances only, and their trips would not be those of a chain.
    if len(used) > 1:
        raise MappingError("spatial loops at several levels cannot be searched; put them at one")
    return used[0] + 1 if used else len(spatial)


def _order_dependent(
    levels: int, energy: Affine, ports: tuple[Affine, ...], copies: tuple[Copy, ...]
) -> tuple[Pair, ...]:
    """Pairs that costs or capacities see, without those of the multipliers, for which every loop counts anyway."""
    lines = [energy, *ports, *(copy.serial for copy in copies if copy.serial)]
    observed = {pair for line in lines for pair, _ in line.terms}
    observed |= {copy.spill_pair for copy in copies if copy.spill_pair}
    return tuple(sorted(pair for pair in observed if pair[1] <= levels))


def _capacities(hierarchy: Hierarchy, copies: tuple[Copy, ...]) -> tuple[SharedCapacity, ...]:
    entries = {memory.physical: memory.entries for memory in hierarchy.memories[1:] if memory.entries is not None}
    return tuple(
        SharedCapacity(
            memory,
            words,
            tuple(index for index, copy in enumerate(copies) if hierarchy.memories[copy.level].physical == memory),
        )
        for memory, words in entries.items()
    )


def _sliding(problem: NestProblem) -> tuple[SlidingAxis, ...]:
    sliding = []
    for tensor in problem.tensors:
        for axis in tensor.axes:
            if axis.is_plain:
                continue
            if tensor.name != "input":
                raise MappingError(f"{tensor.name}: only inputs are searched with sliding axes")
            (a, b), sizes = axis.dims, problem.sizes
            sliding.append(SlidingAxis((a, b), axis.overlap, sizes[a] * sizes[b], axis.extent(sizes)))
    return tuple(sliding)


@dataclass(frozen=True, slots=True)
class _Sorter:
    """Turns words of transfers into visits of pairs."""

    problem: NestProblem
    spatial: Spread
    levels: int

    def pair(self, transfer: Transfer) -> Pair:
        """Return the pair whose visits a transfer's words are proportional to."""
        child = transfer.child if transfer.child < len(self.spatial) else self.levels + 1
        return TENSORS.index(transfer.tensor), child

    def affine(self, line: Linear, factor: float = 1.0) -> Affine:
        """Return a line of the kernel as a function of visits.

        A `MappingError` tells where it is none, or could fall as visits grow.
        """
        constant, terms = line.constant * factor, dict[Pair, float]()
        for transfer, weight in line.terms:
            irrelevant = self.problem.irrelevant(transfer.tensor)
            # Spatial loops over an irrelevant dimension multiply the words beyond |tensor| x visits.
            if transfer.busiest or any(
                loop.dim in irrelevant for loops in self.spatial[: transfer.spread] for loop in loops
            ):
                raise MappingError(
                    f"{transfer.tensor}: instances that share or repeat words of one memory are evaluated, not searched"
                )
            scale = weight * self.problem.elements(transfer.tensor) * factor
            if transfer.distinct:
                constant += scale  # elements ever held: the same for all tiles and orders, so no part of the search
            else:
                terms[self.pair(transfer)] = terms.get(self.pair(transfer), 0.0) + scale
        if any(weight < 0 for weight in terms.values()):
            raise MappingError("a cost that falls with more traffic cannot be bounded")
        return Affine(constant, tuple(sorted(terms.items())))


def _copies(
    problem: NestProblem,
    hierarchy: Hierarchy,
    accounting: Accounting,
    kept: Kept,
    coefficients: Coefficients,
    sorter: _Sorter,
) -> tuple[Copy, ...]:
    """Copies inside the outermost memory, level by level in the order of the tensors."""
    serial = {(transfer.level, transfer.tensor): sorter.affine(transfer.load) for transfer in coefficients.serial}
    copies = []
    for level in range(1, len(kept)):
        for tensor in TENSORS:
            if tensor not in kept[level]:
                continue
            # Only outputs are visited before they are final, and only then they are as wide as partial sums.
            visits = partial_transfer(hierarchy, kept, level, accounting) if tensor == "output" else None
            words = 1 if visits is None else partial_words(hierarchy, level, accounting)
            spill_pair = None if visits is None else sorter.pair(visits)
            dims = tuple(dim for dim in problem.names if dim in problem.relevant(tensor))
            copies.append(Copy(tensor, level, dims, words, spill_pair, serial.get((level, tensor))))
    return tuple(copies)
