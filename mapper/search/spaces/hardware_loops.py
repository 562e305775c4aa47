"""Gemmini's hardware loops as a space of integer rows: what `mapper.mapspace.hardware_loops` enumerates, drawn,
varied and priced.

A row holds the places of the three tile extents among those that are tried, the place of the order, and whether tiles
are double-buffered. Operands are held whenever they can be, which is no choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.costs import Costs
from mapper.cost.model import CostModel
from mapper.cost.objective import Goal
from mapper.cost.simulation_limits import check_problem
from mapper.graph.capabilities import require
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import ORDERS, Batch
from mapper.mapspace.hardware_loops import MapSpace, nothing_fits
from mapper.search.exact import hardware_loops
from mapper.search.mapping_result import MappingResult
from mapper.search.options import SearchOptions
from mapper.search.proofs import prove_hardware_loops
from mapper.search.space import Floor, Scope
from simulator.arrays import Bools, Ints, Rows
from simulator.tile_footprint import accumulator_blocks, scratchpad_blocks

M, K, N, ORDER, BUFFERED = range(5)
"""Columns of a row."""

REACH = 3.0
"""Largest change of a tile extent by one step [factor of 2]: large enough to leave a basin, rarely used whole."""


@dataclass(frozen=True)
class LoopSpace:
    """All hardware-loop mappings of one problem on one machine, and what they cost."""

    problem: MatmulProblem
    spec: HardwareSpec
    energy: EnergyModel

    @cached_property
    def maps(self) -> MapSpace:
        """All hardware loops of the problem.

        Raises
        ------
        MappingError
            For a machine that this version does not lower for, and a problem that is too large to simulate.
        """
        require(self.spec)
        check_problem(self.problem, self.spec)
        return MapSpace(self.problem, self.spec)

    @cached_property
    def model(self) -> CostModel:
        """What they cost by the estimate."""
        return CostModel.of(self.problem, self.spec, self.energy)

    def __getstate__(self) -> dict[str, object]:
        self.model  # noqa: B018 - made once and sent along, so that no worker process makes it again
        return self.__dict__

    @property
    def size(self) -> int:
        return self.maps.size

    def describe(self) -> str:
        return self.maps.describe()

    def scope(self) -> Scope:
        return Scope(f"{self.maps.legal:,} legal mappings")

    def prove(self, goal: Goal, options: SearchOptions) -> MappingResult:
        """Return the proved optimum or front."""
        return prove_hardware_loops(self.problem, self.spec, self.energy, goal, options)

    @cached_property
    def _extents(self) -> tuple[Ints, Ints, Ints]:
        return self.maps.extents

    @cached_property
    def _tiles(self) -> tuple[Rows, int]:
        """Places of every tile that fits: first the double-buffered ones, whose number is returned as well."""
        columns = []
        for buffered in (True, False):
            tiles = self.maps.tiles(buffered)
            columns.append(self._places(tiles))
        return np.concatenate(columns), len(columns[0])

    def _places(self, tiles: tuple[Ints, Ints, Ints]) -> Rows:
        return np.stack(
            [np.searchsorted(extents, tile) for extents, tile in zip(self._extents, tiles, strict=True)], axis=1
        )

    def sample(self, count: int, random: Generator) -> Rows:
        tiles, buffered = self._tiles
        if not len(tiles):
            raise nothing_fits(self.maps)
        drawn = random.integers(len(tiles), size=count)
        order = random.integers(len(self.maps.orders), size=count)
        return np.column_stack([tiles[drawn], order, drawn < buffered]).astype(np.int64)

    def neighbours(self, rows: Rows, random: Generator) -> Rows:
        """Move one or two tile extents, or change the order or the buffering; shrink what no longer fits."""
        count = len(rows)
        new = rows.copy()
        kind = random.random(count)
        for share, dims in ((0.8, 1), (0.4, 1)):  # below 0.4 two dimensions move
            dim = random.integers(3, size=count)
            chosen = kind < share
            self._move(new, chosen, dim, random, dims)
        turn = (kind >= 0.8) & (kind < 0.93)
        new[turn, ORDER] = random.integers(len(self.maps.orders), size=int(turn.sum()))
        flip = kind >= 0.93
        new[flip, BUFFERED] = 1 - new[flip, BUFFERED]
        return self._repaired(new, random)

    def _move(self, rows: Rows, chosen: Bools, dim: Ints, random: Generator, least: int) -> None:
        """Move the extents of ``dim`` by at least ``least`` places, small moves most often."""
        count = len(rows)
        factor = 2.0 ** (REACH * random.random(count) ** 3)
        up = random.random(count) < 0.5
        for index, extents in enumerate(self._extents):
            mask = chosen & (dim == index)
            if not mask.any():
                continue
            at = rows[mask, index]
            extent = extents[at].astype(np.float64)
            wanted = np.where(up[mask], extent * factor[mask], extent / factor[mask])
            place = np.searchsorted(extents, wanted)
            place = np.where(up[mask], np.maximum(place, at + least), np.minimum(place, at - least))
            rows[mask, index] = np.clip(place, 0, len(extents) - 1)

    def crossover(self, left: Rows, right: Rows, random: Generator) -> Rows:
        """Take each choice from one of both."""
        return self._repaired(np.where(random.random(left.shape) < 0.5, left, right), random)

    def _repaired(self, rows: Rows, random: Generator) -> Rows:
        """Shrink tiles that do not fit, a random extent at a time, by a quarter."""
        while True:
            wrong = np.flatnonzero(~self.legal(rows))
            if not len(wrong):
                return rows
            dim = random.integers(3, size=len(wrong))
            smallest = (rows[wrong, :3] == 0).all(axis=1)
            rows[wrong[smallest], BUFFERED] = 0
            rows[wrong, dim] = rows[wrong, dim] * 3 // 4

    def legal(self, rows: Rows) -> Bools:
        inside = np.ones(len(rows), dtype=bool)
        for column, size in enumerate([*map(len, self._extents), len(self.maps.orders), 2]):
            inside &= (rows[:, column] >= 0) & (rows[:, column] < size)
        m, k, n = self._values(np.where(inside[:, None], rows, 0))
        fits = np.zeros(len(rows), dtype=bool)
        for buffered in (True, False):
            scratchpad, accumulator = self.maps.capacity_blocks(buffered)
            mask = rows[:, BUFFERED] == buffered
            fits |= mask & (scratchpad_blocks(m, k, n) <= scratchpad) & (accumulator_blocks(m, n) <= accumulator)
        return inside & fits

    def _values(self, rows: Rows) -> tuple[Ints, Ints, Ints]:
        """Tile extents [blocks]."""
        all_m, all_k, all_n = self._extents
        return all_m[rows[:, M]], all_k[rows[:, K]], all_n[rows[:, N]]

    def walk(self, most: int) -> Iterator[Rows]:
        for batch in self.maps.batches(most):
            places = self._places((batch.tile_m, batch.tile_k, batch.tile_n))
            fixed = np.array([ORDERS.index(batch.order), batch.double_buffered], dtype=np.int64)
            yield np.column_stack([places, np.broadcast_to(fixed, (len(batch), 2))]).astype(np.int64)

    def costs(self, rows: Rows) -> Costs:
        tiles = self._values(rows)
        group = self._groups(rows, tiles)
        cycles, energy = np.empty(len(rows)), np.empty(len(rows))
        footprint = np.empty(len(rows), dtype=np.int64)
        for key in np.unique(group).tolist():
            mask = group == key
            priced = self.model.costs(self._batch(key, tiles, mask))
            cycles[mask], energy[mask], footprint[mask] = priced.cycles, priced.energy_pj, priced.footprint_bytes
        return Costs(cycles, energy, footprint)

    def _groups(self, rows: Rows, tiles: tuple[Ints, Ints, Ints]) -> Ints:
        """Number of the batch each row belongs to: order, buffering and held operands."""
        buffered = rows[:, BUFFERED].astype(bool)
        holdable = self.maps.holdable(tiles)
        held = (holdable["input"] & buffered) * 2 + (holdable["weight"] & buffered)
        groups: Ints = rows[:, ORDER] * 8 + rows[:, BUFFERED] * 4 + held
        return groups

    @staticmethod
    def _batch(key: int, tiles: tuple[Ints, Ints, Ints], mask: Bools) -> Batch:
        held = frozenset(name for name, bit in (("input", 2), ("weight", 1)) if key & bit)
        m, k, n = (tile[mask] for tile in tiles)
        return Batch(ORDERS[key // 8], bool(key & 4), held, m, k, n)

    def floor(self) -> Floor:
        return Floor(*hardware_loops.lower_bound(self.problem, self.spec, self.energy))

    def mapping(self, row: tuple[int, ...]) -> LoopNest:
        m, k, n = (int(column[0]) for column in self._values(np.array([row], dtype=np.int64)))
        loop = HardwareLoop(m, k, n, ORDERS[row[ORDER]], bool(row[BUFFERED]))
        return self.maps.nest(self.maps.holding(loop))
