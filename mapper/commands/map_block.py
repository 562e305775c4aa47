"""``tilewright map-block``: the operators of a model fused in loop nests, proved by formulas; nothing is simulated."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hwconfigs
import workloads
from mapper import pipeline
from mapper.commands.answers import SPELT_OUT, Answer, Writer, json_file, picture_file
from mapper.commands.machine import overrides
from mapper.commands.outputs import open_outputs
from mapper.commands.problems import CommandError
from mapper.commands.shape_options import dims_of
from mapper.fused.cut import LARGEST_GROUP, Cut, CutResult, FusedCutSearch
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.from_graph import FusedModel, fused_model
from mapper.fused.rules import Rules
from mapper.fused.tree_file import dump_cut, read_cut
from mapper.nest.model.hierarchy import Hierarchy
from mapper.reports.fused_report import front_lines, fused_dict, fused_text
from mapper.reports.text import wrapped
from mapper.search.budget import Budget
from mapper.version import __version__
from simulator.views.style import SIZES, Size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = "tilewright.fused/1"
SEARCH_ONLY = ("largest_group", "budget")
ONE_CUT_ONLY = ("yaml", "plot")


@dataclass(frozen=True, slots=True)
class BlockCase:
    """What is fused, where, and under which rules."""

    model: FusedModel
    machine: FlatMachine
    rules: Rules
    title: str
    size: Size
    """Of its picture."""

    def search(self, seconds: float | None = None) -> FusedCutSearch:
        """Return a search of cuts."""
        return FusedCutSearch(self.model.graph, self.machine, self.rules, seconds)


def execute(options: argparse.Namespace) -> int:
    """Fuse, price and print."""
    _check(options)
    with ExitStack() as stack:
        files = {"json": options.json, "yaml": options.yaml, "plot": options.plot}
        outputs = open_outputs(stack, files, (options.model, options.hw, options.energy, options.trees))
        return _answer(options, _case(options)).deliver(outputs)


def _check(options: argparse.Namespace) -> None:
    """Refuse options that would have no effect."""
    if options.trees is not None:
        for name in SEARCH_ONLY:
            if getattr(options, name) is not None:
                raise CommandError(f"--{name.replace('_', '-')} has no meaning with --trees: nothing is searched")
        if options.objective == "pareto":
            raise CommandError("--objective pareto has no meaning with --trees: it is one cut")
    for name in ONE_CUT_ONLY:
        if options.objective == "pareto" and getattr(options, name) is not None:
            raise CommandError(f"--{name} has no meaning with --objective pareto: a front is many cuts")
    if options.largest_group is not None and options.largest_group < 1:
        raise CommandError(f"--largest-group {options.largest_group}: must be at least 1")


def _case(options: argparse.Namespace) -> BlockCase:
    spec = pipeline.load(options.hw, overrides(options.overrides))
    prices = hwconfigs.load_energy(options.energy or spec.energy).bind(spec)
    machine = FlatMachine.of(Hierarchy.of(spec, prices))
    graph = workloads.build(
        options.model,
        seq=options.seq,
        phase=options.phase,
        context=options.context,
        batch=options.batch,
        source=options.source,
        causal=options.causal,
        lm_head=options.lm_head,
        dims=dims_of(options),
        routing=options.routing,
        bits=None if options.bits is None else workloads.Bits.parse(options.bits),
    )
    only = None if options.only is None else [name.strip() for name in options.only.split(",")]
    model = fused_model(graph, only)
    count = len(model.graph.operators)
    title = f"{graph.name} on {machine.name}: {count} operators of one block in loop nests, {graph.repeat} such blocks"
    return BlockCase(model, machine, Rules(options.cut_rows, options.narrow_sums), title, SIZES[options.size])


def _answer(options: argparse.Namespace, case: BlockCase) -> Answer:
    if options.trees is not None:
        cut = read_cut(Path(options.trees), case.model.graph, case.machine, case.rules)
        unfused = case.search().run("edp", 1).cuts[0]
        return _cut_answer(case, cut, unfused, f"fixed: {options.trees}, not searched")
    search = case.search(_seconds(options.budget))
    result = search.run(options.objective, options.largest_group or LARGEST_GROUP)
    interrupted = result.status == "stopped" and options.budget is None
    if options.objective == "pareto":
        return _front_answer(case, result, interrupted=interrupted)
    unfused = case.search().run(options.objective, 1).cuts[0]
    answer = _cut_answer(case, result.cuts[0], unfused, result.statement)
    return Answer(answer.text, answer.files, interrupted)


def _seconds(budget: str | None) -> float | None:
    if budget is None:
        return None
    seconds = Budget.parse(budget).seconds
    if seconds is None:
        raise CommandError(f"--budget {budget}: write a time (2s, 500ms, 5min)")
    return seconds


def _cut_answer(case: BlockCase, cut: Cut, unfused: Cut, found_by: str) -> Answer:
    lines = [case.title, "", fused_text(cut, unfused), "", *wrapped(found_by), *_conditions(case)]
    document = {
        "schema": SCHEMA,
        "version": __version__,
        "machine": case.machine.name,
        "rules": case.rules.name,
        "applied_on_the_way_out": case.model.applied,
        "cut": fused_dict(cut),
        "unfused": fused_dict(unfused),
    }

    def write_trees(path: Path, ending: str) -> None:
        del ending
        path.write_text(dump_cut(cut, case.model.graph, case.machine), encoding="utf-8", errors=SPELT_OUT)

    def picture() -> Figure:
        from mapper.plots.loop_trees import draw_trees, tree_picture

        return draw_trees(tree_picture(f"{case.model.graph.name} on {case.machine.name}", cut), case.size)

    files: dict[str, Writer] = {"json": json_file(lambda: document), "yaml": write_trees, "plot": picture_file(picture)}
    return Answer("\n".join(lines), files)


def _front_answer(case: BlockCase, result: CutResult, *, interrupted: bool) -> Answer:
    lines = [case.title, "", *front_lines(result.cuts), "", *wrapped(result.statement), *_conditions(case)]
    document = {
        "schema": SCHEMA,
        "version": __version__,
        "machine": case.machine.name,
        "rules": case.rules.name,
        "front": [fused_dict(cut) for cut in result.cuts],
    }
    return Answer("\n".join(lines), {"json": json_file(lambda: document)}, interrupted)


def _conditions(case: BlockCase) -> list[str]:
    """What the figures are, and what they are not."""
    lines = [
        f"rules: {case.rules.name}; AccelForge's accounting: an operator takes as long as its busiest unit, operators "
        "run one after another, every tensor bypasses an L2, a vector unit takes 16 elements a cycle for 0.2 pJ each, "
        "results pass from the accumulator into the scratchpad; estimated by formulas, not simulated: Gemmini has no "
        "such path"
    ]
    for activation, product in case.model.applied.items():
        lines.append(f"{activation} is applied as the results of {product} leave the accumulator")
    return [part for line in lines for part in wrapped(line)]
