"""``tilewright study``: published experiments, repeated, beside the published figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mapper.commands.exit_codes import INTERRUPTED
from mapper.commands.outputs import Output
from mapper.commands.problems import CommandError
from mapper.studies import mapspace, mapspace_report
from mapper.studies.mapspace import Distribution


def execute(options: argparse.Namespace) -> int:
    """Run the study, print its table and write its files; an interrupt keeps what is finished."""
    layers = mapspace.chosen(options.layers, options.iso_macs)
    samplers = tuple(mapspace.SAMPLERS) if options.spatial is None else (options.spatial,)
    name = "mapspace_iso_macs" if options.iso_macs else "mapspace"
    finished: list[Distribution] = []
    with ExitStack() as stack:
        outputs = _outputs(stack, options.out, name)
        advance = stack.enter_context(_bar(len(layers) * len(samplers)))

        def told(distribution: Distribution) -> None:
            finished.append(distribution)
            advance(distribution.layer.name)

        interrupted = False
        try:
            mapspace.run(layers, samplers, options.samples, options.seed, progress=told)
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


def _outputs(stack: ExitStack, folder: str | None, name: str) -> dict[str, Output]:
    """The files of a study, checked before the work."""
    if folder is None:
        return {}
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise CommandError(f"{folder}: cannot be made: {(problem.strerror or str(problem)).lower()}") from problem
    names = {"png": f"{name}.png", "summary": f"{name}.csv", "cdf": f"{name}_cdf.csv"}
    return {purpose: stack.enter_context(Output(str(place / file))) for purpose, file in names.items()}


def _write(finished: list[Distribution], outputs: dict[str, Output]) -> None:
    if not outputs:
        return
    from simulator.views.plots import save

    figure = mapspace_report.draw(mapspace_report.curves(finished))
    outputs["png"].finish(lambda path: save(figure, path, "png"))
    for purpose, content in (
        ("summary", mapspace_report.summary_csv(finished)),
        ("cdf", mapspace_report.cdf_csv(finished)),
    ):
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
