"""The main path: a model's name to latency, energy and EDP. Open this file first.

load     machine and energy table           hwconfigs
build    model to operator graph            workloads
place    operators to units                 mapper.graph.placement, mapper.graph.dram_layout
search   matmuls to mappings                mapper.search; equal problems once
lower    mappings to programs               mapper.lowering.matmul, mapper.lowering
evaluate each program, in order, by estimate and simulation                    mapper.evaluation.evaluate
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import hwconfigs
import workloads
from hwconfigs import HardwareSpec
from mapper.compiler import Compiler
from mapper.cost.objective import Objective
from mapper.evaluation.aggregate import free_report, model_report, operator_report
from mapper.evaluation.evaluate import Evaluator
from mapper.graph.capabilities import require
from mapper.graph.dram_layout import lay_out
from mapper.graph.placement import place
from mapper.result import RunResult
from mapper.search.policy import Policy
from mapper.search.strategies import Chooser, chooser
from simulator.memory.request_stream import MemoryState
from simulator.report import Report
from workloads import OpGraph

Progress = Callable[[int, int, Report], object]
"""Called after each operator with (operators done, operators in all, its simulation)."""


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
