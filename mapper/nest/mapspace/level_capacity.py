"""Which tiles the memory of one level holds, told from their sizes alone, and what is said where none fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from mapper.errors import MappingError, Violation
from mapper.nest.mapspace.axes import NestAxes
from mapper.nest.mapspace.variants import Variant
from mapper.nest.model.capacity import block_sizes, tile_words
from mapper.nest.model.transfers import partial_words
from simulator.arrays import Bools, Floats, Rows

Fits: TypeAlias = tuple[Callable[[Sequence[Rows]], Bools], frozenset[int]]
"""Whether tiles fit, of the sizes of all dimensions [units]; and the positions of the dimensions that matter."""


def capacity_test(axes: NestAxes, variant: Variant, level: int, *, partial: bool = False) -> Fits | None:
    """Return whether the tiles of one level fit its memory; None if nothing can fail to fit.

    Output elements are final values, or partial sums with ``partial``: the most room that they can take.
    """
    memory = axes.hierarchy.memories[level]
    if level == 1 and not _registers_fit(axes, variant):
        return _never_fits, frozenset()
    if memory.entries is None or not variant.kept[level]:
        return None
    entries = float(memory.entries)
    grids = [axes.grid(variant, dim) for dim in axes.dims]
    tensors = [axes.problem.tensor(name) for name in sorted(variant.kept[level])]
    used = frozenset(index for index, dim in enumerate(axes.dims) if any(dim in tensor.dims for tensor in tensors))

    def fits(sizes: Sequence[Rows]) -> Bools:
        elements = {dim: grids[index].elements(sizes[index]).astype(np.float64) for index, dim in enumerate(axes.dims)}
        return np.asarray(_words(axes, variant, level, elements, partial) <= entries)

    return fits, used


def _never_fits(sizes: Sequence[Rows]) -> Bools:
    return np.zeros(np.broadcast_shapes(*(np.shape(size) for size in sizes)), bool)


def holds(axes: NestAxes, variant: Variant, units: Rows, *, partial: bool = False) -> Bools:
    """Return which rows' tiles fit level by level.

    Parameters
    ----------
    units
        (rows, levels - 1, dimensions): tiles T1 .. T(L-1) [units].
    """
    good = np.ones(len(units), bool)
    for level in range(1, axes.levels):
        test = capacity_test(axes, variant, level, partial=partial)
        if test is not None:
            good &= test[0]([units[:, level - 1, dim] for dim in range(len(axes.dims))])
    return good


def needs_kernel(axes: NestAxes, variant: Variant) -> bool:
    """Return whether the tiles of each level alone do not say what fits.

    So it is with partial sums in a memory of narrower words, because the room that they take depends on the loop order,
    and with levels that share one memory.
    """
    machine = axes.hierarchy
    bounded = [
        (level, memory)
        for level, memory in enumerate(machine.memories)
        if level > 0 and memory.entries is not None and variant.kept[level]
    ]
    wide = any(
        "output" in variant.kept[level] and partial_words(machine, level, axes.accounting) > 1 for level, _ in bounded
    )
    return wide or len({memory.physical for _, memory in bounded}) < len(bounded)


def _registers_fit(axes: NestAxes, variant: Variant) -> bool:
    """Whether the memories inside the array hold one element of each tensor that they keep."""
    inside = list(enumerate(axes.hierarchy.memories))[axes.levels :]
    return all(memory.entries is None or len(variant.kept[level]) <= memory.entries for level, memory in inside)


def _words(
    axes: NestAxes, variant: Variant, level: int, elements: Mapping[str, Floats], partial: bool = False
) -> Floats:
    """Words that tiles of these sizes take at a level; output elements as final values or as partial sums."""
    blocks = block_sizes(variant.spatial, level, axes.accounting)
    total: Floats = np.zeros(())
    for name in sorted(variant.kept[level]):
        tensor = axes.problem.tensor(name)
        rounded = {
            dim: np.ceil(elements[dim] / blocks[dim]) * blocks[dim] if dim in blocks else elements[dim]
            for dim in tensor.dims
        }
        words = np.asarray(tile_words(tensor, rounded))
        if partial and name == "output":
            words = words * partial_words(axes.hierarchy, level, axes.accounting)
        if axes.accounting.double_buffer_capacity and name in variant.doubled[level]:
            # A tensor that is resident as a whole is never replaced, so it needs no second copy.
            whole = np.bool_(True)
            for dim in tensor.dims:
                whole = whole & (elements[dim] == axes.problem.size(dim))
            words = np.where(whole, words, 2.0 * words)
        total = total + words
    return total


def _least_words(axes: NestAxes, variant: Variant, level: int) -> int:
    """Words of the smallest tiles that constraints leave at a level."""
    sizes = {}
    for dim in axes.dims:
        steps, grid = axes.steps(variant, dim), axes.grid(variant, dim)
        allowed = steps.values[steps.masks[level - 1]]
        sizes[dim] = grid.elements(allowed[:1]).astype(np.float64)
    return int(_words(axes, variant, level, sizes).flat[0])


def census(axes: NestAxes) -> list[Violation]:
    """Return why nothing fits: for every memory too small for the smallest tiles, what they need."""
    by_memory: dict[str, Violation] = {}
    for variant in axes.variants:
        for level, memory in enumerate(axes.hierarchy.memories[: axes.levels]):
            if level == 0 or memory.entries is None:
                continue
            least = _least_words(axes, variant, level)
            if least > memory.entries and (memory.name not in by_memory or least < by_memory[memory.name].demand):
                tensors = ", ".join(sorted(variant.kept[level]))
                by_memory[memory.name] = Violation(
                    f"the smallest tile of {tensors}", memory.name, least, memory.entries, "words",
                    "enlarge the memory, free constraints or, where the dimension allows, take finer units",
                )  # fmt: skip
    return list(by_memory.values())


def require_room(axes: NestAxes) -> None:
    """Raise a `MappingError` with the census where no variant has room for its smallest tiles."""
    bounded = [(level, memory) for level, memory in enumerate(axes.hierarchy.memories[: axes.levels]) if level]
    for variant in axes.variants:
        if all(
            memory.entries is None or _least_words(axes, variant, level) <= memory.entries for level, memory in bounded
        ):
            return
    raise nothing_fits(axes)


def nothing_fits(axes: NestAxes) -> MappingError:
    """Return the error of a mapspace without a legal member, with the census."""
    return MappingError(f"no mapping of {axes.problem.name} fits {axes.hierarchy.name}", census(axes))
