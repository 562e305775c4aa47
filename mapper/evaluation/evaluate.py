"""Estimate and simulate the programs of fusion groups, in order, on one set of caches.

Of a repeated program the first two instances, the middle one and the last are simulated. The time of any other one is
interpolated between its simulated neighbours, by the time that its cache misses take in memory; what it moves is
counted, so that the state of the caches and all counts are those of every instance. A trace shows the instances that
were simulated.

Of equal matmuls, as those for queries, keys and values, the first is simulated. Another one takes over its time if a
unit other than the memory sets the pace and its misses take about as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.energy import energy_of, priced
from mapper.cost.estimate import estimate
from mapper.cost.estimate_commands import estimate_commands
from mapper.evaluation.aggregate import Part, group_report
from mapper.evaluation.interpolate import drift, interpolated
from mapper.graph.fusion_group import FusionGroup
from mapper.lowering.repeated_program import CommandInstance, Instance, MatmulInstance, RepeatedProgram
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from simulator.fast_forward.steady_state import Step
from simulator.machine import count_like, program_steps, simulate
from simulator.memory.request_stream import MemoryState
from simulator.report import Counts, Report

ALWAYS_SIMULATED = 4
"""Instances of a repeated program that are simulated: the first finds the caches as another group left them, the
second as its equal did, the middle one and the last show how the instances drift."""

PACE = 0.97
"""Share of the time in which a unit is busy that sets the pace of a matmul: the memory then has little influence."""

TWIN_TOLERANCE = 0.05
"""Relative difference of the time in memory of two equal matmuls that then take the same time."""


class Evaluation(NamedTuple):
    """What a program costs at both fidelities."""

    estimate: Report
    simulation: Report


@dataclass(slots=True)
class Evaluator:
    """Runs programs one after another; the caches keep their state from each to the next."""

    spec: HardwareSpec
    prices: EnergyModel
    spans: bool
    """Record stretches of activity for a trace."""
    exact: bool
    """Simulate every instance."""
    memory: MemoryState
    """The caches before the next program."""
    _trials: dict[tuple[MatmulProblem, HardwareLoop], Evaluation] = field(default_factory=dict)
    """What was tried in the caches as they are."""
    _simulated: dict[tuple[MatmulProblem, HardwareLoop], Report] = field(default_factory=dict)
    """Simulations of single matmuls, by signature and mapping."""

    def trial(self, instance: MatmulInstance) -> Evaluation:
        """Return what a matmul would cost if it ran next, by the default simulation; the caches stay as they are."""
        simulated = simulate(instance.program, self.spec, memory=self.memory.copy())
        expected = self._estimate(instance, self.memory.copy(), simulated.counts)
        evaluation = Evaluation(expected, priced(simulated, self.prices))
        self._trials[instance.problem, instance.loop] = evaluation
        return evaluation

    def energy_pj(self, instance: MatmulInstance) -> float:
        """Return the energy that a matmul would need if it ran next, counted and not simulated [pJ]."""
        counts, _ = count_like(instance.program, self.spec, self.memory.copy())
        return sum(energy_of(counts, self.prices).values())

    def run(self, group: FusionGroup, programs: Iterable[RepeatedProgram]) -> Evaluation:
        """Return what a group costs, called like its leading operator."""
        results = [result for repeated in programs for result in self._instances(repeated)]
        peak_bytes, repeat = results[0].estimate.peak_bytes, group.lead.repeat
        return Evaluation(
            group_report(group.name, [Part(result.estimate) for result in results], repeat, peak_bytes),
            group_report(group.name, [Part(result.simulation) for result in results], repeat, peak_bytes),
        )

    def _instances(self, repeated: RepeatedProgram) -> list[Evaluation]:
        """Evaluate each instance of a repeated program."""
        if repeated.count == 1 and not (self.exact or self.spans):
            return [self._once(repeated.instance(0))]
        if self.exact or self.spans or repeated.count <= ALWAYS_SIMULATED:
            return [self._simulate(repeated.instance(number)) for number in range(repeated.count)]
        return self._sampled(repeated)

    def _once(self, instance: Instance) -> Evaluation:
        """Evaluate a program that is not repeated; an equal matmul before it may lend its time."""
        if isinstance(instance, CommandInstance):
            return self._simulate(instance)
        key = instance.problem.signature(self.spec.dma.max_request_bytes), instance.loop
        twin = self._simulated.get(key)
        if twin is not None and max(time.busy_cycles for time in twin.units.values()) >= PACE * twin.cycles:
            result = self._like_twin(instance, twin)
            if result is not None:
                return result
        result = self._simulate(instance)
        self._simulated.setdefault(key, result.simulation)
        return result

    def _like_twin(self, instance: MatmulInstance, twin: Report) -> Evaluation | None:
        """Count a matmul and give it the time of its twin; None, and nothing done, if its misses take another time."""
        before = self.memory.copy()
        counts, memory_cycles = count_like(instance.program, self.spec, self.memory)
        if abs(memory_cycles - twin.memory_cycles) > TWIN_TOLERANCE * memory_cycles:
            self.memory = before
            return None
        simulation = replace(
            twin,
            name=instance.program.name,
            memory_cycles=memory_cycles,
            counts=counts,
            energy_pj_by_action=energy_of(counts, self.prices),
        )
        return Evaluation(self._estimate(instance, before, counts), simulation)

    def _sampled(self, repeated: RepeatedProgram) -> list[Evaluation]:
        """Simulate the first two instances, the middle one and the last; count and interpolate the others."""
        second = repeated.instance(1)
        results = [self._simulate(repeated.instance(0)), self._simulate(second)]
        steps = program_steps(second.program, self.spec)
        done = 2
        for end in (repeated.count // 2, repeated.count - 1):
            low = results[-1].simulation
            between = [self._count(repeated.instance(number), steps) for number in range(done, end)]
            high = self._simulate(repeated.instance(end))
            for expected, counts, memory_cycles in between:
                share = drift(low.memory_cycles, high.simulation.memory_cycles, memory_cycles)
                energy = energy_of(counts, self.prices)
                time = interpolated(low, high.simulation, share)
                results.append(Evaluation(expected, replace(time, counts=counts, energy_pj_by_action=energy)))
            results.append(high)
            done = end + 1
        return results

    def _tried(self, instance: Instance) -> Evaluation | None:
        """Return the trial of what runs next, and advance the caches; None if there was none, or not as is asked."""
        # Whatever runs next changes the caches: no trial holds any longer.
        trials, self._trials = self._trials, {}
        if isinstance(instance, CommandInstance) or self.exact or self.spans:
            return None
        tried = trials.get((instance.problem, instance.loop))
        if tried is not None:
            count_like(instance.program, self.spec, self.memory)
        return tried

    def _simulate(self, instance: Instance) -> Evaluation:
        tried = self._tried(instance)
        if tried is not None:
            return tried
        before = self.memory.copy()
        simulated = simulate(instance.program, self.spec, memory=self.memory, spans=self.spans, exact=self.exact)
        return Evaluation(self._estimate(instance, before, simulated.counts), priced(simulated, self.prices))

    def _count(self, instance: Instance, like: Sequence[Step]) -> tuple[Report, Counts, float]:
        """Return estimate, counts and time in memory of an instance that is not simulated; its steps are ``like``."""
        before = self.memory.copy()
        counts, memory_cycles = count_like(instance.program, self.spec, self.memory, like)
        return self._estimate(instance, before, counts), counts, memory_cycles

    def _estimate(self, instance: Instance, memory: MemoryState, counts: Counts) -> Report:
        """Return the estimate of an instance from the caches before it and what was counted."""
        match instance:
            case MatmulInstance(program, problem, loop):
                return estimate(loop, problem, self.spec, self.prices, memory, program, counts)
            case CommandInstance(program):
                return estimate_commands(program, self.spec, self.prices, memory, counts)
