"""The main path: a model's name to latency, energy and EDP. Open this file first.

load     machine and energy table           hwconfigs
build    model to operator graph            workloads
place    operators to units                 mapper.graph.placement, mapper.graph.dram_layout
search   matmuls to mappings                mapper.search; equal problems once
lower    mappings to programs               mapper.lowering.matmul, mapper.lowering
evaluate each program, in order, by estimate and simulation                    mapper.evaluation.evaluate
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import hwconfigs
import workloads
from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost import simulation_limits
from mapper.cost.model import Objective
from mapper.evaluation.aggregate import free_report, model_report, operator_report
from mapper.evaluation.evaluate import Evaluator
from mapper.graph.capabilities import require
from mapper.graph.dram_layout import Layout, lay_out, matmul_problem
from mapper.graph.placement import Placement, place
from mapper.lowering.matmul import lower_matmul
from mapper.lowering.operators import lower_operator
from mapper.lowering.series import Piece, Series
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.search.policy import Policy
from mapper.search.strategies import Choice, Chooser, chooser
from simulator.memory.request_stream import MemoryState
from simulator.report import Report
from workloads import OpGraph

Progress = Callable[[int, int, Report], object]
"""Called after each operator with (operators done, operators in all, its simulation)."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came out, and how it was mapped."""

    graph: OpGraph
    spec: HardwareSpec
    mappings: dict[str, LoopNest]
    """Loop nest of each matmul by operator name."""
    placements: dict[str, Placement]
    """Where each operator ran, and why not elsewhere."""
    estimate: Report
    simulation: Report
    choices: dict[str, Choice] = field(default_factory=dict)
    """How the mapping of each matmul was found, by operator name."""


def run(
    model: str | Path | Mapping[str, object],
    hw: str | Path | HardwareSpec,
    *,
    seq: int | None = None,
    phase: str = "prefill",
    context: int | None = None,
    batch: int = 1,
    strict_positions: bool = False,
    objective: Objective = "latency",
    policy: Policy = "best",
    choose: Chooser | None = None,
    overrides: Mapping[str, object] | None = None,
    energy: str | Path | None = None,
    spans: bool = False,
    exact: bool = False,
    progress: Progress | None = None,
) -> RunResult:
    """Map and simulate a model.

    Parameters
    ----------
    model
        Preset, path of a Hugging Face ``config.json`` or of a YAML file, or a configuration.
    hw
        Machine: preset, path or spec.
    seq, phase, context, batch
        What to compute: tokens per sequence, ``"prefill"`` or ``"decode"``, tokens in the KV cache, sequences.
    strict_positions
        Refuse more positions than the model was trained with.
    objective
        ``"latency"``, ``"energy"`` or ``"edp"``.
    policy
        ``"best"`` proves an optimum; ``"gemmini_auto"`` takes the tile of Gemmini's library.
    choose
        Finds the mapping of a matmul in another way (`mapper.search.strategies`); objective and policy are then its
        own.
    overrides
        Changes of the machine by dotted key.
    energy
        Energy preset; None: the machine's own.
    spans
        Record stretches of activity for a trace.
    exact
        Simulate every loop and every repetition; otherwise steady sequences of loops are passed over, and two
        repetitions stand for all.
    progress
        Told after each operator.

    Raises
    ------
    SpecError, GraphError, MappingError, ProgramError
        For bad input; the message says what and where.
    """
    spec = load(hw, overrides)
    graph = workloads.build(
        model, seq=seq, phase=phase, context=context, batch=batch, strict_positions=strict_positions
    )
    return run_graph(
        graph,
        spec,
        objective=objective,
        policy=policy,
        choose=choose,
        energy=energy,
        spans=spans,
        exact=exact,
        progress=progress,
    )


def map_matmul(
    m: int,
    k: int,
    n: int,
    hw: str | Path | HardwareSpec,
    *,
    objective: Objective = "latency",
    policy: Policy = "best",
    choose: Chooser | None = None,
    overrides: Mapping[str, object] | None = None,
    energy: str | Path | None = None,
    spans: bool = False,
    exact: bool = False,
) -> RunResult:
    """Map and simulate one matmul, C[m, n] = A[m, k] B[k, n]."""
    operator = workloads.matmul("matmul", m, k, n)
    graph = OpGraph(f"matmul {m}x{k}x{n}", [operator], config={"m": m, "k": k, "n": n})
    return run_graph(
        graph,
        load(hw, overrides),
        objective=objective,
        policy=policy,
        choose=choose,
        energy=energy,
        spans=spans,
        exact=exact,
    )


def load(hw: str | Path | HardwareSpec, overrides: Mapping[str, object] | None = None) -> HardwareSpec:
    """Return the machine, with its changes."""
    if isinstance(hw, HardwareSpec):
        return hwconfigs.override(hw, overrides) if overrides else hw
    return hwconfigs.load(hw, overrides)


def run_graph(
    graph: OpGraph,
    spec: HardwareSpec,
    *,
    objective: Objective = "latency",
    policy: Policy = "best",
    choose: Chooser | None = None,
    energy: str | Path | None = None,
    spans: bool = False,
    exact: bool = False,
    progress: Progress | None = None,
) -> RunResult:
    """Map and simulate a graph, operator by operator."""
    require(spec)
    prices = hwconfigs.load_energy(energy or spec.energy).bind(spec)
    placements = place(graph, spec)
    compiler = Compiler(spec, prices, lay_out(placements), choose or chooser(policy, objective))
    compiler.search(placements.values())
    evaluator = Evaluator(spec, prices, spans, exact, MemoryState(spec))
    estimates: list[Report] = []
    simulations: list[Report] = []
    for done, placement in enumerate(placements.values(), start=1):
        expected, measured = evaluator.parts(compiler.lower(placement))
        name, repeat = placement.operator.name, placement.operator.repeat
        if not expected:
            estimates.append(free_report(name, "estimate", repeat, spec))
            simulations.append(free_report(name, "simulate", repeat, spec))
        else:
            peaks = dict(expected[0].report.peak_bytes)
            estimates.append(operator_report(name, expected, repeat, peaks))
            simulations.append(operator_report(name, measured, repeat, peaks))
        if progress is not None:
            progress(done, len(placements), simulations[-1])
    return RunResult(
        graph,
        spec,
        compiler.mappings,
        placements,
        model_report(graph.name, estimates, graph.repeat),
        model_report(graph.name, simulations, graph.repeat),
        compiler.choices,
    )


@dataclass(slots=True)
class Compiler:
    """Lowers the operators of one graph; equal matmuls are searched once."""

    spec: HardwareSpec
    prices: EnergyModel
    layout: Layout
    choose: Chooser
    mappings: dict[str, LoopNest] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    _known: dict[MatmulProblem, Choice] = field(default_factory=dict)

    def search(self, placements: Iterable[Placement]) -> None:
        """Find the mappings of all matmuls, so that one that has none is told before anything is simulated."""
        for placement in placements:
            if placement.place == "array":
                self._choice(self._problem(placement, 0))

    def lower(self, placement: Placement) -> tuple[Series, ...]:
        """Return the programs of an operator; none if another one absorbs it."""
        if placement.place != "array":
            return lower_operator(placement, self.layout, self.spec)
        name = placement.operator.name
        choice = self.choices[name] = self._choice(self._problem(placement, 0))
        mapping = self.mappings[name] = choice.mapping

        def make(instance: int) -> Piece:
            problem = self._problem(placement, instance)
            return Piece(lower_matmul(problem, mapping, self.spec), problem, mapping)

        return (Series(placement.operator.repeat, make),)

    def _problem(self, placement: Placement, instance: int) -> MatmulProblem:
        return matmul_problem(placement, self.layout, instance, self.spec.array.input_bits)

    def _choice(self, problem: MatmulProblem) -> Choice:
        key = problem.signature(self.spec.dma.max_request_bytes)
        if key not in self._known:
            self._known[key] = self.choose(problem, self.spec, self.prices)
            simulation_limits.check(problem, self._known[key].mapping, self.spec, self.prices)
        known = self._known[key]
        return replace(known, mapping=replace(known.mapping, ops=(problem.name,)))
