"""Gemmini's hardware loop as a mapping: its few free choices, and the loop nest that they stand for.

LOOP_WS walks one tile by itself, along k, n and m in blocks of the array. Free are the tile, the order in which the
host visits the tiles, whether two tiles share the memories, and which operands stay on chip. Search, cost model and
lowering work on these; the nest is made for printing and for files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mapper.errors import MappingError
from mapper.mapping.loop_nest import DIMS, LevelMapping, LoopNest, SpatialLoop, TemporalLoop
from simulator.arrays import Ints

Tiles = TypeVar("Tiles", int, Ints)


@dataclass(frozen=True, slots=True)
class HardwareLoop:
    """The free choices of a hardware loop: tile, order of tiles, buffering, operands that stay on chip."""

    tile_m: int
    """Tile extent along m [array blocks]."""
    tile_k: int
    tile_n: int
    order: str = "mnk"
    """DRAM loops outer to inner."""
    double_buffered: bool = True
    """Two tiles, each in one half of the memories; otherwise one tile in the whole memories."""
    held: frozenset[str] = frozenset()
    """Operands ("input", "weight") that are loaded once and stay on chip."""

    def __post_init__(self) -> None:
        if sorted(self.order) != sorted(DIMS):
            raise MappingError(f"order {self.order!r} must be a permutation of {''.join(DIMS)}")
        if min(self.tiles) < 1:
            raise MappingError(f"tile {self.tiles} must be at least one block in every dimension")
        if not self.held <= {"input", "weight"}:
            raise MappingError(f"only input and weight can be held, not {sorted(self.held)}")

    @property
    def tiles(self) -> tuple[int, int, int]:
        """Tile extents along m, k, n [array blocks]."""
        return self.tile_m, self.tile_k, self.tile_n

    def nest(self, ops: Sequence[str], problem: Mapping[str, int], machine: str, side: int) -> LoopNest:
        """Return the loop nest that this stands for on an array of ``side`` x ``side``."""
        tile = dict(zip(DIMS, self.tiles, strict=True))
        operands, output = frozenset({"input", "weight"}), frozenset({"output"})
        nothing: frozenset[str] = frozenset()
        levels = (
            LevelMapping(
                "dram", operands | output, tuple(TemporalLoop(name, tile[name] * side) for name in self.order)
            ),
            LevelMapping(
                "scratchpad", operands, double_buffered=operands if self.double_buffered else nothing, held=self.held
            ),
            LevelMapping(
                "accumulator",
                output,
                tuple(TemporalLoop(name, side) for name in "knm"),
                double_buffered=output if self.double_buffered else nothing,
            ),
            LevelMapping(
                "array",
                frozenset({"weight"}),
                (TemporalLoop("m", 1),),
                (SpatialLoop("k", side, "rows"), SpatialLoop("n", side, "cols")),
            ),
        )
        return LoopNest(tuple(ops), tuple((name, problem[name]) for name in DIMS), machine, levels)


def hardware_loop_of(nest: LoopNest) -> HardwareLoop:
    """Return the hardware loop that a nest stands for.

    Raises
    ------
    MappingError
        When the nest is not of that form.
    """
    dram, scratchpad, array = nest.level("dram"), nest.level("scratchpad"), nest.level("array")
    spread = {loop.dim: loop.size for loop in array.spatial}
    side = spread.get("k", 0)
    steps = {loop.dim: loop.tile for loop in dram.temporal}
    if set(steps) != set(DIMS) or len(dram.temporal) != 3 or spread != {"k": side, "n": side}:
        raise MappingError(
            "not a hardware loop: needs one DRAM loop each over m, k and n, and k, n spread over the array"
        )
    if any(tile % side for tile in steps.values()):
        raise MappingError(f"not a hardware loop: DRAM tiles {steps} are no multiples of the array's {side}")
    loop = HardwareLoop(
        steps["m"] // side,
        steps["k"] // side,
        steps["n"] // side,
        order="".join(loop.dim for loop in dram.temporal),
        double_buffered=bool(scratchpad.double_buffered),
        held=scratchpad.held,
    )
    # Inner levels carry no choice of their own: whatever differs from what LOOP_WS does is another kind of nest.
    if loop.nest(nest.ops, nest.dims, nest.machine, side) != nest:
        raise MappingError("not a hardware loop: inner levels differ from LOOP_WS (k, n, m over array blocks)")
    return loop


def spills(order: str, tiles_m: Tiles, tiles_k: Tiles, tiles_n: Tiles) -> Tiles:
    """Return how often partial sums leave the chip as int32 and come back, each of them.

    The accumulator keeps the sums of one tile of C. They stay while k runs innermost, or while every loop inside k has
    a single tile; else another tile of C takes their place before the next k tile.

    Parameters
    ----------
    order
        DRAM loops, outer to inner.
    tiles_m, tiles_k, tiles_n
        Number of tiles along each dimension: integers, or columns of them.
    """
    _, _, inside_k = order.partition("k")
    visited = (tiles_m if "m" in inside_k else 1) * (tiles_n if "n" in inside_k else 1)
    return (tiles_k - 1) * (visited > 1)
