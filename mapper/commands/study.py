"""``tilewright study``: published experiments, repeated, beside the published figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mapper.commands.exit_codes import INTERRUPTED
from mapper.commands.outputs import Output
from mapper.commands.problems import CommandError
from mapper.studies import fusion, fusion_report, mapspace, mapspace_report
from mapper.studies.mapspace import Distribution

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 1 << 20
"""Largest number of tokens, or of KiB of an accumulator."""


OF_MAPSPACE = ("samples", "seed", "layers", "iso_macs", "spatial")
OF_FUSION = ("tokens", "accumulator")
"""Options of one study, which the other does not take."""


def execute(options: argparse.Namespace) -> int:
    """Run a study, print its table and write its files; an interrupt keeps what is finished."""
    for name in OF_FUSION if options.name == "mapspace" else OF_MAPSPACE:
        if getattr(options, name):
            raise CommandError(f"--{name.replace('_', '-')} has no meaning for the study {options.name!r}")
    return _mapspace(options) if options.name == "mapspace" else _fusion(options)


def _fusion(options: argparse.Namespace) -> int:
    """Fuse pairs of operators, and do not, for every length and accumulator."""
    lengths = _whole_numbers("tokens", options.tokens, fusion.LENGTHS)
    accumulators = _whole_numbers("accumulator", options.accumulator, fusion.ACCUMULATORS)
    finished: list[fusion.Entry] = []
    interrupted = False
    with ExitStack() as stack:
        outputs = _outputs(stack, options.out, {"png": "fusion.png", "summary": "fusion.csv"})
        advance = stack.enter_context(_bar(len(lengths) * len(accumulators) * len(fusion.PAIRS)))
        try:
            for entry in fusion.run(lengths, accumulators, advance):
                finished.append(entry)
        except KeyboardInterrupt:
            if not finished:
                raise
            interrupted = True
        print(fusion_report.text(finished), flush=True)
        if outputs:
            _finish(outputs, fusion_report.draw(finished), {"summary": fusion_report.as_csv(finished)})
    return INTERRUPTED if interrupted else 0


def _whole_numbers(name: str, text: str | None, default: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of an option, each once, in its order; a `CommandError` names what is none."""
    if text is None:
        return default
    numbers = [word.strip() for word in text.split(",")]
    wrong = [word for word in numbers if not word.isdecimal() or not 0 < int(word) <= MOST]
    if wrong:
        raise CommandError(f"--{name} {text}: {wrong[0]!r} is no whole number of 1 to {MOST:,}")
    return tuple(dict.fromkeys(map(int, numbers)))


def _mapspace(options: argparse.Namespace) -> int:
    """Draw random mappings of every operator."""
    samples = mapspace.SAMPLES if options.samples is None else options.samples
    layers = mapspace.chosen(options.layers, options.iso_macs)
    samplers = tuple(mapspace.SAMPLERS) if options.spatial is None else (options.spatial,)
    name = "mapspace_iso_macs" if options.iso_macs else "mapspace"
    finished: list[Distribution] = []
    with ExitStack() as stack:
        names = {"png": f"{name}.png", "summary": f"{name}.csv", "cdf": f"{name}_cdf.csv"}
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
        _write(finished, outputs)
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


def _write(finished: list[Distribution], outputs: dict[str, Output]) -> None:
    if not outputs:
        return
    figure = mapspace_report.draw(mapspace_report.curves(finished))
    tables = {"summary": mapspace_report.summary_csv(finished), "cdf": mapspace_report.cdf_csv(finished)}
    _finish(outputs, figure, tables)


def _finish(outputs: Mapping[str, Output], figure: Figure, tables: Mapping[str, str]) -> None:
    """Write the picture and the tables of a study."""
    from simulator.views.plots import save

    outputs["png"].finish(lambda path: save(figure, path, "png"))
    for purpose, content in tables.items():
        outputs[purpose].finish(lambda path, content=content: path.write_text(content, encoding="utf-8"))  # type: ignore[misc]


@contextmanager
def _bar(total: int) -> Iterator[Callable[[str], object]]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda name: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit="operator", leave=False, file=sys.stderr) as bar:

        def advance(name: str) -> None:
            bar.set_description(name, refresh=False)
            bar.update(1)

        yield advance
