"""The variants of a mapspace: which memory keeps which tensor, what the array's axes take, second copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod
from typing import Literal, TypeAlias

import numpy as np

from mapper.errors import MappingError
from mapper.mapping.loop_nest import SpatialLoop
from mapper.nest.mapspace.constraints import Constraints, Sizes
from mapper.nest.mapspace.divisions import divisors
from mapper.nest.model.accounting import Accounting
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem
from mapper.nest.model.transfers import Kept, Spread

Unrolling: TypeAlias = Literal["full", "free"]
"""full: each axis of the array takes as much of its dimension as it can; free: any part (any divisor, with perfect
factors)."""

DATAFLOWS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "weight": (("k", "c"), ("n", "k")),
    "output": (("m", "p"), ("n", "k")),
    "input": (("m", "p"), ("k", "c")),
}
"""By the tensor that the array's registers hold: dimension on its rows and on its columns, of a matmul or of a
convolution. Gemmini's weight-stationary array takes the reduction on its rows and the outputs' columns on its own."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One choice of keep sets, spatial loops and buffering."""

    kept: Kept
    spatial: Spread
    doubled: tuple[frozenset[str], ...]
    """Double-buffered tensors per memory."""

    def array_tile(self, dim: str) -> int:
        """Return the elements of a dimension that the array takes at once."""
        return prod(loop.size for loops in self.spatial for loop in loops if loop.dim == dim)


def spatial_level(hierarchy: Hierarchy) -> int:
    """Return the level inside whose temporal loops the array is spread: the innermost one outside the registers."""
    last = len(hierarchy.memories) - 1
    registers = last > 0 and hierarchy.memories[last].instances == hierarchy.macs > 1
    return last - 1 if registers else last


def keep_sets(hierarchy: Hierarchy, constraints: Constraints, bypass: Mapping[str, bool]) -> list[Kept]:
    """Return the tensors kept per memory, most copies first.

    Every memory keeps what it may, except where ``bypass`` says that each of its tensors may also pass it by, or where
    constraints say what it keeps. The outermost memory keeps everything.
    """
    options = []
    for index, memory in enumerate(hierarchy.memories):
        rule = constraints.rule(memory.name).keep
        names = sorted(memory.keeps)
        free = index > 0 and (bypass.get(memory.name, False) or rule.any is not None or bool(rule.never))
        sets = [frozenset(names)]
        if free:
            sets = [frozenset(some) for size in range(len(names), -1, -1) for some in combinations(names, size)]
        if rule.any is None and rule.never and not bypass.get(memory.name, False):
            sets = [frozenset(names) - rule.never]
        allowed = [kept for kept in sets if rule.allow(kept)]
        if not allowed:
            raise MappingError(f"constraints: {memory.name}.keep leaves no set of {', '.join(names)}")
        options.append(allowed)
    return [tuple(sets) for sets in product(*options)]


def spreads(
    problem: NestProblem, hierarchy: Hierarchy, constraints: Constraints, unrolling: Unrolling, perfect: bool
) -> list[Spread]:
    """Return the spatial loops per memory, largest parts first.

    Raises
    ------
    MappingError
        Where constraints leave none.
    """
    axes = []
    for axis, width in (("rows", hierarchy.rows), ("cols", hierarchy.cols)):
        rule = constraints.spatial.get(axis)
        dims = dict(rule) if rule is not None else {_default(problem, hierarchy, axis): Sizes()}
        axes.append(_axis(problem, axis, width, dims, unrolling, perfect))
        if not axes[-1]:
            text = ", ".join(f"{dim}{sizes}" for dim, sizes in dims.items())
            kind = "divisors" if perfect else "parts"
            raise MappingError(f"constraints: spatial.{axis}: {text} leaves no {kind} of at most {width}")
    level, memories = spatial_level(hierarchy), len(hierarchy.memories)
    return [
        tuple((*rows, *cols) if index == level else () for index in range(memories)) for rows, cols in product(*axes)
    ]


def _default(problem: NestProblem, hierarchy: Hierarchy, axis: str) -> str:
    registers = hierarchy.memories[-1]
    kept = next((name for name in ("weight", "output", "input") if name in registers.keeps), "weight")
    rows, cols = DATAFLOWS[kept if len(registers.keeps) == 1 else "weight"]
    convolution = "c" in problem.names
    return (rows if axis == "rows" else cols)[int(convolution)]


def _axis(
    problem: NestProblem,
    axis: str,
    width: int,
    dims: Mapping[str, Sizes],
    unrolling: Unrolling,
    perfect: bool,
) -> list[tuple[SpatialLoop, ...]]:
    """Loops that one axis may take; several dimensions share it as a product."""
    if not dims:
        return [()]
    options = []
    for dim, rule in dims.items():
        size = problem.size(dim)
        parts = np.array(divisors(size) if perfect else range(1, width + 1), np.int64)
        parts = parts[(parts <= width) & rule.allow(parts)]
        if unrolling == "full":
            parts = parts[-1:]
        elif not perfect and not rule.is_fixed:
            parts = parts[parts <= size]
        options.append(sorted(map(int, parts), reverse=True))
    unrollings = []
    for sizes in product(*options):
        if prod(sizes) <= width:
            named = zip(dims, sizes, strict=True)
            unrollings.append(tuple(SpatialLoop(dim, size, axis) for dim, size in named))  # type: ignore[arg-type]
    return unrollings


def bufferings(
    hierarchy: Hierarchy, accounting: Accounting, constraints: Constraints, kept: Kept
) -> list[tuple[frozenset[str], ...]]:
    """Return the double-buffered tensors per memory, fewest first.

    They are a choice where a missing second copy takes time; otherwise none is written down, unless constraints ask
    for it.
    """
    is_choice = accounting.serial_transfers
    options: list[Sequence[frozenset[str]]] = []
    for index, memory in enumerate(hierarchy.memories):
        rule = constraints.rule(memory.name).double_buffer
        names = sorted(kept[index])
        sets = [frozenset[str]()]
        if rule.any is not None or (is_choice and index > 0 and memory.instances == 1):
            sets = [frozenset(some) for size in range(len(names) + 1) for some in combinations(names, size)]
        options.append([some for some in sets if rule.allow(some)])
    return [tuple(sets) for sets in product(*options)]
