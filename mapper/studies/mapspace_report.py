"""The mapspace study as a table beside the published values, as CSV, and as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from mapper.reports.text import columns, wrapped
from mapper.studies.mapspace import METHOD, NEAR, QUANTILES, SAMPLERS, Distribution
from simulator.arrays import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#bbbbbb", "#222222")
LINES = ("-", "--", ":", "-.")
"""Tol's bright scheme: distinct for colour-blind readers."""
BINS = np.logspace(0, 5, 76)
"""Relative EDP, fifteen bins per factor of ten."""


def text(distributions: Sequence[Distribution]) -> str:
    """A table per sampler, published values last, then what to make of it."""
    lines: list[str] = []
    for sampler, meaning in SAMPLERS.items():
        sampled = [distribution for distribution in distributions if distribution.sampler == sampler]
        if sampled:
            lines += [f"EDP relative to the best of {len(sampled[0].relative):,} random mappings, {meaning}", ""]
            lines += [*columns([_headings(), *map(_row, sampled)], rules=(1,), right=range(1, 14)), ""]
    lines += wrapped(f"sampler: {METHOD}")
    for note in notes(distributions):
        lines += wrapped(note)
    return "\n".join(lines)


def _headings() -> tuple[str, ...]:
    quantiles = (f"{100 * share:g} %" for share in QUANTILES)
    return ("operator", "mappings", "legal", *quantiles, "worst", f"< {NEAR:g}x", "paper: 10 %", f"< {NEAR:g}x")


def _row(distribution: Distribution) -> tuple[str, ...]:
    paper = distribution.layer.published
    return (
        distribution.layer.name,
        f"{distribution.size:.2e}",
        f"{distribution.legal / distribution.size:.1%}",
        *(_short(distribution.quantile(share)) for share in QUANTILES),
        _short(distribution.spread),
        f"{distribution.under_3x:.2%}",
        *((f"{paper.percentile_10:.2f}", f"{paper.under_3x:.2%}") if paper else ("-", "-")),
    )


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def notes(distributions: Sequence[Distribution]) -> list[str]:
    """What holds of the published statements, worked out from these samples."""
    said = []
    by_sampler = {
        name: [distribution for distribution in distributions if distribution.sampler == name] for name in SAMPLERS
    }
    for name, sampled in by_sampler.items():
        published = [distribution for distribution in sampled if distribution.layer.published]
        if not published:
            continue
        near = sum(BAND_10[0] <= distribution.quantile(0.1) <= BAND_10[1] for distribution in published)
        share = sum(BAND_3X[0] <= distribution.under_3x <= BAND_3X[1] for distribution in published)
        said.append(
            f"{SAMPLERS[name]}: 10th percentile within {BAND_10[0]:g} to {BAND_10[1]:g} for {near}, share under "
            f"{NEAR:g}x within {BAND_3X[0]:.0%} to {BAND_3X[1]:.0%} for {share} of {len(published)} published operators"
            + _ordering(published)
        )
    if by_sampler["free"]:
        least = min(distribution.spread for distribution in by_sampler["free"])
        said.append(f"range with any part of the array: at least {least:,.0f}x from best to worst (paper: up to 10^4)")
    return [*said, *_bracket(by_sampler["free"], by_sampler["full"])]


BAND_10 = 5.0, 15.0
"""Relative EDP around the published 10th percentiles, 7.44 to 12.06."""
BAND_3X = 0.01, 0.03
"""Share around the published ones, 1.48 to 2.62 %."""


def _ordering(published: Sequence[Distribution]) -> str:
    """Operators by their 10th percentile, ours and the paper's."""
    if len(published) < 2:
        return ""
    ours = sorted(published, key=lambda distribution: distribution.quantile(0.1))
    paper = sorted(
        published,
        key=lambda distribution: distribution.layer.published.percentile_10 if distribution.layer.published else 0.0,
    )
    order = " < ".join(distribution.layer.name for distribution in ours)
    if ours == paper:
        return f"; their order is the paper's, {order}"
    return f"; their order is {order}, the paper's {' < '.join(distribution.layer.name for distribution in paper)}"


def _bracket(free: Sequence[Distribution], full: Sequence[Distribution]) -> list[str]:
    """Whether the published values lie between those of the two extreme samplers."""
    full_of = {distribution.layer.name: distribution for distribution in full}
    pairs = [
        (any_part, full_of[any_part.layer.name], any_part.layer.published)
        for any_part in free
        if any_part.layer.published and any_part.layer.name in full_of
    ]
    if not pairs:
        return []
    between = sum(
        full_array.quantile(0.1) <= paper.percentile_10 <= any_part.quantile(0.1)
        and any_part.under_3x <= paper.under_3x <= full_array.under_3x
        for any_part, full_array, paper in pairs
    )
    return [
        f"both published figures lie between those of the full array and of any part of it for {between} of "
        f"{len(pairs)} operators: the use of the array decides, and the paper does not say how it was constrained"
    ]


def summary_csv(distributions: Sequence[Distribution]) -> str:
    """A line per operator and sampler."""
    header = [
        "operator", "family", "array", "mappings", "legal", "samples", "best_edp_pj_cycles",
        *(f"relative_edp_quantile_{share:g}" for share in QUANTILES), "relative_edp_worst", "share_under_3x",
        "paper_relative_edp_quantile_0.1", "paper_share_under_3x",
    ]  # fmt: skip
    return _csv(header, map(_summary, distributions))


def _summary(distribution: Distribution) -> list[object]:
    paper = distribution.layer.published
    return [
        distribution.layer.name,
        distribution.layer.family,
        distribution.sampler,
        distribution.size,
        distribution.legal,
        len(distribution.relative),
        distribution.best_edp,
        *(distribution.quantile(share) for share in QUANTILES),
        distribution.spread,
        distribution.under_3x,
        *((paper.percentile_10, paper.under_3x) if paper else ("", "")),
    ]


def cdf_csv(distributions: Sequence[Distribution]) -> str:
    """Relative EDP at every thousandth of each distribution, best and worst among them."""
    shares = np.linspace(0.0, 1.0, 1001)
    rows = (
        [distribution.layer.name, distribution.sampler, f"{share:.3f}", distribution.quantile(float(share))]
        for distribution in distributions
        for share in shares
    )
    return _csv(["operator", "array", "share", "relative_edp"], rows)


def _csv(header: list[str], rows: Iterator[list[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Numbers of the picture of one sampler."""

    title: str
    names: tuple[str, ...]
    relative: tuple[Floats, ...]
    """Relative EDP, ascending."""
    histogram: tuple[Floats, ...]
    """Share of the mappings in each of `BINS`."""
    published: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]
    """(operator, ((relative EDP, share), ...)) of the paper."""


def curves(distributions: Sequence[Distribution]) -> list[Curves]:
    """Numbers of the picture: one set per sampler."""
    drawn = []
    for sampler, meaning in SAMPLERS.items():
        sampled = [distribution for distribution in distributions if distribution.sampler == sampler]
        if not sampled:
            continue
        histogram = tuple(
            np.histogram(distribution.relative, BINS)[0] / len(distribution.relative) for distribution in sampled
        )
        points = tuple(
            (distribution.layer.name, ((NEAR, paper.under_3x), (paper.percentile_10, 0.1)))
            for distribution in sampled
            if (paper := distribution.layer.published) is not None
        )
        title = f"{meaning}, {len(sampled[0].relative):,} mappings each"
        names = tuple(distribution.layer.name for distribution in sampled)
        drawn.append(Curves(title, names, tuple(distribution.relative for distribution in sampled), histogram, points))
    return drawn


def draw(info: Sequence[Curves]) -> Figure:
    """A row of panels per sampler: the share of mappings up to a relative EDP, and the histogram."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 0.9 + 4.0 * len(info)), layout="constrained")
    figure.suptitle("EDP of random legal mappings, relative to the best of them")
    panels = figure.subplots(len(info), 2, squeeze=False, sharex="col")
    for (left, right), curves_of_sampler in zip(panels, info, strict=True):
        _draw_shares(left, curves_of_sampler)
        _draw_histogram(right, curves_of_sampler)
        left.set_title(curves_of_sampler.title, fontsize="medium", loc="left")
        for axes in (left, right):
            axes.set_xscale("log")
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("EDP / least EDP")
            axes.grid(linewidth=0.5, alpha=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize="small")
    return figure


def _draw_shares(axes: Axes, info: Curves) -> None:
    least = 1.0
    for colour, line, name, relative in zip(COLOURS, cycle(LINES), info.names, info.relative, strict=False):
        share = np.arange(1, len(relative) + 1) / len(relative)
        least = min(least, share[0])
        axes.plot(relative, share, line, color=colour, linewidth=1.4, label=name)
    colour_of = dict(zip(info.names, COLOURS, strict=False))
    for marker, (name, points) in zip(cycle("os^D"), info.published, strict=False):
        x, y = zip(*points, strict=True)
        axes.plot(
            x,
            y,
            marker,
            linestyle="none",
            color=colour_of[name],
            markersize=7,
            markeredgecolor="black",
            label=f"{name}, paper",
        )
    axes.set_yscale("log")
    axes.set_ylim(least, 1.3)
    axes.set_ylabel("share of mappings up to here")


def _draw_histogram(axes: Axes, info: Curves) -> None:
    for colour, line, name, share in zip(COLOURS, cycle(LINES), info.names, info.histogram, strict=False):
        axes.stairs(100 * share, BINS, color=colour, linestyle=line, linewidth=1.4, label=name)
    axes.set_ylabel("mappings [%], 15 bins per factor of ten")
