"""Whom of the contenders to simulate, and when the winner is certain enough.

The proved best of the estimate goes first. What its simulation says about the estimate is expected of its like: the
nearer two mappings are (tile, order, buffering), the closer the errors of their estimates. So of every other contender
there is a hopeful guess, the estimate times the error of its nearest simulated neighbour, better by as much as it is
unlike that one, and never below the steps of the array. The most hopeful is simulated next, until nobody hopes to win:

    near the floor    the best is so close to what no mapping can stay below that only ties are left to settle
    no hope           no guess is better than the best by more than a tie
    dear              `MOST` were simulated, fewer for less to win, or `LONG_SECONDS` and twice the first are spent

Energy is certain without a simulation: it follows from counts, once the requests are replayed through the caches. So
whoever is chosen for the energy in its guess is weighed first, and only simulated if it is still the one to choose.

While simulations are cheap, guesses need not be trusted: the most promising ones are simulated until `CHEAP_SECONDS`
are spent. At last come those that may win a tie, because they need less energy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from mapper.cost.objective import Objective, cycles_weight, objective_value, tie_metric
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.search.contenders import ERROR_BAND, TIE, Contender, Contenders

CLOSE = 1.5 * TIE
"""How near to the floor there is nothing left to win: filling and draining the machine take some of it [fraction]."""

MOST, MOST_TIES = 10, 3
"""Simulations that hope for a better objective, and for less energy at the same one."""

WORTH_MOST = 0.025
"""Gain that is worth the most simulations; a smaller one is worth proportionally fewer [fraction]."""

LONG_SECONDS = 4.0
"""CPU time of simulations, beside twice that of the first, after which hope is not enough [s]."""

CHEAP_SECONDS = 0.15
"""CPU time of simulations that need no hope [s]."""

MOST_CHEAP = 48
"""Such simulations at most."""

MOST_WEIGHED = 32
"""Mappings whose energy is replayed; one takes a tenth of a simulation."""

NOISE = 0.2
"""How much worse than the best a guess may be that is looked at while it is cheap [fraction]."""

SLOPE = 0.015
"""How much the errors of two estimates differ per unit of distance [fraction]."""

ENERGY_NOISE = 0.03
"""How far the energies of the nearest mappings may be off, by lines that the L2 keeps or loses [fraction]."""

PER_DOUBLING = (0.5, 1.0, 0.5)
"""Distance of tiles per factor of two along m, k, n. How deep a tile is decides which loads share a line."""

OTHER_ORDER, OTHER_INNERMOST, OTHER_BUFFERING, OTHER_HELD = 0.5, 2.0, 3.0, 1.0
"""Distances of other choices; orders with another innermost loop differ in what is loaded again."""


def distance(one: HardwareLoop, other: HardwareLoop) -> float:
    """Return how unlike two mappings are for the estimate: 0 for equal ones."""
    tiles = zip(PER_DOUBLING, one.tiles, other.tiles, strict=True)
    unlike = sum(weight * abs(math.log2(mine) - math.log2(its)) for weight, mine, its in tiles)
    if one.order != other.order:
        unlike += OTHER_ORDER if one.order[-1] == other.order[-1] else OTHER_INNERMOST
    return (
        unlike
        + OTHER_BUFFERING * (one.double_buffered != other.double_buffered)
        + OTHER_HELD * (one.held != other.held)
    )


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


class Contest:
    """Asks for simulations one by one and knows the winner.

    Parameters
    ----------
    contenders
        Who may win.
    weigh
        Returns the energy of a mapping by counting what it does [pJ].
    """

    def __init__(self, contenders: Contenders, weigh: Callable[[HardwareLoop], float]) -> None:
        self._contenders = contenders
        self._weigh = weigh
        self._energy_pj: dict[HardwareLoop, float] = {}
        self._needs_energy = cycles_weight(contenders.objective) < 1.0
        self._objective: Objective = contenders.objective
        self._waiting = list(contenders.near)
        self._far_wait = True
        self._due = contenders.wanted
        self._hopeful = 0
        self._ties = 0
        self._nearest: dict[HardwareLoop, tuple[float, Tried]] = {}
        self.simulated: list[Tried] = []

    def places(self) -> dict[HardwareLoop, int]:
        """Return the place of every contender by the estimate, 1 for the proved best."""
        everyone = [*self._contenders.near, *(() if self._far_wait else self._contenders.far)]
        # The sort is stable: where values are equal, the order of the proof stays.
        everyone.sort(key=lambda row: row.value(self._objective))
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
        if len(self.simulated) < self._due and self._waiting:
            return self._waiting[0]
        if self._best > self._contenders.floor * (1.0 + CLOSE):
            if self._far_wait:
                self._far_wait = False
                self._join(self._contenders.far)
            chosen = self._weighed(self._next_hopeful) if self._needs_energy else self._next_hopeful()
            self._hopeful += chosen is not None
            chosen = chosen or self._next_cheap()
            if chosen is not None:
                return chosen
        chosen = self._weighed(self._next_tie)
        self._ties += chosen is not None
        return chosen

    def _weighed(self, choose: Callable[[], Contender | None]) -> Contender | None:
        """Return whom a rule chooses when the energy of that one is certain."""
        while (row := choose()) is not None:
            if row.loop in self._energy_pj or len(self._energy_pj) == MOST_WEIGHED:
                return row
            self._energy_pj[row.loop] = self._weigh(row.loop)
        return None

    def tell(self, contender: Contender, cycles: int, energy_pj: float, dram_bytes: int) -> None:
        """Hear what the simulation of a contender says."""
        told = Tried(contender, float(cycles), energy_pj, dram_bytes)
        self.simulated.append(told)
        self._waiting.remove(contender)
        for row in self._waiting:
            self._compare(row, told)

    def _join(self, others: tuple[Contender, ...]) -> None:
        self._waiting += others
        for row in others:
            for told in self.simulated:
                self._compare(row, told)

    def _compare(self, row: Contender, told: Tried) -> None:
        unlike = distance(row.loop, told.contender.loop)
        if row.loop not in self._nearest or unlike < self._nearest[row.loop][0]:
            self._nearest[row.loop] = unlike, told

    @property
    def _best(self) -> float:
        return min(row.value(self._objective) for row in self.simulated)

    def _guess(self, row: Contender, hope: float = 1.0) -> tuple[float, float]:
        """Return cycles and energy to expect of a contender; ``hope`` 1 is hopeful, 0 sober."""
        unlike, told = self._nearest[row.loop]
        better = hope * min(ERROR_BAND, SLOPE * unlike)
        cycles = row.cycles * (1.0 - better) * told.cycles / told.contender.cycles
        energy_pj = self._energy_pj.get(row.loop)
        if energy_pj is None:
            better = max(better, hope * ENERGY_NOISE)
            energy_pj = row.energy_pj * (1.0 - better) * told.energy_pj / told.contender.energy_pj
        return max(row.floor_cycles, cycles), energy_pj

    def _guessed(self, row: Contender, hope: float) -> float:
        return objective_value(self._objective, *self._guess(row, hope))

    def _spent(self) -> float:
        return sum(row.contender.seconds for row in self.simulated)

    def _next_hopeful(self) -> Contender | None:
        if not self._waiting or self._spent() > LONG_SECONDS + 2 * self.simulated[0].contender.seconds:
            return None
        row = min(self._waiting, key=lambda row: (self._guessed(row, 1.0), self._guessed(row, 0.0)))
        gain = 1.0 - self._guessed(row, 1.0) / self._best
        if gain <= TIE or self._hopeful >= MOST * min(1.0, gain / WORTH_MOST):
            return None
        return row

    def _next_cheap(self) -> Contender | None:
        left = CHEAP_SECONDS - self._spent()
        cheap = [row for row in self._waiting if row.seconds <= left]
        if not cheap or len(self.simulated) >= MOST_CHEAP:
            return None
        row = min(cheap, key=lambda row: self._guessed(row, 0.0))
        return row if self._guessed(row, 0.0) <= self._best * (1.0 + NOISE) else None

    def _next_tie(self) -> Contender | None:
        if self._ties == MOST_TIES:
            return None
        winner = self.winner
        worth = tie_metric(self._objective, winner.cycles, winner.energy_pj) * (1.0 - 2.0 * TIE)
        tied = [
            (tie_metric(self._objective, *self._guess(row, 0.0)), place)
            for place, row in enumerate(self._waiting)
            if self._guessed(row, 0.0) <= self._best * (1.0 + TIE)
        ]
        if not tied or min(tied)[0] > worth:
            return None
        return self._waiting[min(tied)[1]]
