"""``tilewright compare``: machines, models, contexts and reports side by side, with ratios to the first."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import hwconfigs
from hwconfigs.textfiles.reading import MOST_JSON_BYTES, UnreadableFile, read_text
from mapper import pipeline
from mapper.commands.answers import Answer, json_file
from mapper.commands.machine import overrides
from mapper.commands.machines import RUN_MACHINE
from mapper.commands.outputs import open_outputs
from mapper.commands.problems import CommandError
from mapper.commands.progress import OperatorProgress
from mapper.commands.shape_options import dims_of
from mapper.errors import SweepError
from mapper.reports.comparison import Side, comparison_dict, comparison_text
from mapper.reports.documents import DocumentError
from mapper.reports.run_json import run_dict
from mapper.settings import RunSettings
from mapper.sweep.definition import Sweep
from mapper.sweep.points import Resolver, Task, points_of
from mapper.version import __version__


@dataclass(frozen=True, slots=True)
class Item:
    """What one word of the command line names: a report that was written, or a run to make."""

    text: str
    report: object | None
    task: Task | None


def execute(options: argparse.Namespace) -> int:
    """Read and check every item, then run what is to be run, and print."""
    if len(options.items) < 2:
        raise CommandError("compare needs at least two items; 'tilewright run' shows one")
    with ExitStack() as stack:
        outputs = open_outputs(stack, {"json": options.json}, (*options.items, options.model, options.hw))
        items = [_item(text, options) for text in options.items]
        if all(item.task is None for item in items):
            _refuse_options(options)
        sides = [_side(item) for item in items]
        answer = Answer(comparison_text(sides), {"json": json_file(lambda: comparison_dict(sides, __version__))})
        return answer.deliver(outputs)


OF_RUNS = ("model", "hw", "objective", "energy", "finalists", "seq", "context", "source", "bits", "overrides")
"""Options that only runs have a use for, empty if they are not given."""

DEFAULTS = {"phase": "prefill", "batch": 1, "causal": "full", "lm_head": False}


def _refuse_options(options: argparse.Namespace) -> None:
    """Reports say what they say: whoever gives options of a run takes them for runs."""
    given = [name for name in OF_RUNS if getattr(options, name) not in (None, [])]
    given += [name for name, default in DEFAULTS.items() if getattr(options, name) != default]
    if given:
        words = ", ".join("--set" if name == "overrides" else f"--{name.replace('_', '-')}" for name in given)
        raise CommandError(f"{words}: of no use: every item is a report, which was run already")


def _item(text: str, options: argparse.Namespace) -> Item:
    name, *settings = text.split(",")
    if name.endswith(".json") and not settings and (report := _report(Path(name))) is not None:
        return Item(text, report, None)
    model, machine = _named(name, options)
    values: dict[str, object] = {}
    for setting in settings:
        key, _, value = (part.strip() for part in setting.partition("="))
        if not key or not value or key in values:
            raise CommandError(f"{text}: {setting!r}: must be KEY=VALUE, once for each key, as in context=512")
        values[key] = _plain(value)
    return Item(text, None, _task(text, model, machine, values, options))


def _named(name: str, options: argparse.Namespace) -> tuple[str, str]:
    """Return model and machine of an item."""
    model, at, machine = name.partition("@")
    if at and model and machine:
        return model, machine
    if at:
        raise CommandError(f"{name}: write MODEL@MACHINE, as in bert-base@gemmini")
    if options.model is not None:
        return options.model, name
    if name in hwconfigs.available():
        raise CommandError(f"{name} is a machine: say with --model what it is to run, as in --model bert-base")
    return name, options.hw or RUN_MACHINE


def _report(path: Path) -> object | None:
    """Return the report in a file; None if it is another document, such as a model's configuration."""
    try:
        document: object = json.loads(read_text(path, MOST_JSON_BYTES))
    except UnreadableFile as problem:
        raise CommandError(f"{path}: cannot be read: {problem}") from None
    except (ValueError, RecursionError):
        raise CommandError(f"{path}: is no JSON") from None
    return document if isinstance(document, dict) and "schema" in document else None


def _plain(text: str) -> object:
    """Return a number where a text is one; machine fields keep their units."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _task(text: str, model: str, machine: str, values: dict[str, object], options: argparse.Namespace) -> Task:
    settings = RunSettings(
        seq=options.seq,
        phase=options.phase,
        context=options.context,
        source=options.source,
        causal=options.causal,
        lm_head=options.lm_head,
        dims=dims_of(options),
        routing=options.routing,
        bits=options.bits,
        batch=options.batch,
        energy=options.energy,
        objective=options.objective or "latency",
        finalists=options.finalists,
        overrides=overrides(options.overrides),
    )
    axes = {key: [value] for key, value in values.items()}
    try:
        (point,) = points_of(Sweep.of(model, machine, settings, axes=axes))
    except SweepError as problem:
        lines = [f"{text}: {line.removeprefix('axes: ')}" for line in str(problem).splitlines()]
        raise CommandError("\n".join(lines)) from None
    task = Resolver(__version__).task(point)
    if task.problem:
        raise CommandError(task.problem if task.problem.startswith(f"{text}: ") else f"{text}: {task.problem}")
    return task


def _side(item: Item) -> Side:
    try:
        return Side.of(item.text, _run(item.task) if item.task is not None else item.report)
    except DocumentError as problem:
        raise CommandError(f"{item.text}: {problem}") from None


def _run(task: Task) -> dict[str, object]:
    assert task.graph is not None and task.spec is not None, "items with a problem were refused"
    with OperatorProgress() as progress:
        return run_dict(pipeline.run_graph(task.graph, task.spec, task.point.settings, progress=progress))
