"""Who may win on the machine: mappings that the error of the estimate does not rule out, as different as can be.

The estimate proves its own optimum, and is wrong by some per cent, more for some ways of tiling than for others. So the
optimum comes with company. Near it stand those that the proof priced anyway:

    best          those that follow it
    frugal        as good within the tie, by the other metrics

and where that is not enough, others within `ERROR_BAND` of it:

    kinds         the first of every order and buffering, one block deep or more, in whole or half memories
    octaves       the first of those whose tiles are alike within a factor of two, and of those of them in whole lines
    objectives    the first by the other objectives
    library       the tile of Gemmini's own library, wherever it lies
    around        those that are most like the best by simulation

Nothing is simulated here: `mapper.search.contest` says whom to simulate, and when to stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mapper.cost import counts
from mapper.cost.model import CostModel, occupied_bytes
from mapper.cost.objective import OBJECTIVES, Objective, least_objective, objective_value, tie_metric
from mapper.cost.simulation_limits import MOST_SECONDS, simulation_seconds
from mapper.cost.sweep import BEATS
from mapper.lowering.gemmini_library import library_loop
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapspace.batch import Batch, batch_of
from mapper.search.exact.best_first import BestFirstSearch, Candidates
from mapper.search.exact.hardware_loops import Proved, proof_of
from simulator.arrays import Bools, Floats, Ints

ERROR_BAND = 0.10
"""How much better than estimated a mapping may be [fraction]: 19 of 20 random mappings are within that
(``tilewright validate --estimate``)."""

TIE = 0.005
"""Differences of the objective that decide nothing [fraction]: the other metrics do."""

BEST = 32
"""Candidates that stand because they follow the optimum."""

FRUGAL, OF_EACH_KIND, OF_EACH_OBJECTIVE, OCTAVES, AROUND = 8, 2, 4, 192, 512

PROMISING = 64
"""Members of each kind that get a closer bound."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A mapping that may win, and what the search takes it to cost."""

    loop: HardwareLoop
    cycles: float
    energy_pj: float
    floor_cycles: float
    """Cycles that it cannot stay below on the machine: the steps of the array."""
    seconds: float
    """CPU time that its simulation takes, roughly."""

    def value(self, objective: Objective) -> float:
        """Return what the search says of an objective [cycles, pJ, or their product]."""
        return objective_value(objective, self.cycles, self.energy_pj)


class Contenders:
    """Proves the optimum of the estimate and knows who else may win.

    Parameters
    ----------
    candidates
        All mappings of a matmul on a machine.
    objective
        What is minimised.
    wanted
        The best so many by the estimate are simulated in any case.

    Raises
    ------
    MappingError
        As `mapper.search.exact.hardware_loops.search`.
    """

    def __init__(self, candidates: Candidates, objective: Objective, wanted: int) -> None:
        self.objective: Objective = objective
        self.wanted = wanted
        self.space = candidates.space
        self._candidates = candidates
        best_first = BestFirstSearch(candidates, objective, min(max(wanted, BEST), candidates.count), None)
        best_first.run()
        self.proved: Proved
        self.proved, best = proof_of(best_first, candidates, objective)
        self._best = [row.number for row in best]
        self._priced = [np.concatenate(columns) for columns in zip(*best_first.priced, strict=True)]

    @property
    def static_pj_per_cycle(self) -> float:
        """What the die leaks [pJ]."""
        return self._candidates.model.energy.static_pj_per_cycle

    def floor(self, least_cycles: float) -> float:
        """Return the objective that no mapping can stay below: the steps of the array, or ``least_cycles``.

        Of energies there is no bound.
        """
        candidates = self._candidates
        cycles = min(float(candidates.rough_cycles(batch).min()) for batch in range(len(candidates.batches)))
        return least_objective(self.objective, max(cycles, least_cycles), lambda cycles: 0.0)

    @cached_property
    def near(self) -> tuple[Contender, ...]:
        """The best by the estimate, in its order, then the frugal ones."""
        numbers, cycles, energy = self._priced
        value = objective_value(self.objective, cycles, energy)
        tied = np.flatnonzero(value <= self.proved.value * (1.0 + TIE))
        other = tie_metric(self.objective, cycles, energy)
        frugal = numbers[tied[np.argsort(other[tied], kind="stable")[:FRUGAL]]]
        chosen = np.concatenate([self._best, np.setdiff1d(frugal, self._best)]).astype(np.int64)
        place = np.argsort(numbers)[np.searchsorted(np.sort(numbers), chosen)]
        rows = [self._with(*column) for column in zip(chosen, cycles[place], energy[place], strict=True)]
        # The first is what a search without company would say, whatever its length.
        return tuple(row for row in rows if row is rows[0] or row.seconds <= MOST_SECONDS)

    def _with(self, number: int, cycles: float, energy_pj: float) -> Contender:
        batch = batch_of(self._candidates.loop(number))
        model = self._candidates.model
        floor, seconds = model.rough_cycles(batch), simulation_seconds(batch, model.traffic)
        return Contender(batch.loop(0), float(cycles), float(energy_pj), float(floor[0]), float(seconds[0]))

    def far(self, simulated: float, band: float = ERROR_BAND) -> tuple[Contender, ...]:
        """Return those of other kinds and objectives, and the tile of the library.

        Parameters
        ----------
        simulated
            The best objective by simulation, above which nobody can win [cycles, pJ, or their product].
        band
            How much better than estimated they may be [fraction].
        """
        limit = max(self.proved.value, simulated) * (1.0 + band)
        numbers = np.unique(np.concatenate([*_Band(self._candidates, self.objective, limit).chosen()]))
        return self._short([*self._priced_now(numbers), *self._library()])

    def around(self, loop: HardwareLoop, value: float) -> tuple[Contender, ...]:
        """Return those that differ by at most a factor of two in each tile, within `ERROR_BAND` of a value."""
        candidates = self._candidates
        choices = loop.order, loop.double_buffered, loop.held
        all_choices = [(batch.order, batch.double_buffered, batch.held) for batch in candidates.batches]
        if choices not in all_choices:
            return ()
        batch = all_choices.index(choices)
        members = candidates.batches[batch]
        tiles = zip((members.tile_m, members.tile_k, members.tile_n), loop.tiles, strict=True)
        rows = np.flatnonzero(np.all([(column <= 2 * tile) & (2 * column >= tile) for column, tile in tiles], axis=0))
        least = candidates.bound(self.objective, batch, candidates.least_cycles(batch, rows), rows)
        is_open = least <= max(self.proved.value, value) * (1.0 + ERROR_BAND)
        return self._short(self._priced_now(_first(rows[is_open], least[is_open], AROUND) + candidates.starts[batch]))

    def _priced_now(self, numbers: Ints) -> list[Contender]:
        candidates = self._candidates
        batches = np.searchsorted(candidates.starts, numbers, side="right") - 1
        rows: list[Contender] = []
        for batch in np.unique(batches).tolist():
            members = candidates.take(batch, numbers[batches == batch] - candidates.starts[batch])
            rows += _contenders(members, candidates.model)
        return rows

    def _short(self, rows: list[Contender]) -> tuple[Contender, ...]:
        return tuple(row for row in rows if row.seconds <= MOST_SECONDS)

    def _library(self) -> Iterator[Contender]:
        space = self.space
        loop = library_loop(space)
        if not space.violations(loop):
            batch = batch_of(loop)
            # Its extents need not be among those that a search tries, for which tables of traffic are made.
            yield from _contenders(batch, CostModel.of(space.problem, space.spec, self._candidates.model.energy, batch))


def _contenders(members: Batch, model: CostModel) -> Iterator[Contender]:
    costs = model.costs(members)
    floor, seconds = model.rough_cycles(members), simulation_seconds(members, model.traffic)
    columns = (costs.cycles, costs.energy_pj, floor, seconds)
    for row, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        yield Contender(members.loop(row), *values)


class _Band:
    """Promising candidates of every kind whose bounds are below a limit."""

    def __init__(self, candidates: Candidates, objective: Objective, limit: float) -> None:
        self._candidates = candidates
        self._objective: Objective = objective
        self._limit = limit
        self._promises = [self._promise(batch) for batch in range(len(candidates.batches))]

    def chosen(self) -> Iterator[Ints]:
        """Yield the numbers of the first of each kind, of each octave, then of the first by each objective."""
        kinds = [kind for batch in range(len(self._candidates.batches)) for kind in self._kinds(batch)]
        for numbers, cycles, energy in kinds:
            yield _first(numbers, objective_value(self._objective, cycles, energy), OF_EACH_KIND)
        octaves = [self._octaves(batch) for batch in range(len(self._candidates.batches))]
        numbers, cycles, energy = (np.concatenate(columns) for columns in zip(*octaves, strict=True))
        yield _first(numbers, objective_value(self._objective, cycles, energy), OCTAVES)
        numbers, cycles, energy = (np.concatenate(columns) for columns in zip(*kinds, *octaves, strict=True))
        numbers, place = np.unique(numbers, return_index=True)
        for objective in OBJECTIVES:
            yield _first(numbers, objective_value(objective, cycles[place], energy[place]), OF_EACH_OBJECTIVE)

    def _kinds(self, batch: int) -> Iterator[tuple[Ints, Floats, Floats]]:
        """Yield number, least cycles and energy of the promising members of each kind."""
        members, spec = self._candidates.batches[batch], self._candidates.space.spec
        deep = members.tile_k > 1
        operands, results = occupied_bytes(members, spec)
        # What a machine with half of the memory would choose must not be missed on the one with all of it.
        smaller = 2 * operands <= spec.scratchpad.capacity_bytes, 2 * results <= spec.accumulator.capacity_bytes
        promise, moved = self._promises[batch]
        for kind in (deep, ~deep, *smaller):
            rows = np.flatnonzero(kind & (promise <= self._limit))
            yield self._bounded(batch, rows[np.lexsort((moved[rows], promise[rows]))[:PROMISING]])

    def _octaves(self, batch: int) -> tuple[Ints, Floats, Floats]:
        """Return number, least cycles and energy of the most promising in each octave of tiles."""
        members = self._candidates.batches[batch]
        promise, moved = self._promises[batch]
        rows = np.flatnonzero(promise <= self._limit)
        rows = rows[np.lexsort((moved[rows], promise[rows]))]
        tile_m, tile_k, tile_n = (tile[rows] for tile in (members.tile_m, members.tile_k, members.tile_n))
        octave = [np.log2(tile).astype(np.int64) for tile in (tile_m, tile_k, tile_n)]
        spec = self._candidates.space.spec
        # Tiles of whole lines share none with their neighbours, which estimate and machine may see differently.
        lines = [(tile * spec.array.cols % spec.line_bytes == 0).astype(np.int64) for tile in (tile_k, tile_n)]
        _, first = np.unique(np.ravel_multi_index((*octave, *lines), (64, 64, 64, 2, 2)), return_index=True)
        return self._bounded(batch, rows[first])

    def _bounded(self, batch: int, rows: Ints) -> tuple[Ints, Floats, Floats]:
        candidates = self._candidates
        cycles = candidates.least_cycles(batch, rows)
        energy = candidates.least_energy(batch, cycles, rows)
        inside: Bools = objective_value(self._objective, cycles, energy) <= self._limit
        return rows[inside] + candidates.starts[batch], cycles[inside], energy[inside]

    def _promise(self, batch: int) -> tuple[Floats, Ints]:
        """Return bounds of the objective that take few operations, and the bus beats of the loads."""
        candidates, members = self._candidates, self._candidates.batches[batch]
        traffic = candidates.model.traffic
        visits = counts.count_visits(members, traffic.problem, traffic.spec)
        loads, stores = (totals[:, BEATS] for totals in counts.dma_totals(members, visits, traffic))
        cycles = np.maximum(candidates.rough_cycles(batch), np.maximum(loads, stores))
        return candidates.bound(self._objective, batch, cycles), loads


def _first(numbers: Ints, values: Floats, most: int) -> Ints:
    return numbers[np.argsort(values, kind="stable")[:most]]
