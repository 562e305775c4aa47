"""``tilewright study``: published experiments, repeated, beside the published figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mapper.commands import study_plans
from mapper.commands.exit_codes import INTERRUPTED
from mapper.commands.outputs import Output
from mapper.commands.problems import CommandError
from mapper.commands.study_options import OPTIONS
from mapper.studies import mapspace, mapspace_report
from mapper.studies.mapspace import Distribution
from mapper.studies.study import StudyPlan
from simulator.views.style import SIZES, Size, drawn_at, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE = "picture"
"""Purpose of a file."""


def execute(options: argparse.Namespace) -> int:
    """Run a study, print its table and write its files; an interrupt keeps what is finished."""
    taken = OPTIONS[options.name]
    for name in dict.fromkeys(name for names in OPTIONS.values() for name in names):
        if name not in taken and getattr(options, name) not in (None, False):
            raise CommandError(f"--{name.replace('_', '-')} has no meaning for the study {options.name!r}")
    return _mapspace(options) if options.name == "mapspace" else _planned(options)


def _planned(options: argparse.Namespace) -> int:
    """Do the steps of a study one after another and tell what they found, also after an interrupt."""
    plan: StudyPlan = study_plans.PLANS[options.name](options)
    interrupted = False
    with ExitStack() as stack:
        picture = f"{options.name}.{options.format}"
        outputs = _outputs(stack, options.out, {name: name for name in (picture, *plan.tables)})
        advance = stack.enter_context(_bar(plan.steps))
        done = 0
        try:
            for name in plan.work:
                done += 1
                advance(name)
        except KeyboardInterrupt:
            if not done:
                raise
            interrupted = True
        outcome = plan.outcome()
        print(outcome.text, flush=True)
        if interrupted:
            print(f"interrupted: {done} of {plan.steps} steps", flush=True)
        if outputs:
            _finish(outputs, picture, drawn_at(SIZES[options.size], outcome.figure), outcome.tables)
    return INTERRUPTED if interrupted else 0


def _mapspace(options: argparse.Namespace) -> int:
    """Draw random mappings of every operator."""
    samples = mapspace.SAMPLES if options.samples is None else options.samples
    layers = mapspace.chosen(options.layers, options.iso_macs)
    samplers = tuple(mapspace.SAMPLERS) if options.spatial is None else (options.spatial,)
    name = "mapspace_iso_macs" if options.iso_macs else "mapspace"
    finished: list[Distribution] = []
    with ExitStack() as stack:
        names = {PICTURE: f"{name}.{options.format}", "summary": f"{name}.csv", "cdf": f"{name}_cdf.csv"}
        outputs = _outputs(stack, options.out, names)
        advance = stack.enter_context(_bar(len(layers) * len(samplers)))

        def told(distribution: Distribution) -> None:
            finished.append(distribution)
            advance(distribution.layer.name)

        interrupted = False
        try:
            mapspace.run(layers, samplers, samples, options.seed or 0, progress=told)
        except KeyboardInterrupt:
            if not finished:
                raise
            interrupted = True
        print(mapspace_report.text(finished))
        _write(finished, outputs, SIZES[options.size])
        if interrupted:
            print(f"interrupted: {len(finished)} of {len(layers) * len(samplers)} distributions", flush=True)
            return INTERRUPTED
    return 0


def _outputs(stack: ExitStack, folder: str | None, names: Mapping[str, str]) -> dict[str, Output]:
    """The files of a study by purpose, checked before the work."""
    if folder is None:
        return {}
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise CommandError(f"{folder}: cannot be made: {(problem.strerror or str(problem)).lower()}") from problem
    return {purpose: stack.enter_context(Output(str(place / file))) for purpose, file in names.items()}


def _write(finished: list[Distribution], outputs: dict[str, Output], size: Size) -> None:
    if not outputs:
        return
    figure = drawn_at(size, lambda: mapspace_report.draw(mapspace_report.curves(finished)))
    tables = {"summary": mapspace_report.summary_csv(finished), "cdf": mapspace_report.cdf_csv(finished)}
    _finish(outputs, PICTURE, figure, tables)


def _finish(outputs: Mapping[str, Output], picture: str, figure: Figure, tables: Mapping[str, str]) -> None:
    """Write the picture and the tables of a study."""
    output = outputs[picture]
    output.finish(lambda path: save(figure, path, output.path.suffix[1:]))
    for purpose, content in tables.items():
        outputs[purpose].finish(lambda path, content=content: path.write_text(content, encoding="utf-8"))  # type: ignore[misc]


@contextmanager
def _bar(total: int) -> Iterator[Callable[[str], object]]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda name: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit="step", leave=False, file=sys.stderr) as bar:

        def advance(name: str) -> None:
            bar.set_description(name, refresh=False)
            bar.update(1)

        yield advance
