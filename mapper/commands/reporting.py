"""A result as text on the screen and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mapper.commands.answers import Answer, json_file, picture_file
from mapper.commands.problems import CommandError
from mapper.reports import run_tables
from mapper.reports.die import die_lines
from mapper.reports.host_constants import constants_sentence, host_constants, unused_kernels
from mapper.reports.roofline import closing_sentence
from mapper.reports.run_json import run_dict
from mapper.reports.text import wrapped
from simulator.views.style import NOTEBOOK, Size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mapper.result import RunResult
    from workloads import OpGraph


def summary(result: RunResult, *, explained: bool = False) -> str:
    """What ``run`` and ``map`` print: the table, the units' time, totals, and what bounds the run.

    ``explained`` adds a table of the cycles by cause.
    """
    graph, spec, simulation = result.graph, result.spec, result.simulation
    many = "" if len(graph.operators) == 1 else f"{blocks_of(graph)}{len(graph.operators)} operators, "
    leads = {op.name: group.name for group in result.groups for op in group.epilogue}
    notes = {group.name: group.note for group in result.groups}
    constants = host_constants(result)
    return "\n".join(
        [
            *wrapped(f"{graph.name} on {spec.name}: {many}{graph.macs:,} MACs"),
            *position_lines(graph),
            *model_notes(graph),
            *(line for remark in unused_kernels(graph, spec) for line in wrapped(remark)),
            "",
            run_tables.run_table(simulation, result.estimate, graph.repeat, leads, constants.marks),
            *run_tables.note_lines(notes),
            "",
            *([*run_tables.cause_lines(simulation), ""] if explained else []),
            *run_tables.time_lines(simulation),
            "",
            *run_tables.energy_lines(simulation),
            "",
            *die_lines(result.prices),
            "",
            run_tables.total_line(simulation),
            *wrapped(closing_sentence(graph, spec, simulation)),
            *wrapped(constants_sentence(constants, spec.name)),
        ]
    )


def blocks_of(graph: OpGraph) -> str:
    """How often each kind of block runs."""
    if len(graph.kinds) < 2:
        return f"{graph.repeat} x "
    return ", ".join(f"{len(kind.layers)} x {kind.name}" for kind in graph.kinds) + "; "


def model_notes(graph: OpGraph) -> list[str]:
    """What the reader of a model's file says of keys that were filled in or are not modelled."""
    notes, bits = graph.config.get("notes"), graph.config.get("bits")
    odd = [f"{role}={width}" for role, width in bits.items() if isinstance(width, int) and width % 8] if (
        isinstance(bits, dict)
    ) else []  # fmt: skip
    if odd:
        moved = f"{', '.join(odd)} bits: machines hold and move whole bytes; the bytes of 'show model' are packed"
        notes = [*(notes if isinstance(notes, list) else []), moved]
    return [line for note in (notes if isinstance(notes, list) else []) for line in wrapped(f"note: {note}")]


def position_lines(graph: OpGraph) -> list[str]:
    """A line if the sequence is longer than the model was trained with; the run itself is as good as any."""
    asked = graph.config
    trained, seq, context = (asked.get(key) for key in ("max_positions", "seq", "context"))
    if not (isinstance(trained, int) and isinstance(seq, int) and isinstance(context, int)) or seq + context <= trained:
        return []
    return [f"note: sequence {seq + context} is longer than the {trained} positions {asked['model']} was trained with"]


def run_answer(
    result: RunResult,
    *,
    explained: bool,
    above: Sequence[str] = (),
    below: Sequence[str] = (),
    window: tuple[int, int] | None = None,
    size: Size = NOTEBOOK,
) -> Answer:
    """What ``run`` and ``map`` say of a run, between more lines; the report as JSON, the trace and the breakdown.

    ``window``: first cycle, and the one after the last, of what the trace shows; ``size``: that of the breakdown.
    """
    return Answer(
        "\n".join([*above, summary(result, explained=explained), *below]),
        {
            "json": json_file(lambda: run_dict(result)),
            "trace": lambda path, ending: _write_trace(result, path, ending, window),
            "plot": picture_file(lambda: _breakdown(result, size)),
        },
    )


def _write_trace(result: RunResult, path: Path, ending: str, window: tuple[int, int] | None) -> None:
    from simulator.views.perfetto import write_trace

    cycles = result.simulation.cycles
    if window is not None and window[0] >= cycles:
        raise CommandError(f"--trace-window {window[0]}:{window[1]}: nothing runs there, the run has {cycles:,} cycles")
    write_trace(result.simulation, path, compressed=ending == ".gz", window=window)


def _breakdown(result: RunResult, size: Size) -> Figure:
    from simulator.views.plots import breakdown, draw_breakdown

    marks = host_constants(result).marks
    estimated = tuple(part for part in result.estimate.by_op if part.name not in marks)
    absorbed = {op.name: group.name for group in result.groups for op in group.epilogue}
    return draw_breakdown(breakdown(result.simulation, replace(result.estimate, by_op=estimated), absorbed), size)
