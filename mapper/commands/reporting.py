"""A result as text on the screen and as files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mapper.reports import run_tables
from mapper.reports.roofline import sentence
from mapper.reports.run_json import run_text
from mapper.reports.text import wrapped

if TYPE_CHECKING:
    from mapper.commands.outputs import Output
    from mapper.result import RunResult
    from workloads import OpGraph


def summary(result: RunResult, *, explained: bool = False) -> str:
    """What ``run`` and ``map`` print: the table, the units' time, totals, and what bounds the run.

    ``explained`` adds a table of the cycles by cause.
    """
    graph, spec, simulation = result.graph, result.spec, result.simulation
    many = "" if len(graph.operators) == 1 else f"{graph.repeat} x {len(graph.operators)} operators, "
    leads = {op.name: group.name for group in result.groups for op in group.epilogue}
    notes = {group.name: group.note for group in result.groups}
    return "\n".join(
        [
            *wrapped(f"{graph.name} on {spec.name}: {many}{graph.macs:,} MACs"),
            *position_lines(graph),
            "",
            run_tables.run_table(simulation, result.estimate, graph.repeat, leads),
            *run_tables.note_lines(notes),
            "",
            *([*run_tables.lost_lines(simulation), ""] if explained else []),
            *run_tables.time_lines(simulation),
            "",
            *run_tables.energy_lines(simulation),
            "",
            run_tables.total_line(simulation),
            *wrapped(sentence(graph, spec, simulation)),
        ]
    )


def position_lines(graph: OpGraph) -> list[str]:
    """A line if the sequence is longer than the model was trained with; the run itself is as good as any."""
    asked = graph.config
    trained, seq, context = (asked.get(key) for key in ("max_positions", "seq", "context"))
    if not (isinstance(trained, int) and isinstance(seq, int) and isinstance(context, int)) or seq + context <= trained:
        return []
    return [f"note: sequence {seq + context} is longer than the {trained} positions {asked['model']} was trained with"]


def write_outputs(result: RunResult, objective: str, outputs: Mapping[str, Output]) -> None:
    """Write the files that were asked for."""
    if "json" in outputs:
        outputs["json"].finish(lambda path: path.write_text(run_text(result, objective), encoding="utf-8"))
    if "trace" in outputs:
        from simulator.views.perfetto import write_trace

        packed = outputs["trace"].path.suffix == ".gz"
        outputs["trace"].finish(lambda path: write_trace(result.simulation, path, compressed=packed))
    if "plot" in outputs:
        from simulator.views.plots import breakdown, draw_breakdown, save

        figure = draw_breakdown(breakdown(result.simulation, result.estimate))
        kind = outputs["plot"].path.suffix[1:].lower()
        outputs["plot"].finish(lambda path: save(figure, path, kind))
