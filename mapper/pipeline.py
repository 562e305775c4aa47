"""The main path: a model's name to latency, energy and EDP. Open this file first.

load     machine and energy table           hwconfigs
build    model to operator graph            workloads
cut      operators to fusion groups         mapper.graph.fusion_cuts
place    tensors that cross groups in DRAM  mapper.graph.dram_layout
search   matmuls to mappings                mapper.search; equal problems once
lower    groups to programs                 mapper.compiler, mapper.lowering
evaluate each group in order, by estimate and simulation    mapper.evaluation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import hwconfigs
import workloads
from hwconfigs import HardwareSpec
from mapper.compiler import Compiler
from mapper.cost.objective import Objective
from mapper.evaluation.aggregate import group_rows, model_report
from mapper.evaluation.evaluate import Evaluator
from mapper.graph.capabilities import require
from mapper.graph.dram_layout import lay_out
from mapper.graph.fusion_cuts import fusion_groups
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
    """Map and simulate a graph, group by group."""
    require(spec)
    prices = hwconfigs.load_energy(energy or spec.energy).bind(spec)
    groups = fusion_groups(graph, spec)
    compiler = Compiler(spec, prices, lay_out(groups), choose or chooser(policy, objective))
    compiler.search(groups)
    evaluator = Evaluator(spec, prices, spans, exact, MemoryState(spec))
    estimates: dict[str, Report] = {}
    simulations: dict[str, Report] = {}
    for group in groups:
        expected, measured = evaluator.run(group, compiler.lower(group))
        for estimate, simulation in zip(group_rows(group, expected), group_rows(group, measured), strict=True):
            estimates[estimate.name] = estimate
            simulations[simulation.name] = simulation
            if progress is not None:
                progress(len(simulations), len(graph.operators), simulation)
    return RunResult(
        graph,
        spec,
        groups,
        compiler.mappings,
        model_report(graph.name, [estimates[op.name] for op in graph.operators], graph.repeat),
        model_report(graph.name, [simulations[op.name] for op in graph.operators], graph.repeat),
        compiler.choices,
    )
