"""CPU time of a run by sequence length, from 128 to 16,384 tokens, and how fast it grows.

The exponent between two lengths is the logarithm of the ratio of their times over that of the lengths: 1 is
proportional. Attention works on the square of the sequence; what it takes to simulate should not.
"""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import speed_rows

MODELS = {"bert-base": "BERT-Base", "llama-2-7b": "LLaMA-2-7B"}
LENGTHS = tuple(128 << power for power in range(8))


def curve(runs: int, limit: float, picture: Path | None) -> Iterator[str]:
    """Yield a line for each length, and draw all of them if ``picture`` says where.

    Parameters
    ----------
    runs
        Of each point, whose median counts.
    limit
        Seconds after which a run is stopped; longer sequences of its model are left out.
    picture
        File of the curve, whose ending tells the format.
    """
    yield f"{'model':<12} {'tokens':>7} {'CPU s':>8} {'exponent':>9} {'MiB':>6}"
    points: dict[str, list[tuple[int, float]]] = {}
    for model in MODELS:
        before: tuple[int, float] | None = None
        for length in LENGTHS:
            costs = list(_costs(model, length, runs, limit))
            times = [cost.seconds for cost in costs if cost.seconds is not None]
            if not times:
                yield f"{model:<12} {length:>7,} {costs[0].why}"
                break
            seconds, mib = statistics.median(times), max(cost.mib for cost in costs)
            exponent = math.log(seconds / before[1]) / math.log(length / before[0]) if before else None
            before = length, seconds
            points.setdefault(model, []).append(before)
            yield f"{model:<12} {length:>7,} {seconds:>8.2f} {speed_rows.number(exponent):>9} {mib:>6.0f}"
    if picture is not None:
        draw(points, picture)


def _costs(model: str, length: int, runs: int, limit: float) -> Iterator[speed_rows.Cost]:
    arguments = ("run", model, "--seq", str(length), "--hw", "gemmini_ibert")
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(runs):
            cost = speed_rows.measured(speed_rows.Row(arguments), speed_rows.ROOT, Path(folder), limit)
            yield cost
            if cost.seconds is None:
                return


def draw(points: dict[str, list[tuple[int, float]]], picture: Path) -> None:
    """Draw CPU seconds over tokens, both in powers of two, beside a line of exponent 1."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for model, curve_of in points.items():
        tokens, seconds = zip(*curve_of, strict=True)
        axes.plot(tokens, seconds, marker="o", label=MODELS[model])
    most = max(seconds for curve_of in points.values() for _, seconds in curve_of)
    axes.plot(LENGTHS, [most * length / LENGTHS[-1] for length in LENGTHS], "--", color="grey", label="exponent 1")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(LENGTHS, [f"{length:,}" for length in LENGTHS])
    axes.set_xlabel("tokens")
    axes.set_ylabel("CPU seconds of a run")
    axes.legend()
    figure.savefig(picture)
