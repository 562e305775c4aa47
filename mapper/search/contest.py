"""Whom of the contenders to simulate, and when the winner is certain enough.

The proved best of the estimate goes first. What simulations say about the estimate is expected of mappings like those
that were simulated (`mapper.search.expectations`). So every other contender has a hopeful guess: its estimate with the
least error to be expected, never below the steps of the array, nor below what the DRAM must bring. One of every kind
(buffering, innermost loop) is simulated, if it is within `ERROR_BAND`: errors of two kinds differ by more than that for
one matmul in seven. Then comes the most hopeful, until none hopes to win:

    near the floor    the best is so close to what no mapping can stay below that only ties are left to settle
    no hope           no guess is better than the best by more than a tie
    dear              `MOST` were simulated, fewer for less to win, or `LONG_SECONDS` and twice the first are spent

Energy is certain without a simulation, but for what leaks in the cycles: it follows from counts, once the requests are
replayed through the caches. So whoever is chosen for the energy in its guess is weighed first, and only simulated if it
is still the one to choose.

While simulations are cheap, more hope is enough, until `CHEAP_SECONDS` are spent, and none at all until `FREE_SECONDS`
are, or `MOST_SHORT` short ones were simulated. When nobody has hope left, those that are most like the best come in,
then those of wider bands, as long as simulations are free. At last come those that may win a tie, because they need
less energy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mapper.cost.objective import Objective, cycles_weight, objective_value, tie_metric
from mapper.cost.simulation_limits import SECONDS_PER_PROGRAM
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.search.contenders import ERROR_BAND, TIE, Contender, Contenders
from mapper.search.expectations import Expectations
from simulator.arrays import Bools, Floats

CLOSE = 1.5 * TIE
"""How near to the floor there is nothing left to win: filling and draining the machine take some of it [fraction]."""

HOPE, CHEAP_HOPE = 1.0, 2.0
"""Deviations that a guess is better than expected: as a rule, and while simulations are cheap."""

MOST, MOST_TIES = 10, 3
"""Simulations that hope for a better objective, and for less energy at the same one."""

WORTH_MOST = 0.025
"""Gain that is worth the most simulations; a smaller one is worth proportionally fewer [fraction]."""

LONG_SECONDS = 4.0
"""CPU time of simulations, beside twice that of the first, after which hope is not enough [s]."""

CHEAP_SECONDS, FREE_SECONDS = 0.8, 0.6
"""CPU time of simulations that may hope for more, and of those that need no hope [s]."""

WILD = 2.0
"""How far energies are off for no likeness to be believed [times the usual variance]; the matmuls of BERT at 128 and
512 tokens and of GPT-2 at 256 are at 0.5 to 1.4 on `gemmini_ibert`."""

SHORT_SECONDS, MOST_SHORT = 0.07, 48
"""Where the first simulation is so short [s], those of up to twice that need no hope either, until there were so many:
beside similar tiles the estimate of a few dozen loops is off by 3 to 6 % (63x298x2 with an array of 2), which no
likeness tells."""

WIDER_BANDS = (2 * ERROR_BAND, 4 * ERROR_BAND)
"""Bands in which there are more contenders, for those that need no hope when nobody else is left [fraction]."""

MOST_DOUBT = 2.5
"""How much more of both there is where the estimate is further off than usual."""

FULL_POTENTIAL = 0.15
"""What might be won down to the floor at most for all of that time to be worth it; less time for less [fraction]."""

HOPELESS = 0.2
"""How much worse than the best a hopeful guess may be that is looked at while it is free [fraction]."""

MOST_WEIGHED, PER_WEIGHING = 32, 0.2
"""Mappings whose energy is replayed even if that is not cheap, and the time that one takes of a simulation's."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A contender that was simulated, and what the simulation says of it."""

    contender: Contender
    cycles: float
    energy_pj: float
    dram_bytes: int

    def value(self, objective: Objective) -> float:
        """Return the objective [cycles, pJ, or their product]."""
        return objective_value(objective, self.cycles, self.energy_pj)


def _kind(loop: HardwareLoop) -> tuple[bool, str]:
    """Return what decides most of the error of an estimate: the buffering, and the loop that runs innermost."""
    return loop.double_buffered, loop.order[-1]


def _octave(loop: HardwareLoop) -> tuple[bool, str, int, int, int]:
    """Return the kind of a mapping and its tiles to factors of two."""
    tile_m, tile_k, tile_n = (tile.bit_length() for tile in loop.tiles)
    return *_kind(loop), tile_m, tile_k, tile_n


def _cut(loop: HardwareLoop) -> tuple[bool, str, int, int]:
    """Return the kind of a mapping and how it cuts k and n: rows of operands are of such lengths."""
    return *_kind(loop), loop.tile_k, loop.tile_n


class Contest:
    """Asks for simulations one by one and knows the winner.

    Parameters
    ----------
    contenders
        Who may win.
    weigh
        Returns the dynamic energy of a mapping by counting what it does [pJ].
    least_cycles
        What no mapping stays below in the caches in which they are simulated.
    """

    def __init__(
        self, contenders: Contenders, weigh: Callable[[HardwareLoop], float], least_cycles: float = 0.0
    ) -> None:
        self._contenders = contenders
        self._weigh = weigh
        self._objective: Objective = contenders.objective
        weight = cycles_weight(contenders.objective)
        self._by_energy, self._by_energy_alone = weight < 1.0, weight == 0.0
        self._floor = contenders.floor(least_cycles)
        self._expected = Expectations(contenders.objective, contenders.static_pj_per_cycle, least_cycles)
        self._expected.join(contenders.near)
        self._bands = [ERROR_BAND, *WIDER_BANDS]
        """Those whose contenders have not come in."""
        self._around: set[HardwareLoop] = set()
        """Mappings whose like has come in."""
        self._hopeful = self._ties = self._weighed = 0
        self._weighing_seconds = 0.0
        self.simulated: list[Tried] = []

    def places(self) -> dict[HardwareLoop, int]:
        """Return the place of every contender by the estimate, 1 for the proved best."""
        # The sort is stable: where values are equal, the order of the proof stays.
        everyone = sorted(self._expected.rows, key=lambda row: row.value(self._objective))
        return {row.loop: place for place, row in enumerate(everyone, start=1)}

    @property
    def winner(self) -> Tried:
        """The best; among those that are as good within `TIE`, the one with the least energy, then DRAM traffic.

        Where energy is the objective, the fastest of them.
        """
        limit = self._best * (1.0 + TIE)
        tied = (row for row in self.simulated if row.value(self._objective) <= limit)
        return min(tied, key=lambda row: (tie_metric(self._objective, row.cycles, row.energy_pj), row.dram_bytes))

    def next(self) -> Contender | None:
        """Return whom to simulate next, None when the winner is settled."""
        if len(self.simulated) < min(self._contenders.wanted, len(self._contenders.near)):
            return self._expected.rows[len(self.simulated)]
        chosen = None
        if self._best > self._floor * (1.0 + CLOSE):
            chosen = self._hoping()
        if chosen is None:
            chosen = self._certain(self._next_tie)
            self._ties += chosen is not None
        return None if chosen is None else self._expected.rows[chosen]

    def tell(self, contender: Contender, cycles: int, energy_pj: float, dram_bytes: int) -> None:
        """Hear what the simulation of a contender says."""
        self.simulated.append(Tried(contender, float(cycles), energy_pj, dram_bytes))
        self._expected.tell(contender, float(cycles), energy_pj)

    def correct(self, cycles: int, energy_pj: float, dram_bytes: int) -> None:
        """Hear what a closer simulation says of the winner, which may be another one then."""
        winner = self.winner
        self.simulated[self.simulated.index(winner)] = Tried(winner.contender, float(cycles), energy_pj, dram_bytes)
        self._expected.tell(winner.contender, float(cycles), energy_pj)

    def _hoping(self) -> int | None:
        """Return who has most to hope for; others come in before nobody has."""
        if ERROR_BAND in self._bands:
            self._join_next_band()
        chosen = self._asked(self._next_kind)
        while chosen is None:
            chosen = self._next_with_hope()
            if chosen is None and not self._have_more_come():
                return self._asked(self._next_free)
        return chosen

    def _have_more_come(self) -> bool:
        """Whether there are more contenders: the like of the best, then those of a wider band."""
        best = min(self.simulated, key=lambda row: row.value(self._objective)).contender
        if best.loop not in self._around and not self._is_dear():
            self._around.add(best.loop)
            # Those like it may be as much better than estimated as it is.
            self._expected.join(self._contenders.around(best.loop, max(self._best, best.value(self._objective))))
            return True
        if self._bands and self._are_free(np.array(SECONDS_PER_PROGRAM)):
            self._join_next_band()
            return True
        return False

    def _join_next_band(self) -> None:
        self._expected.join(self._contenders.far(self._best, self._bands.pop(0)))

    def _next_with_hope(self) -> int | None:
        chosen = self._asked(self._next_hopeful)
        self._hopeful += chosen is not None
        return self._asked(self._next_cheap) if chosen is None else chosen

    def _asked(self, choose: Callable[[], int | None]) -> int | None:
        return self._certain(choose) if self._by_energy else choose()

    def _certain(self, choose: Callable[[], int | None]) -> int | None:
        """Return whom a rule chooses when the energy of that one is certain."""
        while (row := choose()) is not None:
            if self._expected.is_weighed[row]:
                return row
            if self._is_weighing_over():
                return None
            self._weighed += 1
            self._weighing_seconds += PER_WEIGHING * float(self._expected.seconds[row])
            self._expected.weigh(row, self._weigh(self._expected.rows[row].loop))
        return None

    @property
    def _best(self) -> float:
        return min(row.value(self._objective) for row in self.simulated)

    def _hopes(self, hope: float) -> Floats:
        """Return the objective to expect of those that wait; once no more are replayed, of those that were."""
        values = self._expected.values(hope)
        is_open = self._expected.is_weighed if self._by_energy and self._is_weighing_over() else np.True_
        return np.where(is_open, values, np.inf)

    def _is_weighing_over(self) -> bool:
        return self._weighed >= MOST_WEIGHED and self._weighing_seconds > CHEAP_SECONDS

    def _spent(self) -> float:
        return sum(row.contender.seconds for row in self.simulated)

    def _is_dear(self) -> bool:
        return self._spent() > LONG_SECONDS + 2 * self.simulated[0].contender.seconds

    def _next_kind(self) -> int | None:
        """Return the best of a kind of which nothing is known, if a usual error might let it win."""
        if self._is_dear():
            return None
        if self._by_energy:
            self._certain(self._next_unlike)
        if self._by_energy_alone:
            return None
        known = {_kind(row.contender.loop) for row in self.simulated}
        values = np.where([_kind(row.loop) not in known for row in self._expected.rows], self._hopes(0.0), np.inf)
        row = int(np.argmin(values))
        return row if values[row] <= self._best * (1.0 + ERROR_BAND) else None

    def _next_unlike(self) -> int | None:
        """Return the best by the estimate of those like none whose energy is certain, if energies are far off.

        What others told must not keep it from being weighed: where sums spill or a cache is too small for the lines of
        a tile, energies are off by tens of per cent, and those of tiles a little smaller by none.
        """
        if self._expected.energy_doubt < WILD:
            return None
        kinds = [_octave(row.loop) for row in self._expected.rows]
        known = {kind for kind, is_weighed in zip(kinds, self._expected.is_weighed, strict=True) if is_weighed}
        values = np.where([kind not in known for kind in kinds], self._estimates(), np.inf)
        row = int(np.argmin(values))
        return row if values[row] <= self._best * (1.0 - TIE) else None

    def _next_hopeful(self) -> int | None:
        if self._is_dear():
            return None
        values = self._hopes(HOPE)
        row = int(np.argmin(values))
        gain = 1.0 - values[row] / self._best
        # An energy that was replayed is no hope.
        most = MOST if self._by_energy_alone else MOST * min(1.0, gain / WORTH_MOST)
        return row if gain > TIE and self._hopeful < most else None

    def _next_cheap(self) -> int | None:
        left = CHEAP_SECONDS * self._worth() - self._spent()
        seconds = self._expected.seconds
        values = np.where((seconds <= left) | self._are_few_and_short(seconds), self._hopes(CHEAP_HOPE), np.inf)
        row = int(np.argmin(values))
        return row if values[row] < self._best * (1.0 - TIE) else None

    def _next_free(self) -> int | None:
        """Return who is simulated without hope: in turns the most hopeful, the best by the estimate, or an unlike one.

        The like of a mapping does not always err like it, and of some kinds of tiles nobody may have told yet.
        """
        hopes = self._hopes(CHEAP_HOPE)
        is_open = (hopes < self._best * (1.0 + HOPELESS)) & self._are_free(self._expected.seconds)
        if not is_open.any():
            return None
        turn = len(self.simulated) % 4
        if turn == 2:
            is_open = self._unlike(is_open)
        return int(np.argmin(np.where(is_open, self._estimates() if turn else hopes, np.inf)))

    def _unlike(self, is_open: Bools) -> Bools:
        """Return which of some cut k and n, or have tiles of a size, as nobody who was simulated; all if none does."""
        for kind in (_cut, _octave):
            known = {kind(row.contender.loop) for row in self.simulated}
            is_new: Bools = is_open & [kind(row.loop) not in known for row in self._expected.rows]
            if is_new.any():
                return is_new
        return is_open

    def _estimates(self) -> Floats:
        """Return what the search says of every contender."""
        return np.array([row.value(self._objective) for row in self._expected.rows])

    def _are_free(self, seconds: Floats) -> Bools:
        """Whether simulations that take so long need no hope."""
        # Of an energy that was replayed a simulation tells nothing new.
        if self._by_energy_alone:
            return np.zeros(seconds.shape, dtype=np.bool_)
        left = FREE_SECONDS * self._worth() - self._spent()
        return (seconds <= left) | self._are_few_and_short(seconds)

    def _are_few_and_short(self, seconds: Floats) -> Bools:
        """Return which simulations are short, if there were not `MOST_SHORT` yet, of fewer for less to win."""
        is_short = self.simulated[0].contender.seconds <= SHORT_SECONDS
        is_few = len(self.simulated) < MOST_SHORT * min(1.0, self._worth())
        return (seconds <= 2 * SHORT_SECONDS) & (is_short and is_few)

    def _worth(self) -> float:
        """Return what share of the time for cheap simulations a matmul is worth."""
        potential = 1.0 - self._floor / self._best
        doubt = min(MOST_DOUBT, max(1.0, self._expected.doubt))
        return doubt * min(1.0, potential / FULL_POTENTIAL)

    def _next_tie(self) -> int | None:
        if self._ties == MOST_TIES:
            return None
        winner = self.winner
        worth = tie_metric(self._objective, winner.cycles, winner.energy_pj) * (1.0 - 2.0 * TIE)
        other = tie_metric(self._objective, *self._expected.metrics(0.0))
        other[self._expected.values(0.0) > self._best * (1.0 + TIE)] = np.inf
        row = int(np.argmin(other))
        return row if other[row] <= worth else None
