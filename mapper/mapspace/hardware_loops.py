"""The mapspace of one matmul on Gemmini's hardware loop: what may be chosen, and what does not fit.

Axes: tile extents in array blocks (every integer, so that last tiles may be ragged), the six orders of the DRAM
loops, tiles in halves (double-buffered) or in the whole memories, and operands held on chip on machines that can.
Only where both a dimension and the memories are huge are extents left out (`mapper.mapspace.tile_sizes`).

A kernel that normalises rows on their way out leaves less to choose: a tile holds all of n, and its sums stay in the
accumulator until they are complete, so that k is innermost and every row leaves once.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hwconfigs import HardwareSpec
from mapper.errors import MappingError, Violation
from mapper.mapping.hardware_loop import HardwareLoop, hardware_loop_of, spills
from mapper.mapping.loop_nest import DIMS, LoopNest
from mapper.mapping.mapping_file import require_for
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import ORDERS, Batch, batch_of
from mapper.mapspace.tile_sizes import expand, sizes_to_try
from simulator.arrays import Bools, Ints
from simulator.tile_footprint import accumulator_blocks, deepest_k, scratchpad_blocks, widest_n

HELD_TILES = 2
"""An operand can be held if it has at most this many tiles, one per scratchpad half [1]_.

.. [1] Gemmini's library as of v0.7.2: null addresses for A when tiles along m x tiles along k <= 2, alike for B.
"""


@dataclass(frozen=True, slots=True)
class MapSpace:
    """All hardware-loop mappings of a problem on a machine."""

    problem: MatmulProblem
    spec: HardwareSpec

    @property
    def side(self) -> int:
        """Rows, and columns, of the array. [elements]"""
        return self.spec.array.rows

    @property
    def blocks(self) -> tuple[int, int, int]:
        """Array blocks along m, k, n."""
        m, k, n = (-(-self.problem.dims[name] // self.side) for name in DIMS)
        return m, k, n

    @property
    def extents(self) -> tuple[Ints, Ints, Ints]:
        """Tile extents along m, k, n that are tried [blocks]."""
        m, k, n = sizes_to_try(self.blocks, *self.capacity_blocks(double_buffered=False))
        return m, k, np.array([self.blocks[2]], dtype=np.int64) if self.problem.whole_rows else n

    @property
    def orders(self) -> tuple[str, ...]:
        """DRAM loop orders: with one tile along n, those that keep sums on chip are one."""
        return ORDERS[:1] if self.problem.whole_rows else ORDERS

    @property
    def axes(self) -> dict[str, int]:
        """Number of choices on each axis: every extent, or those that are tried of a dimension that is thinned."""
        scratchpad, accumulator = self.capacity_blocks(double_buffered=False)
        m, k, n = (
            size if len(tried) == min(size, most) else len(tried)
            for size, most, tried in zip(
                self.blocks, (accumulator, deepest_k(1, 1, scratchpad), accumulator), self.extents, strict=True
            )
        )
        n = len(self.extents[2]) if self.problem.whole_rows else n
        return {"tile_m": m, "tile_k": k, "tile_n": n, "order": len(self.orders), "buffering": 2}

    @property
    def size(self) -> int:
        """Number of candidates, legal or not. Holding an operand is no choice: it is done whenever it can be."""
        return int(np.prod([*self.axes.values()], dtype=object))

    def describe(self) -> str:
        """Return the axes, their sizes and the product as one line."""
        return " x ".join(f"{name} {count:,}" for name, count in self.axes.items()) + f" = {self.size:,}"

    def capacity_blocks(self, double_buffered: bool) -> tuple[int, int]:
        """Return the array blocks that fit the scratchpad and the accumulator, or half of each."""
        parts = 2 if double_buffered else 1
        scratchpad = self.spec.scratchpad.rows - self.problem.reserved_rows
        return scratchpad // parts // self.side, self.spec.accumulator.rows // parts // self.side

    def tiles(self, double_buffered: bool) -> tuple[Ints, Ints, Ints]:
        """Return every tile (columns m, k, n in blocks) that is tried and fits."""
        scratchpad, accumulator = self.capacity_blocks(double_buffered)
        all_m, all_k, all_n = self.extents
        # The accumulator bounds n for each m, the scratchpad k for each pair of them: only tiles that fit are made.
        across = np.searchsorted(all_n, widest_n(all_m, accumulator), side="right")
        of_m, index_n = expand(across)
        pair_m, pair_n = all_m[of_m], all_n[index_n]
        of_pair, index_k = expand(np.searchsorted(all_k, deepest_k(pair_m, pair_n, scratchpad), side="right"))
        return pair_m[of_pair], all_k[index_k], pair_n[of_pair]

    @property
    def legal(self) -> int:
        """Number of candidates that fit."""
        return len(self.orders) * sum(len(self.tiles(buffered)[0]) for buffered in (True, False))

    def holdable(self, tiles: tuple[Ints, Ints, Ints]) -> dict[str, Bools]:
        """Return, per operand, which double-buffered candidates can hold it."""
        trips_m, trips_k, trips_n = self.trips(tiles)
        can = self.spec.front_end.keeps_operands
        return {
            "input": can & (trips_m * trips_k <= HELD_TILES),
            "weight": can & (trips_k * trips_n <= HELD_TILES),
        }

    def holding(self, loop: HardwareLoop) -> HardwareLoop:
        """Return ``loop`` with every operand held that can be."""
        if not loop.double_buffered:
            return loop
        alone = batch_of(loop)
        can = self.holdable((alone.tile_m, alone.tile_k, alone.tile_n))
        return replace(loop, held=frozenset(name for name, mask in can.items() if mask[0]))

    def nest(self, loop: HardwareLoop) -> LoopNest:
        """Return the loop nest of a mapping, as it is printed and written to files."""
        return loop.nest((self.problem.name,), self.problem.dims, self.spec.name, self.side)

    def loop(self, nest: LoopNest) -> HardwareLoop:
        """Return the mapping that a loop nest stands for.

        Raises
        ------
        MappingError
            When the nest is for another problem or machine, or is no hardware loop.
        """
        require_for(nest, problem=self.problem.dims, machine=self.spec.name)
        return hardware_loop_of(nest)

    def tile_counts(self, loop: HardwareLoop) -> tuple[int, int, int]:
        """Return the number of tiles of one mapping along m, k, n."""
        m, k, n = (-(-blocks // tile) for blocks, tile in zip(self.blocks, loop.tiles, strict=True))
        return m, k, n

    def trips(self, tiles: tuple[Ints, Ints, Ints]) -> tuple[Ints, Ints, Ints]:
        """Return the number of tiles along m, k, n (columns)."""
        m, k, n = (-(-blocks // tile) for blocks, tile in zip(self.blocks, tiles, strict=True))
        return m, k, n

    def batches(self, rows: int = 8192) -> Iterator[Batch]:
        """Yield the candidates worth evaluating, at most ``rows`` at a time.

        Left out are orders that differ by loops of one tile (the same program), and operands that are not held although
        they could be (more loads, otherwise the same).
        """
        for buffered in (True, False):
            subsets = _subsets(buffered and self.spec.front_end.keeps_operands)
            tiles = self.tiles(buffered)
            trips = self.trips(tiles)
            pattern = (trips[0] > 1) * 4 + (trips[1] > 1) * 2 + (trips[2] > 1)
            holdable = self.holdable(tiles)
            for order, held in itertools.product(self.orders, subsets):
                mask = _CANONICAL[order][pattern]
                # A tile in the whole memories leaves no half untouched, so that nothing can be held there.
                for name in ("input", "weight"):
                    if buffered:
                        mask = mask & (holdable[name] == (name in held))
                chosen = Batch(order, buffered, held, tiles[0][mask], tiles[1][mask], tiles[2][mask])
                yield from (chosen.take(slice(at, at + rows)) for at in range(0, len(chosen), rows))

    def violations(self, loop: HardwareLoop) -> tuple[Violation, ...]:
        """Return every inequality that ``loop`` breaks."""
        return (*self._sizes(loop), *self._complete_rows(loop), *self._capacity(loop), *self._held(loop))

    def _sizes(self, loop: HardwareLoop) -> Iterator[Violation]:
        for name, tile, most in zip(DIMS, loop.tiles, self.blocks, strict=True):
            if tile > most:
                yield Violation(f"tile_{name}", "problem", tile, most, "blocks", f"{name} has {most} blocks")

    def _complete_rows(self, loop: HardwareLoop) -> Iterator[Violation]:
        if not self.problem.whole_rows:
            return
        tiles_m, tiles_k, tiles_n = self.tile_counts(loop)
        kernel = self.problem.activation
        if tiles_n > 1:
            hint = f"{kernel} needs whole rows: tile n={self.problem.n}"
            yield Violation("complete rows", "tiles along n", tiles_n, 1, "tiles", hint)
        if spills(loop.order, tiles_m, tiles_k, tiles_n):
            hint = f"{kernel} needs complete sums: make k the innermost loop"
            yield Violation("complete sums", "tiles along m inside k", tiles_m, 1, "tiles", hint)

    def _capacity(self, loop: HardwareLoop) -> Iterator[Violation]:
        m, k, n = loop.tiles
        parts = 2 if loop.double_buffered else 1
        shape = f"tile m={m * self.side} k={k * self.side} n={n * self.side}"
        place = "half of the memory" if loop.double_buffered else "the whole memory"
        reserved = self.problem.reserved_rows
        for resource, memory, taken, demand_blocks, hint in (
            ("scratchpad", self.spec.scratchpad, reserved, scratchpad_blocks(m, k, n), "reduce the k, m or n extent"),
            ("accumulator", self.spec.accumulator, 0, accumulator_blocks(m, n), "reduce the m or n extent"),
        ):
            demand = demand_blocks * self.side * memory.row_bytes
            bound = (memory.rows - taken) // parts * memory.row_bytes
            if demand > bound:
                rule = f"{shape} in {place}"
                yield Violation(
                    rule, resource, demand, bound, "bytes", hint + (", or drop double buffering" if parts == 2 else "")
                )

    def _held(self, loop: HardwareLoop) -> Iterator[Violation]:
        if not loop.held:
            return
        if not self.spec.front_end.keeps_operands:
            yield Violation(
                "held operand", self.spec.name, len(loop.held), 0, "operands", "this machine reloads every tile"
            )
        if not loop.double_buffered:
            yield Violation("held operand", "whole memory", len(loop.held), 0, "operands", "hold only in halves")
        m, k, n = self.tile_counts(loop)
        for name, tiles in (("input", m * k), ("weight", k * n)):
            if name in loop.held and tiles > HELD_TILES:
                yield Violation(f"held {name}", "scratchpad halves", tiles, HELD_TILES, "tiles", "use larger tiles")

    def census(self) -> dict[str, int]:
        """Return how many tried candidates break each memory's capacity; ``"legal"`` counts those that break none."""
        all_m, all_k, all_n = self.extents
        broken: Counter[str] = Counter()
        for buffered in (True, False):
            scratchpad, accumulator = self.capacity_blocks(buffered)
            tile_m, tile_n = all_m[:, None], all_n[None, :]
            depth = np.searchsorted(all_k, deepest_k(tile_m, tile_n, scratchpad), side="right")
            narrow = accumulator_blocks(tile_m, tile_n) > accumulator
            broken["scratchpad"] += int((len(all_k) - depth).sum()) * len(self.orders)
            broken["accumulator"] += int(narrow.sum()) * len(all_k) * len(self.orders)
            broken["legal"] += int(depth[~narrow].sum()) * len(self.orders)
        return dict(broken)


def check(loop: HardwareLoop, problem: MatmulProblem, spec: HardwareSpec) -> None:
    """Raise a `MappingError` with every violation of ``loop``."""
    violations = MapSpace(problem, spec).violations(loop)
    if violations:
        raise MappingError(f"{problem.name}: mapping does not fit {spec.name}", violations)


def nothing_fits(space: MapSpace) -> MappingError:
    """Return the error for an empty space: the smallest tile's inequalities and the census."""
    across = space.blocks[2] if space.problem.whole_rows else 1
    smallest = HardwareLoop(1, 1, across, double_buffered=False)
    census = ", ".join(f"{name}: {count:,}" for name, count in space.census().items())
    return MappingError(
        f"{space.problem.name}: no tile fits {space.spec.name} (candidates by broken rule: {census})",
        space.violations(smallest),
    )


def _subsets(allowed: bool) -> tuple[frozenset[str], ...]:
    names: tuple[tuple[str, ...], ...] = ((), ("input",), ("weight",), ("input", "weight")) if allowed else ((),)
    return tuple(frozenset(chosen) for chosen in names)


def _canonical() -> dict[str, Bools]:
    """Per order and pattern of real loops (bits m, k, n): no earlier order visits the tiles in the same sequence."""
    table = {order: np.zeros(8, dtype=bool) for order in ORDERS}
    for pattern in range(8):
        real = {name for name, bit in zip(DIMS, (4, 2, 1), strict=True) if pattern & bit}
        sequences: set[str] = set()
        for order in ORDERS:
            visited = "".join(name for name in order if name in real)
            table[order][pattern] = visited not in sequences
            sequences.add(visited)
    return table


_CANONICAL = _canonical()
