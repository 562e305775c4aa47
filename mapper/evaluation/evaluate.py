"""Estimate and simulate the pieces of an operator, in order, on one set of caches.

Of a series of equal pieces the first two, the middle one and the last are simulated. Those between take a time between
their simulated neighbours', by the time that their cache misses take in memory; what they move is counted piece by
piece, so that the caches are as they leave them and the counts cover every piece. A trace shows the pieces that were
simulated.

Of equal products, as those for queries, keys and values, the first is simulated; another one takes over its time if a
unit other than the memory sets the pace and its misses take about as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.energy import energy_of, priced
from mapper.cost.estimate import estimate
from mapper.cost.estimate_commands import estimate_commands
from mapper.evaluation.aggregate import Part, operator_report
from mapper.graph.fusion_group import FusionGroup
from mapper.lowering.series import Piece, Series
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from simulator.fast_forward.steady_state import Step
from simulator.machine import count_like, program_steps, simulate
from simulator.memory.request_stream import MemoryState
from simulator.report import Counts, Report, UnitTime

ALWAYS_SIMULATED = 4
"""Pieces of a series that are simulated: the first finds the caches as another operator left them, the second as its
equal did, the middle one and the last show how the series drifts."""

PACE = 0.97
"""Share of the time in which a unit is busy that sets the pace of a product: the memory has little to say."""

TWIN_TOLERANCE = 0.05
"""Relative difference of the time in memory of two equal products that then take the same time."""


@dataclass(slots=True)
class Evaluator:
    """Runs pieces one after another; the caches are cold at the start."""

    spec: HardwareSpec
    prices: EnergyModel
    spans: bool
    exact: bool
    memory: MemoryState
    _known: dict[tuple[MatmulProblem, HardwareLoop], Report] = field(default_factory=dict)
    """Simulated products."""

    def run(self, group: FusionGroup, series: Iterable[Series]) -> tuple[Report, Report]:
        """Return estimate and simulation of a group from its programs."""
        expected, measured = self.parts(series)
        peaks = expected[0].report.peak_bytes
        repeat = group.lead.repeat
        return (
            operator_report(group.name, expected, repeat, peaks),
            operator_report(group.name, measured, repeat, peaks),
        )

    def parts(self, series: Iterable[Series]) -> tuple[list[Part], list[Part]]:
        """Return estimates and simulations of an operator's pieces."""
        expected: list[Part] = []
        measured: list[Part] = []
        for one in series:
            for estimated, simulated in self._results(one):
                expected.append(Part(estimated, 1))
                measured.append(Part(simulated, 1))
        return expected, measured

    def _results(self, series: Series) -> list[tuple[Report, Report]]:
        """Estimate and simulation of each piece."""
        if self.exact or self.spans or 1 < series.count <= ALWAYS_SIMULATED:
            return self._all(series)
        return self._some(series) if series.count > 1 else [self._once(series.make(0))]

    def _once(self, piece: Piece) -> tuple[Report, Report]:
        """Take over the time of an equal product, if there was one whose time one unit alone decided."""
        if piece.problem is None or piece.loop is None:
            return self._run(piece)
        key = piece.problem.signature(self.spec.dma.max_request_bytes), piece.loop
        twin = self._known.get(key)
        if twin is None or max(time.busy_cycles for time in twin.units.values()) < PACE * twin.cycles:
            result = self._run(piece)
            self._known.setdefault(key, result[1])
            return result
        before = self.memory.copy()
        counts, time = count_like(piece.program, self.spec, self.memory)
        if abs(time - twin.memory_cycles) > TWIN_TOLERANCE * time:
            self.memory = before
            return self._run(piece)
        energy = energy_of(counts, self.prices)
        report = replace(twin, name=piece.program.name, memory_cycles=time, counts=counts, energy_pj_by_action=energy)
        return self._estimate(piece, before, counts), report

    def _all(self, series: Series) -> list[tuple[Report, Report]]:
        return [self._run(series.make(index)) for index in range(series.count)]

    def _some(self, series: Series) -> list[tuple[Report, Report]]:
        """Simulate the first two pieces, the middle one and the last; count the others and place them between."""
        first, low = (self._run(series.make(index)) for index in range(2))
        like = program_steps(series.make(1).program, self.spec)
        parts = [first, low]
        done = 2
        for end in (series.count // 2, series.count - 1):
            between = [self._count(series.make(index), like) for index in range(done, end)]
            high = self._run(series.make(end))
            parts += [(estimated, self._place(low[1], high[1], counts, time)) for estimated, counts, time in between]
            parts.append(high)
            low, done = high, end + 1
        return parts

    def _run(self, piece: Piece) -> tuple[Report, Report]:
        before = self.memory.copy()
        simulated = simulate(piece.program, self.spec, memory=self.memory, spans=self.spans, exact=self.exact)
        return self._estimate(piece, before, simulated.counts), priced(simulated, self.prices)

    def _count(self, piece: Piece, like: Sequence[Step]) -> tuple[Report, Counts, float]:
        """Estimate a piece from what it counts, without simulating it; also its time in memory."""
        before = self.memory.copy()
        counts, memory_cycles = count_like(piece.program, self.spec, self.memory, like)
        return self._estimate(piece, before, counts), counts, memory_cycles

    def _estimate(self, piece: Piece, memory: MemoryState, counts: Counts) -> Report:
        """Return the estimate of a piece from the caches before it and what was counted."""
        if piece.problem is None or piece.loop is None:
            return estimate_commands(piece.program, self.spec, self.prices, memory, counts)
        return estimate(piece.loop, piece.problem, self.spec, self.prices, memory, piece.program, counts)

    def _place(self, second: Report, last: Report, counts: Counts, memory_cycles: float) -> Report:
        """Return the simulation of a piece that was only counted."""
        report = _mixed(second, last, _share(second.memory_cycles, last.memory_cycles, memory_cycles))
        return replace(report, counts=counts, energy_pj_by_action=energy_of(counts, self.prices))


def _share(second: float, last: float, memory_cycles: float) -> float:
    """How far a piece has drifted from the second towards the last, by the time of its misses in memory; 0 to 1."""
    drift = last - second
    if not drift:
        return 0.5
    return min(1.0, max(0.0, (memory_cycles - second) / drift))


def _mixed(second: Report, last: Report, share: float) -> Report:
    """Times between two reports; every unit's busy, stalled and idle cycles still add up to the run."""
    cycles = round(second.cycles + share * (last.cycles - second.cycles))
    units: dict[str, UnitTime] = {}
    for unit, time in second.units.items():
        other = last.units[unit]
        busy = round(time.busy_cycles + share * (other.busy_cycles - time.busy_cycles))
        left = cycles - busy
        stalls: dict[str, int] = {}
        for cause in sorted({*time.stall_cycles, *other.stall_cycles}):
            one, two = time.stall_cycles.get(cause, 0), other.stall_cycles.get(cause, 0)
            stalls[cause] = min(left, round(one + share * (two - one)))
            left -= stalls[cause]
        units[unit] = UnitTime(busy, stalls, left)
    return replace(second, cycles=cycles, units=units, spans=())
