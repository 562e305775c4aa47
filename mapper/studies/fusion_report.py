"""The fusion study as a table beside the published values, as CSV, and as a picture."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mapper.reports.text import columns, wrapped
from mapper.studies.fusion import ACCUMULATORS, BOTH, LENGTHS, PAIRS, Entry, Fused, run
from mapper.studies.study import StudyPlan, StudyResult
from simulator.views.style import filled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALIKE = 1.5
"""Factor between two effects up to which they agree in size."""

_HEADINGS = (
    "pair", "tokens", "KiB", "paper", "product", "norm.", "fused", "effect", "best two", "best one", "effect",
)  # fmt: skip

LOOKS = {"paper": ("#bbbbbb", ""), "its tiles": ("#4477aa", "///"), "best of either": ("#228833", "...")}
"""Colour and hatching of a bar."""
"""Tol's bright scheme: distinct for colour-blind readers."""


def plan(lengths: Sequence[int] = LENGTHS, accumulators: Sequence[int] = ACCUMULATORS) -> StudyPlan:
    """Return the study as work for the command."""
    finished: list[Entry] = []

    def work() -> Iterator[str]:
        for entry in run(lengths, accumulators):
            finished.append(entry)
            yield entry.name

    def outcome() -> StudyResult:
        tables = {"fusion.csv": as_csv(finished)}
        return StudyResult(text(finished), tables, lambda: draw(finished))

    return StudyPlan(len(lengths) * len(accumulators) * (len(PAIRS) + 1), work(), outcome, ("fusion.csv",))


def text(entries: Sequence[Entry]) -> str:
    """Return the table, then a line for every published effect that ours differs from, and why."""
    rows = [_row(entry) for entry in entries]
    lines = [
        "change of the latency of a pair by fusing it [cycles]: tiles of Gemmini's heuristic, then the best found",
        "",
    ]
    lines += [*columns([_HEADINGS, *rows], rules=(1,), right=range(1, len(_HEADINGS))), ""]
    for note in notes(entries):
        lines += wrapped(note)
    return "\n".join(lines)


def _row(entry: Entry) -> tuple[str, ...]:
    tiles, best = entry.heuristic, entry.best
    return (
        entry.name,
        f"{entry.seq:,}",
        str(entry.accumulator_kib),
        _percent(entry.published),
        f"{tiles.product:,}",
        f"{tiles.kernel:,}",
        _cycles(tiles.fused),
        _percent(tiles.effect),
        f"{best.unfused:,}",
        _cycles(best.fused),
        _percent(best.effect),
    )


def _cycles(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:+.0%}"


def notes(entries: Sequence[Entry]) -> list[str]:
    """Return what agrees with the paper, and what does not with the cause that was measured."""
    published = [entry for entry in entries if entry.published is not None and entry.heuristic.effect is not None]
    if not published:
        return [*_refusals(entries)]
    same = sum(_same_sign(entry) for entry in published)
    said = [f"sign of the paper's effect: {same} of {len(published)}, with the paper's own tiles"]
    said += [_deviation(entry) for entry in published if not (_same_sign(entry) and _alike(entry))]
    return [*said, *_refusals(entries)]


def _refusals(entries: Sequence[Entry]) -> list[str]:
    return [
        f"{_name(entry)} cannot be fused: {entry.refused}" for entry in entries if entry.refused and entry.name != BOTH
    ]


def _same_sign(entry: Entry) -> bool:
    assert entry.published is not None and entry.heuristic.effect is not None
    return (entry.published < 0) == (entry.heuristic.effect < 0)


def _alike(entry: Entry) -> bool:
    """Whether the effects differ by no more than `ALIKE`."""
    assert entry.published is not None and entry.heuristic.effect is not None
    ratio = abs(entry.heuristic.effect / entry.published)
    return 1.0 / ALIKE <= ratio <= ALIKE


def _name(entry: Entry) -> str:
    return f"{entry.name}, {entry.seq:,} tokens, {entry.accumulator_kib} KiB"


def _deviation(entry: Entry) -> str:
    """Say which part of a pair makes the difference: its product on the forced tile, or the read-out behind it."""
    tiles = entry.heuristic
    assert tiles.fused is not None and tiles.fused_tile is not None and entry.published is not None
    forced, hidden = tiles.fused_tile / tiles.product - 1.0, tiles.kernel - (tiles.fused - tiles.fused_tile)
    text = (
        f"{_name(entry)}: {_percent(tiles.effect)}, the paper {_percent(entry.published)}. The forced tile makes the "
        f"product {forced:+.0%} slower ({tiles.product:,} to {tiles.fused_tile:,}), and fusing takes {hidden:,} of the "
        f"normalisation's {tiles.kernel:,} cycles away"
    )
    needed = needed_share(tiles, entry.published)
    if needed is None:
        return text
    ratio = f"{needed:.1f} times the product, ours has {tiles.kernel / tiles.product:.1f}"
    return f"{text}; the paper's effect would need a normalisation of {ratio}"


def needed_share(tiles: Fused, effect: float) -> float | None:
    """Return how long the normalisation would have to be, in products, for an effect: all else as it was simulated.

    None if no length gives it. The fused group takes p (1 + f) + e, the two apart p + s; so s = (p (1 + f) + e) / (1 +
    effect) - p.
    """
    assert tiles.fused is not None
    share = (tiles.fused / (1.0 + effect) - tiles.product) / tiles.product
    return share if share > 0.0 and math.isfinite(share) else None


def as_csv(entries: Sequence[Entry]) -> str:
    """Return a row for each entry."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["pair", "tokens", "accumulator_kib", "published_effect"]
        + [f"{tiles}_{what}" for tiles in ("heuristic", "best") for what in _COLUMNS]
        + ["refused"]
    )
    for entry in entries:
        numbers = [number for fused in (entry.heuristic, entry.best) for number in _numbers(fused)]
        row = [entry.name, entry.seq, entry.accumulator_kib, entry.published, *numbers, entry.refused]
        writer.writerow("" if cell is None else cell for cell in row)
    return out.getvalue()


_COLUMNS = ("product_cycles", "normalisation_cycles", "fused_cycles", "product_on_fused_tile_cycles", "effect")


def _numbers(fused: Fused) -> tuple[float | None, ...]:
    effect = None if fused.effect is None else round(fused.effect, 4)
    return fused.product, fused.kernel, fused.fused, fused.fused_tile, effect


def draw(entries: Sequence[Entry]) -> Figure:
    """Draw the effects as groups of bars: the paper's, with its tiles, and with the best of either."""
    from matplotlib.figure import Figure

    shown = [entry for entry in entries if entry.best.effect is not None or entry.published is not None]
    figure = Figure(figsize=(8.0, 0.42 * len(shown) + 1.4), layout="constrained")
    axes = figure.subplots()
    for place, (label, (colour, hatch)) in enumerate(LOOKS.items()):
        values = [_effects(entry)[place] for entry in shown]
        at = [row + 0.27 * (place - 1) for row in range(len(shown))]
        look = filled(colour, hatch)
        axes.barh(at, [100 * (value or 0.0) for value in values], 0.25, label=label, **look)  # type: ignore[arg-type]
    axes.set_yticks(
        range(len(shown)), [f"{entry.name}, {entry.seq:,} tokens, {entry.accumulator_kib} KiB" for entry in shown]
    )
    axes.invert_yaxis()
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_xlabel("change of the latency by fusing [%], by tokens and accumulator")
    axes.grid(axis="x", linewidth=0.4, alpha=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _effects(entry: Entry) -> tuple[float | None, float | None, float | None]:
    return entry.published, entry.heuristic.effect, entry.best.effect
