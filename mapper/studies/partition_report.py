"""The partition calculator as tables beside the published values, as CSV, and as a picture."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from mapper.reports.text import columns, wrapped
from mapper.studies.partition import PALM, Partitions, best_over, best_x, run
from mapper.studies.study import StudyPlan, StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHIPS = (4, 4, 4)
STYLES: dict[str, str | tuple[int, tuple[int, int]]] = {
    "1-D": "-",
    "2-D": "--",
    "X": ":",
    "XY": "-.",
    "XYZ": (0, (1, 4)),
}


def plan(chips: tuple[int, int, int] = CHIPS) -> StudyPlan:
    """Return the study as work for the command."""
    found = Partitions(chips)

    def result() -> StudyResult:
        tables = {"partition.csv": values_csv(found), "partition_volumes.csv": volumes_csv(found)}
        return StudyResult(text(found), tables, lambda: draw(found))

    return StudyPlan(2, run(found), result, ("partition.csv", "partition_volumes.csv"))


def text(found: Partitions) -> str:
    """Return the published values beside ours, the layouts, and what the calculator leaves out."""
    head = ("closed forms, no simulation", "", "published", "ours", "diff.")
    rows = [
        (one.table, one.name, f"{one.published:,.6g}", f"{one.ours:,.6g}", f"{one.error:+.1%}") for one in found.values
    ]
    lines = columns([head, *rows], rules=(1,), right=(2, 3, 4))
    x, y, z = found.chips
    chips, big = x * y * z, PALM[2]
    if found.volumes:
        names = tuple(found.volumes[0][1])
        title = (f"tokens at once, {x} x {y} x {z} chips", *names, "least")
        table = [
            (f"{tokens:,}", *(f"{one / 1e6:,.1f}" for one in volumes.values()), min(volumes, key=volumes.__getitem__))
            for tokens, volumes in found.volumes
        ]
        lines += ["", f"{big.name}: million elements that a chip moves for the feed-forward part of a layer", ""]
        lines += [*columns([title, *table], rules=(1,), right=range(6)), ""]
        shapes = f"[tokens, {big.width // x:,}] x [{big.width // x:,}, {big.hidden // (y * z):,}]"
        lines += wrapped(
            f"Best cut of the width for {chips} chips: {best_x(chips):.2g}; weights of 16,384 tokens are best gathered "
            f"over {best_over(16_384, big.hidden, chips):.2g} chips. A chip multiplies {shapes} in the 2-D layout: "
            f"'tilewright map' takes such a product."
        )
    far = max(found.values, key=lambda one: abs(one.error), default=None)
    if far is not None:
        lines += wrapped(
            f"Farthest: {far.table}, {far.name}, {far.error:+.1%}. Utilisations are recomputed from printed latencies "
            f"of two digits. Volumes do not see the latency of a collective, which rules in decode: 0.17 ms a layer "
            f"were fitted to the measured steps on 1, 2 and 8 GPUs."
        )
    return "\n".join(lines)


def values_csv(found: Partitions) -> str:
    """Return a row for each published value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", "name", "published", "ours"])
    for one in found.values:
        writer.writerow([one.table, one.name, one.published, f"{one.ours:.6g}"])
    return out.getvalue()


def volumes_csv(found: Partitions) -> str:
    """Return a row for each number of tokens."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for number, (tokens, volumes) in enumerate(found.volumes):
        if number == 0:
            writer.writerow(["tokens", *volumes])
        writer.writerow([tokens, *(f"{value:.6g}" for value in volumes.values())])
    return out.getvalue()


def draw(found: Partitions) -> Figure:
    """Draw what a chip moves against the tokens, by layout."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    for name, style in STYLES.items():
        points = [(tokens, volumes[name]) for tokens, volumes in found.volumes]
        axes.plot(
            [point[0] for point in points], [point[1] for point in points], linestyle=style, marker=".", label=name
        )
    axes.set(xscale="log", yscale="log", xlabel="tokens at once", ylabel="elements moved by a chip for one layer")
    axes.set_title(
        f"{PALM[2].name} on {' x '.join(map(str, found.chips))} chips, by how the weights are cut", fontsize="medium"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, title="layout")
    return figure
