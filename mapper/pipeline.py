"""The main path: a model's name to latency, energy and EDP. Open this file first.

load     machine and energy table           hwconfigs
build    model to operator graph            workloads
cut      operators to fusion groups         mapper.graph.fusion_cuts; or the best, mapper.search.fusion_search
place    tensors that cross groups in DRAM  mapper.graph.dram_layout
search   matmuls to mappings                mapper.search; equal problems once
settle   the best mapping by simulation     mapper.search.settle, at the first of equal problems
lower    groups to programs                 mapper.compiler, mapper.lowering
evaluate each group in order, by estimate and simulation    mapper.evaluation
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Unpack

import numpy as np

import hwconfigs
import workloads
from hwconfigs import HardwareSpec
from mapper.compiler import Compiler
from mapper.cost.objective import OBJECTIVES
from mapper.errors import MappingError
from mapper.evaluation.aggregate import group_rows, model_report, repeated
from mapper.evaluation.evaluate import Evaluation, Evaluator
from mapper.evaluation.recalled_simulations import RecalledSimulations
from mapper.evaluation.turns import TurnsChoice, run_given, run_pair
from mapper.graph.capabilities import require
from mapper.graph.cut_file import read_plan
from mapper.graph.dram_layout import lay_out
from mapper.graph.fusion_cuts import Cut, default_cut, fusion_groups
from mapper.graph.fusion_group import FusionGroup
from mapper.graph.fusion_plan import FusionPlan, together
from mapper.graph.interleaving import Interleaving, choices, paired
from mapper.lowering.gemmini_library import library_cut
from mapper.recall.digests import Recall
from mapper.result import Fusion, RunResult
from mapper.search import registry
from mapper.search.fusion_search import search_cut
from mapper.search.mapping_result import MappingResult
from mapper.search.options import SearchProgress
from mapper.search.recalled_mappings import RecalledMappings
from mapper.search.settle import settled_front
from mapper.search.settled_cut import group_gains, settled_cut
from mapper.search.space import require_goal
from mapper.search.spaces.hardware_loops import LoopSpace
from mapper.search.strategies import SearchStrategy, Strategy, search
from mapper.settings import BEST_CUT, LIBRARY_CUT, UNFUSED, RunOptions, RunSettings
from simulator.memory.request_stream import MemoryState
from simulator.report import Report
from workloads import OpGraph

if TYPE_CHECKING:
    from mapper.evaluation.number_reports import NumbersCheck
    from mapper.evaluation.numbers import Step

RunProgress: TypeAlias = Callable[[int, int, Report], object]
"""Called after each operator with (operators done, operators in all, its simulation)."""


def run(
    model: str | Path | Mapping[str, object],
    hw: str | Path | HardwareSpec,
    settings: RunSettings | None = None,
    *,
    strategy: Strategy | None = None,
    progress: RunProgress | None = None,
    **options: Unpack[RunOptions],
) -> RunResult:
    """Map and simulate a model.

    Parameters
    ----------
    model
        Preset, path of a Hugging Face ``config.json`` or of a YAML file, or a configuration.
    hw
        Machine: preset, path or spec.
    settings
        What to compute and how; None: made of ``options``.
    strategy
        Finds the mapping of a matmul in place of the search that the settings name (`mapper.search.strategies`).
    progress
        Told after each operator.
    **options
        Fields of `RunSettings` by name, for ``RunSettings(**options)``, as in ``seq=512, objective="edp"``.

    Raises
    ------
    SettingsError, SpecError, GraphError, MappingError, ProgramError
        For bad input; the message says what and where.
    TypeError
        For an option that is no setting, or options beside settings.
    """
    chosen = _settings(settings, options)
    spec = load(hw, chosen.overrides)
    graph = workloads.build(
        model,
        seq=chosen.seq,
        phase=chosen.phase,
        context=chosen.context,
        batch=chosen.batch,
        strict_positions=chosen.strict_positions,
        source=chosen.source,
        causal=chosen.causal,
        lm_head=chosen.lm_head,
        dims=chosen.dims,
        routing=chosen.routing,
        bits=None if chosen.bits is None else workloads.Bits.parse(chosen.bits),
    )
    return run_graph(graph, spec, chosen, strategy=strategy, progress=progress)


def map_matmul(
    m: int,
    k: int,
    n: int,
    hw: str | Path | HardwareSpec,
    settings: RunSettings | None = None,
    *,
    strategy: Strategy | None = None,
    **options: Unpack[RunOptions],
) -> RunResult:
    """Map and simulate one matmul, C[m, n] = A[m, k] B[k, n]; the arguments and errors are those of `run`."""
    chosen = _settings(settings, options)
    return run_graph(matmul_graph(m, k, n), load(hw, chosen.overrides), chosen, strategy=strategy)


def matmul_graph(m: int, k: int, n: int, repeat: int = 1) -> OpGraph:
    """Return the graph of one matmul, or of several of one size, each with operands of its own."""
    operator = workloads.matmul("matmul", m, k, n, repeat=repeat)
    config = {"m": m, "k": k, "n": n}
    if repeat == 1:
        return OpGraph(f"matmul {m}x{k}x{n}", [operator], config=config)
    return OpGraph(f"matmul {repeat}x{m}x{k}x{n}", [operator], config={"repeat": repeat, **config})


def _settings(settings: RunSettings | None, options: RunOptions) -> RunSettings:
    if settings is None:
        return RunSettings(**options)
    if options:
        raise TypeError(
            f"{', '.join(options)}: give either settings or options; change settings by dataclasses.replace"
        )
    return settings


def load(hw: str | Path | HardwareSpec, overrides: Mapping[str, object] | None = None) -> HardwareSpec:
    """Return the machine, with its changes."""
    if isinstance(hw, HardwareSpec):
        return hwconfigs.override(hw, overrides) if overrides else hw
    return hwconfigs.load(hw, overrides)


def run_graph(
    graph: OpGraph,
    spec: HardwareSpec,
    settings: RunSettings | None = None,
    *,
    strategy: Strategy | None = None,
    cut: Cut | FusionPlan | None = None,
    progress: RunProgress | None = None,
    recall: Recall | None = None,
    **options: Unpack[RunOptions],
) -> RunResult:
    """Map and simulate a graph, group by group; the arguments and errors are those of `run`.

    Settings that say what to build, or change the machine, have no effect: graph and machine are given. So have those
    of the fusion if a ``cut`` is given, operators of each group by name, or a plan with turns and mappings. With
    ``recall``, what other runs searched and simulated is taken from there, and what this one does is kept there; no
    number changes, but how mappings were found is not told.
    """
    chosen = _settings(settings, options)
    require_goal(chosen.objective, OBJECTIVES)
    compiler = _compiler(graph, spec, chosen, strategy)
    evaluator = Evaluator(spec, compiler.prices, chosen.spans, chosen.exact, MemoryState(spec))
    if recall is not None:
        evaluator.recalled = RecalledSimulations(spec, recall)
        if isinstance(compiler.strategy, SearchStrategy):
            compiler.recalled = RecalledMappings(spec, compiler.prices, compiler.strategy, recall)
    if cut is not None or chosen.fusion != BEST_CUT:
        given = named_cut(graph, spec, chosen.fusion) if cut is None else cut
        plan = given if isinstance(given, FusionPlan) else FusionPlan(given)
        return _run_cut(graph, plan, compiler, evaluator, chosen, progress)
    unfused = _run_cut(graph, FusionPlan(default_cut(graph, spec)), compiler, evaluator, chosen, progress)
    found = search_cut(graph, spec, compiler.price, chosen.objective)
    best = settled_cut(
        unfused,
        found.best.names,
        chosen.objective,
        lambda cut: _run_cut(graph, FusionPlan(cut), compiler, evaluator.restarted(), chosen, None, takes_turns=True),
    )
    gains = group_gains(best.groups, best.simulation, unfused)
    return replace(best, fusion=Fusion(found, gains, unfused.simulation))


def _run_cut(
    graph: OpGraph,
    plan: FusionPlan,
    compiler: Compiler,
    evaluator: Evaluator,
    settings: RunSettings,
    progress: RunProgress | None,
    *,
    takes_turns: bool = False,
) -> RunResult:
    """Map and simulate the groups of a plan, in an order in which they can run.

    ``takes_turns``: turns are tried, and taken where they are better; otherwise they are those of the plan.
    """
    spec = compiler.spec
    groups = fusion_groups(graph, spec, plan.cut)
    compiler = compiler.laid_out(groups, plan.mappings)
    evaluator.tensors = compiler.layout.regions()
    compiler.search(groups, graph.runs)
    estimates: dict[str, Report] = {}
    simulations: dict[str, Report] = {}
    turns: list[TurnsChoice] = []
    noted: list[FusionGroup] = []
    fixed = {how.consumer: how for how in plan.turns}
    for members in paired(groups, graph) if takes_turns else together(groups, plan.turns, graph, spec):
        for group in members:
            compiler.settle(group, evaluator)
        evaluations, choice = _run_together(members, compiler, evaluator, settings, fixed.get(members[-1].name))
        turns += [choice] if choice is not None else []
        for group, (expected, measured, note) in zip(members, evaluations, strict=True):
            noted.append(replace(group, note="; ".join(filter(None, (group.note, note)))))
            for estimate, simulation in zip(group_rows(group, expected), group_rows(group, measured), strict=True):
                estimates[estimate.name] = estimate
                simulations[simulation.name] = simulation
                if progress is not None:
                    progress(len(simulations), len(graph.operators), simulation)
    return RunResult(
        graph,
        spec,
        compiler.prices,
        tuple(noted),
        compiler.mappings,
        _whole(graph, estimates),
        _whole(graph, simulations),
        compiler.searches,
        settings,
        tuple(turns),
    )


def _whole(graph: OpGraph, rows: Mapping[str, Report]) -> Report:
    """Return the report of a model; where its layers differ, each row counts for all layers that run it."""
    parts = [repeated(rows[op.name], graph.runs(op.name) // graph.repeat) for op in graph.operators]
    return model_report(graph.name, parts, graph.repeat)


def _run_together(
    groups: tuple[FusionGroup, ...],
    compiler: Compiler,
    evaluator: Evaluator,
    settings: RunSettings,
    how: Interleaving | None,
) -> tuple[Sequence[Evaluation], TurnsChoice | None]:
    """Estimate and simulate a group, or two groups that take turns: as ``how`` says, or in the best way."""
    if len(groups) == 1 or not all(map(compiler.is_simulated, groups)):
        if how is not None:
            raise MappingError(f"{how.producer} and {how.consumer}: a program is too long to be simulated in turns")
        return tuple(evaluator.run(group, compiler.lower(group)) for group in groups), None
    producer, consumer = groups
    if how is not None:
        return run_given(evaluator, (producer, consumer), compiler.in_turns(producer, consumer, how), how)
    ways = {
        how: partial(compiler.in_turns, producer, consumer, how) for how in choices(producer, consumer, compiler.spec)
    }
    return run_pair(evaluator, (producer, consumer), compiler.lower, ways, settings.objective)


def named_cut(graph: OpGraph, spec: HardwareSpec, name: str | Path) -> FusionPlan:
    """Return the cut that a setting names, other than the best one; raises as `mapper.graph.cut_file.read_plan`."""
    if name == LIBRARY_CUT:
        return FusionPlan(library_cut(graph, spec))
    return FusionPlan(default_cut(graph, spec)) if name == UNFUSED else read_plan(name, graph, spec)


def check_numbers(result: RunResult, *, seed: int = 0, step: float | None = None) -> NumbersCheck:
    """Execute the programs of a run on random integers and compare what every group writes with its operators.

    Parameters
    ----------
    result
        What was mapped.
    seed
        Of weights and inputs.
    step
        Real value of a step of the sums that softmax, LayerNorm or GELU take; None: as they spread.

    Raises
    ------
    MappingError
        When a step is none that the unit's integers can have, or a program is too long.
    """
    # Execution on numbers is loaded by the few runs that ask for it.
    from mapper.evaluation.numbers import NumbersRun

    settings = result.settings
    # Numbers lie in bytes: what packs and widens them changes none.
    layout = lay_out(result.groups)
    compiler = replace(_compiler(result.graph, result.spec, settings, None), layout=layout, searches=result.searches)
    for group in result.groups:
        if not compiler.is_simulated(group):
            raise MappingError(f"{group.name}: its program is too long to be executed on numbers")
    return NumbersRun(result.spec, layout, np.random.default_rng(seed), step).run(_steps(result, compiler))


def _steps(result: RunResult, compiler: Compiler) -> Iterator[Step]:
    """Yield the groups of a run with their programs, in the order in which they ran."""
    from mapper.evaluation.numbers import apart

    turns = {choice.how.consumer: choice.how for choice in result.turns}
    first = {how.producer for how in turns.values()}
    for group in result.groups:
        if group.name in turns:
            how = turns[group.name]
            producer = result.group(how.producer)
            programs = compiler.in_turns(producer, group, how)
            yield (producer, group), programs
        elif group.name not in first:
            yield from apart([group], compiler.lower)


def search_graph(
    graph: OpGraph,
    spec: HardwareSpec,
    settings: RunSettings | None = None,
    *,
    progress: SearchProgress | None = None,
    **options: Unpack[RunOptions],
) -> dict[str, MappingResult]:
    """Search the mapping of every matmul that `run_graph` runs, by name of its group, and simulate nothing.

    With ``objective="pareto"`` each result has the whole front. An interrupted search returns what it found so far.
    """
    chosen = _settings(settings, options)
    groups, compiler = _grouped(graph, spec, chosen)
    results = {}
    for group in groups:
        if group.unit == "array":
            space = LoopSpace(compiler.problem(group), spec, compiler.prices)
            results[group.name] = search(space, chosen.objective, chosen.search, chosen.strategy_options(progress))
    return results


def front_graph(
    graph: OpGraph,
    spec: HardwareSpec,
    settings: RunSettings | None = None,
    *,
    progress: SearchProgress | None = None,
    **options: Unpack[RunOptions],
) -> dict[str, MappingResult]:
    """Search the Pareto front of every matmul and simulate its points on cold caches, by name of its group.

    Whoever may win a single objective is simulated, too, unless the front was searched by sampling. An interrupted
    search, one with ``finalists=0``, and one of which a point is too long to simulate, return the front of the
    estimate.
    """
    chosen = replace(_settings(settings, options), objective="pareto")
    results = search_graph(graph, spec, chosen, progress=progress)
    if chosen.finalists == 0:
        return results
    groups, compiler = _grouped(graph, spec, chosen)
    proved = chosen.search == registry.DEFAULT_METHOD
    for group in groups:
        result = results.get(group.name)
        if result is not None and not result.interrupted and compiler.can_simulate(group, result.front):
            space = LoopSpace(compiler.problem(group), spec, compiler.prices)
            singles = (search(space, objective, chosen.search) for objective in OBJECTIVES if proved)
            results[group.name] = settled_front(result, singles, compiler.trial_on_cold_caches(group))
    return results


def _grouped(graph: OpGraph, spec: HardwareSpec, settings: RunSettings) -> tuple[tuple[FusionGroup, ...], Compiler]:
    """Return the fusion groups of a graph, and what searches and lowers them."""
    groups = fusion_groups(graph, spec)
    return groups, _compiler(graph, spec, settings, None).laid_out(groups)


def _compiler(graph: OpGraph, spec: HardwareSpec, settings: RunSettings, strategy: Strategy | None) -> Compiler:
    """Return what searches and lowers the groups of a graph, whatever its cut."""
    require(spec)
    prices = hwconfigs.load_energy(settings.energy or spec.energy).bind(spec)
    found_by = strategy or SearchStrategy(settings.objective, settings.search, settings.strategy_options())
    return Compiler(spec, prices, lay_out(()), found_by)
