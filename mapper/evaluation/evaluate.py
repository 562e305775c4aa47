"""Estimate and simulate the programs of fusion groups, in order, on one set of caches.

Of equal programs (instances of a repeated one, or matmuls as those for queries, keys and values) only those are
simulated whose time the ones before do not tell (`mapper.evaluation.interpolate`). What each of them moves is counted,
so that the state of the caches and all counts are those of every instance. A trace shows the instances that were
simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost.energy import dynamic_pj, priced
from mapper.cost.estimate import Formulas, are_shared, estimate, estimate_unreplayed
from mapper.cost.estimate_commands import CommandEstimates
from mapper.cost.latency.replayed_loops import Replayed
from mapper.cost.memory_floor import memory_floor
from mapper.cost.pace import Pace
from mapper.evaluation.aggregate import group_report
from mapper.evaluation.alike_instances import MANY, like_note, like_the_last, likeness, parts, passed_over, settled
from mapper.evaluation.interpolate import Simulated, lent
from mapper.evaluation.matmul_trial import MatmulTrial
from mapper.evaluation.recalled_simulations import RecalledSimulations
from mapper.graph.fusion_group import FusionGroup
from mapper.lowering.repeated_program import (
    CommandInstance,
    EstimatedInstance,
    Instance,
    MatmulInstance,
    RepeatedProgram,
)
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from simulator.frontend.loop_works import Step
from simulator.machine import PreparedProgram, prepare, prepare_moved
from simulator.memory.path import first_data_cycles
from simulator.memory.request_stream import MemoryState
from simulator.program import Program, Region
from simulator.report import Report

PROGRAMS_KEPT = 2
"""Programs of trials that are kept until one has won: the fastest, and one that may win a tie with it."""


class Evaluation(NamedTuple):
    """What a program costs at both fidelities."""

    estimate: Report
    simulation: Report
    note: str = ""
    """What the simulation leaves out."""


class TrialReports(NamedTuple):
    """What a trial says: a contest asks for simulations, and few of the estimates beside them are ever looked at."""

    estimate: Callable[[], Report]
    """Makes the estimate, for the caches of the trial."""
    simulation: Report
    """Judged by a stretch of its loops."""


@dataclass(slots=True)
class _Known:
    """What is known of programs that differ in addresses alone."""

    template: Program | None = None
    """From which those of a stream are made."""
    steps: Sequence[Step] | None = None
    """Of one of them; of a stream, of the template."""
    estimates: CommandEstimates | None = None
    """Of a stream."""
    simulated: list[Simulated] = field(default_factory=list)
    pace: Pace = field(default_factory=Pace)
    evaluated: dict[bytes | None, Evaluation] = field(default_factory=dict)
    """By likeness."""

    def copied(self) -> _Known:
        """Return what is known now, whatever is learnt later."""
        return replace(self, simulated=list(self.simulated), evaluated=dict(self.evaluated))


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
    _trials: dict[tuple[MatmulProblem, HardwareLoop], MatmulTrial] = field(default_factory=dict)
    """What was tried in the caches as they are."""
    _matmuls: dict[tuple[MatmulProblem, HardwareLoop], _Known] = field(default_factory=dict)
    """What is known of matmuls, by signature and mapping."""
    _formulas: dict[tuple[MatmulProblem, HardwareLoop], Formulas] = field(default_factory=dict)
    """What closed forms know of matmuls, by signature and mapping."""
    recalled: RecalledSimulations | None = None
    """Simulations of other runs; None: there are none."""
    tensors: Sequence[Region] = ()
    """Where the tensors lie in DRAM, by which the contents of the memories are told; none: as the programs say."""

    def restarted(self) -> Evaluator:
        """Return one on cold caches that knows nothing: what it says does not depend on what ran before."""
        return replace(self, memory=MemoryState(self.spec), _trials={}, _matmuls={})

    def copied(self) -> Evaluator:
        """Return one on a copy of the caches; what it learns of matmuls is its own."""
        known = {key: one.copied() for key, one in self._matmuls.items()}
        return replace(self, memory=self.memory.copy(), _trials=dict(self._trials), _matmuls=known)

    def take_over(self, copy: Evaluator) -> None:
        """Go on where a copy has come to."""
        self.memory, self._trials, self._matmuls = copy.memory, copy._trials, copy._matmuls

    def trial(self, instance: MatmulInstance) -> TrialReports:
        """Return what a matmul would cost if it ran next, judged by a stretch of its loops; the caches stay."""
        trial = MatmulTrial(instance, self.spec, self.memory.copy())

        def stretch() -> tuple[Report, bool]:
            return trial.prepared().simulate_stretch()

        told = stretch() if self.recalled is None else self.recalled.stretch(instance, self.memory, stretch)
        self._keep(instance, trial, *told)
        ahead = partial(estimate, instance.loop, instance.problem, self.spec, self.prices, self.memory.copy(), trial)
        return TrialReports(ahead, trial.report)

    def confirmed(self, instance: MatmulInstance) -> Report:
        """Return the default simulation of a matmul that was tried; it is the one that runs if it runs next."""
        trial = self._trials.get((instance.problem, instance.loop))
        if trial is None or not trial.is_confirmed:
            if trial is None or not trial.has_program:
                trial = MatmulTrial(instance, self.spec, self.memory.copy())
            simulated = self._simulated(instance, self.memory, trial.simulated)
            self._keep(instance, trial, simulated, is_confirmed=True)
        return trial.report

    def _keep(self, instance: MatmulInstance, trial: MatmulTrial, simulated: Report, is_confirmed: bool) -> None:
        trial.tell(priced(simulated, self.prices), is_confirmed=is_confirmed)
        self._trials[instance.problem, instance.loop] = trial
        # The program of a winner is simulated again, and the fastest may win; the others' would only take memory.
        with_program = [one for one in self._trials.values() if one.has_program]
        for other in sorted(with_program, key=lambda one: one.report.cycles)[PROGRAMS_KEPT:]:
            other.forget_program()

    def dynamic_pj(self, instance: MatmulInstance) -> float:
        """Return the dynamic energy that a matmul would need if it ran next, counted and not simulated [pJ]."""
        trial = self._trials.get((instance.problem, instance.loop))
        if trial is not None:
            counts = trial.report.counts
        else:
            counts = prepare(instance.program, self.spec, self.memory.copy()).counts
        return sum(dynamic_pj(counts, self.prices).values())

    def least_cycles(self, problem: MatmulProblem) -> float:
        """Return cycles that no mapping of a matmul stays below if it runs next."""
        return memory_floor(problem, self.spec, self.memory)

    def run(self, group: FusionGroup, programs: Iterable[RepeatedProgram]) -> Evaluation:
        """Return what a group costs, called like its leading operator."""
        return _summed(group, [result for repeated in programs for result in self._instances(repeated)])

    def run_in_turns(
        self, groups: Sequence[FusionGroup], turns: Iterable[tuple[FusionGroup, MatmulInstance]]
    ) -> tuple[Evaluation, ...]:
        """Return what each of some groups costs whose programs run in turns, each once."""
        results: dict[str, list[tuple[Evaluation, int]]] = {group.name: [] for group in groups}
        for group, instance in turns:
            results[group.name] += self._instances(RepeatedProgram(1, lambda _, one=instance: one))  # type: ignore[misc]
        return tuple(_summed(group, results[group.name]) for group in groups)

    def _instances(self, repeated: RepeatedProgram) -> list[tuple[Evaluation, int]]:
        """Evaluate the instances of a repeated program; return each evaluation and how often it counts."""
        if repeated.estimated is not None:
            return [(self._estimated(repeated.estimated), repeated.count)]
        results: list[Evaluation] = []
        ahead: list[tuple[Evaluation, int]] = []
        known, number = _Known(), 0
        while number < repeated.count:
            instance = repeated.instance(number)
            known = self._known_of(instance, known)
            if number == 1:
                known.pace = Pace()  # the first one found the caches without what all of them share
            results.append(self._instance(instance, known, is_single=repeated.count == 1))
            number += 1
            if number >= MANY and not (ahead or self.exact or self.spans) and settled(results):
                skipped = passed_over(results, repeated.count, self.spec)
                ahead = like_the_last(results, skipped)
                number += skipped
        note = like_note(sum(times for _, times in ahead), repeated.count)
        return [(results[0]._replace(note=note), 1), *((result, 1) for result in results[1:]), *ahead]

    def _estimated(self, instance: EstimatedInstance) -> Evaluation:
        """Let the estimate stand for a simulation; the caches stay as they are."""
        report = estimate_unreplayed(instance.loop, instance.problem, self.spec, self.prices)
        return Evaluation(report, report, f"not simulated, the estimate stands in its place: {instance.reason}")

    def _instance(self, instance: Instance, known: _Known, *, is_single: bool) -> Evaluation:
        """Evaluate the next instance; those that are alike share one evaluation."""
        before, tried = self.memory.copy(), self._tried(instance)
        if tried is not None:
            self.memory = tried.after.copy()
            known.simulated.append(Simulated(tried.report, tried.memory_times.all))
            return self._evaluated(instance, before, tried, tried.report, known)
        prepared = self._prepared(instance, known)
        if self.exact or self.spans or (is_single and isinstance(instance, CommandInstance)):
            report = prepared.simulate(spans=self.spans, exact=self.exact, owners=self.tensors)
            return self._evaluated(instance, before, prepared, report, known)
        alike = None if is_single else likeness(prepared)
        if alike in known.evaluated:
            return known.evaluated[alike]
        report = self._time(instance, before, prepared, known.simulated)
        evaluated = self._evaluated(instance, before, prepared, report, known)
        if alike is not None:
            known.evaluated[alike] = evaluated
        return evaluated

    def _evaluated(
        self, instance: Instance, before: MemoryState, replayed: Replayed, report: Report, known: _Known
    ) -> Evaluation:
        return Evaluation(self._estimate(instance, before, replayed, known), priced(report, self.prices))

    def _prepared(self, instance: Instance, known: _Known) -> PreparedProgram:
        """Put the requests of an instance through the caches; what only moved is not made again."""
        if isinstance(instance, CommandInstance) and instance.rows_below and known.steps is not None:
            rows = instance.rows_below
            return prepare_moved(instance.template, self.spec, self.memory, known.steps, rows)
        timed = not (self.exact or self.spans)
        prepared = prepare(instance.program, self.spec, self.memory, known.steps, timed=timed)
        if isinstance(instance, MatmulInstance) or not instance.rows_below:
            known.steps = prepared.to_take_over
        return prepared

    def _known_of(self, instance: Instance, known: _Known) -> _Known:
        """Return what is known of programs like an instance; ``known`` is for the instance before it."""
        if isinstance(instance, MatmulInstance):
            key = instance.problem.signature(self.spec.dma.max_request_bytes), instance.loop
            return self._matmuls.setdefault(key, known)
        # The first instance of a stream calls the library: a program of its own.
        return known if known.template is instance.template else _Known(instance.template)

    def _tried(self, instance: Instance) -> MatmulTrial | None:
        """Return the trial of what runs next; None if there was none, or not as is asked."""
        # Whatever runs next changes the caches: no trial holds any longer.
        trials, self._trials = self._trials, {}
        if isinstance(instance, CommandInstance) or self.exact or self.spans:
            return None
        trial = trials.get((instance.problem, instance.loop))
        return trial if trial is not None and trial.is_confirmed else None

    def _simulated(self, instance: Instance, before: MemoryState, simulate: Callable[[], Report]) -> Report:
        """Return the default simulation of a program in the caches before it, which another run may have made."""
        return simulate() if self.recalled is None else self.recalled.report(instance, before, simulate)

    def _time(
        self, instance: Instance, before: MemoryState, prepared: PreparedProgram, simulated: list[Simulated]
    ) -> Report:
        """Simulate a program unless those simulated before tell its time; ``simulated`` may grow."""
        times = prepared.memory_times.all()
        report = lent(times, simulated, first_data_cycles(self.spec))
        if report is not None:
            return replace(report, name=prepared.program.name, counts=prepared.counts)
        report = self._simulated(instance, before, prepared.simulate)
        simulated.append(Simulated(report, lambda: times))
        return report

    def _estimate(self, instance: Instance, memory: MemoryState, replayed: Replayed, known: _Known) -> Report:
        """Return the estimate of an instance from the caches before it and the replay of its requests."""
        match instance:
            case MatmulInstance(_, problem, loop):
                if self.recalled is not None and known.pace.ratio is None:
                    known.pace.recalled = partial(self.recalled.some_loops, instance, memory.fingerprint())
                formulas = self._formulas_of(problem, loop)
                return estimate(loop, problem, self.spec, self.prices, memory, replayed, known.pace, formulas)
            case CommandInstance(template, rows_below):
                known.estimates = known.estimates or CommandEstimates(template, self.spec, self.prices)
                return known.estimates.report(memory, replayed.counts, rows_below)

    def _formulas_of(self, problem: MatmulProblem, loop: HardwareLoop) -> Formulas | None:
        """Return what closed forms know of a matmul whatever the caches hold; None where its addresses matter."""
        if not are_shared(self.spec):
            return None
        key = problem.signature(self.spec.dma.max_request_bytes), loop
        if key not in self._formulas:
            self._formulas[key] = Formulas.of(loop, problem, self.spec, self.prices)
        return self._formulas[key]


def _summed(group: FusionGroup, results: Sequence[tuple[Evaluation, int]]) -> Evaluation:
    """Return what the programs of a group cost together."""
    peak_bytes, repeat = results[0][0].estimate.peak_bytes, group.lead.repeat
    return Evaluation(
        group_report(group.name, parts((result.estimate, times) for result, times in results), repeat, peak_bytes),
        group_report(group.name, parts((result.simulation, times) for result, times in results), repeat, peak_bytes),
        results[0][0].note,
    )
