"""Peak memory as a table, as CSV, and as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mapper.reports.quantities import size
from mapper.reports.text import columns, wrapped
from mapper.studies.peakmem import BY_HAND, MCU_IMAGE, MODEL, ROWS, TOKENS, Peaks, run
from mapper.studies.study import StudyPlan, StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plan(tokens: int = TOKENS, budgets: Sequence[int] = ()) -> StudyPlan:
    """Return the study as work for the command."""
    found = Peaks(tokens)

    def result() -> StudyResult:
        return StudyResult(text(found), {"peakmem.csv": as_csv(found)}, lambda: draw(found))

    return StudyPlan(2, run(found, budgets), result, ("peakmem.csv",))


def text(found: Peaks) -> str:
    """Return the peaks, the budgets, MCUFormer's rows, and what agrees with the published figures."""
    head = ("activations alive [bytes]", "as written", "best order", "binding step", "weights read again")
    rows = [
        (
            one.name,
            f"{one.as_written.peak_bytes:,}",
            f"{one.schedule.peak_bytes:,}",
            one.schedule.binding,
            size(one.extra_weight_bytes),
        )
        for one in found.variants
    ]
    lines = [
        f"{found.model}, {found.tokens} tokens, int8",
        "",
        *columns([head, *rows], rules=(1,), right=(1, 2, 4)),
        "",
    ]
    for one in found.fits:
        way = one.variant
        verdict = f"{way.name}, {way.schedule.peak_bytes:,} bytes, bound by {way.schedule.binding}"
        told = verdict if one.fits else f"does not fit; the smallest is {verdict}"
        lines += wrapped(f"budget {one.budget_bytes:,} bytes: {told}")
    if found.mcu:
        titles = ("MCUFormer, width, MLP ratio, rank ratio", "published", "ours", "fits 320 KiB")
        mcu = [
            (f"{width}, {ratio}, {rank}", f"{printed:,}", f"{ours:,}", "yes" if fits else "no")
            for width, ratio, rank, printed, fits, ours in found.mcu
        ]
        lines += ["", *columns([titles, *mcu], rules=(1,), right=(1, 2)), ""]
    for note in notes(found):
        lines += wrapped(note)
    return "\n".join(lines)


def notes(found: Peaks) -> Iterator[str]:
    """Yield what agrees with the published figures, and what differs with its cause."""
    if not found.variants:
        return
    plain, whole = found.variants[0], found.variants[1]
    if (found.model, found.tokens) == (MODEL, TOKENS):
        yield (
            f"By hand: {BY_HAND['unfused']:,} unfused, {BY_HAND['attention in rows']:,} at fused attention, "
            f"{BY_HAND['feed-forward']:,} at the feed-forward layers; ours {plain.as_written.peak_bytes:,}, "
            f"{found.attention_alone:,} and {whole.as_written.peak_bytes:,}."
        )
    if plain.schedule.peak_bytes < plain.as_written.peak_bytes:
        yield (
            f"Another order needs {plain.as_written.peak_bytes - plain.schedule.peak_bytes:,} bytes less than the one "
            f"that the model is written in: {', '.join(plain.schedule.order[:6])}, and so on."
        )
    if found.mcu:
        same = sum(ours == printed for _, _, _, printed, _, ours in found.mcu)
        yield (
            f"MCUFormer: {same} of {len(found.mcu)} rows to the byte; {found.agreeing} of {found.points} points of its "
            f"space ({MCU_IMAGE} pixels) get the verdict of its inequality."
        )
    yield (
        f"Counted from the graph, not from a run: weights are left out, fused attention holds {ROWS} rows of int32 "
        f"scores, and a layer cut into blocks of tokens reads its weights once for each."
    )


def as_csv(found: Peaks) -> str:
    """Return a row for each way to run the block."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["variant", "as_written_bytes", "peak_bytes", "binding_step", "extra_weight_bytes"])
    for one in found.variants:
        peaks = one.as_written.peak_bytes, one.schedule.peak_bytes
        writer.writerow([one.name, *peaks, one.schedule.binding, one.extra_weight_bytes])
    return out.getvalue()


def draw(found: Peaks) -> Figure:
    """Draw the peaks as bars, the budgets as lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = figure.subplots()
    rows = range(len(found.variants))
    axes.barh(rows, [one.as_written.peak_bytes / 2**20 for one in found.variants], color="#bbbbbb", label="as written")
    axes.barh(
        rows, [one.schedule.peak_bytes / 2**20 for one in found.variants], 0.5, color="#4477aa", label="best order"
    )
    axes.set_yticks(rows, [one.name for one in found.variants])
    for one in found.fits:
        axes.axvline(one.budget_bytes / 2**20, color="black", linestyle="--")
    axes.invert_yaxis()
    axes.set_xlabel("activations alive [MiB]")
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("most bytes of activations alive at once, by how a block is computed", fontsize="medium")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure
