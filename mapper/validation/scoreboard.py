"""The scoreboard: measured against simulated cycles by category, gates, worst rows, and what was not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mapper.reports.text import columns
from mapper.validation.gates import Verdict, bias, gate_table, mean_error, median_error, verdicts, worst
from mapper.validation.measured import categories
from mapper.validation.measured.results import RowResult, RowResults, SkippedRow
from mapper.validation.ranks import within_groups
from mapper.version import __version__

SCHEMA = "tilewright.validation/1"
WORST_SHOWN, BAD_SHOWN = 5, 20
FIRESIM_PARTS = (
    *((f"  array {size}", frozenset({f"array {size}"})) for size in (4, 8, 16, 32, 64)),
    ("  rows that repeat a shape", frozenset({"repeat"})),
    ("  first rows of a shape", frozenset({"first"})),
    ("  BERT, tiled", frozenset({"bert", "tiled"})),
)
"""Parts of the FireSim matmuls that have a line of their own."""
MODEL_SHAPES = "  BERT and decode shapes"


@dataclass(frozen=True, slots=True)
class Score:
    """One line: the errors of some rows, as fractions."""

    label: str
    rows: int
    mean: float
    median: float
    worst: float
    """Signed."""
    bias: float
    """Geometric mean of simulated / measured, less one."""
    rank: float | None
    """Mean rank correlation among the mappings of one shape; None where no shape has enough of them."""


def score(label: str, rows: Sequence[RowResult]) -> Score:
    """Figures of at least one row."""
    return Score(
        label=label,
        rows=len(rows),
        mean=mean_error(rows),
        median=median_error(rows),
        worst=worst(rows).error,
        bias=bias(rows),
        rank=within_groups(rows),
    )


def scores(results: Sequence[RowResult]) -> list[Score]:
    """One line per category that has rows, and per part of it."""
    return [score(label, rows) for label, rows in _selections(results) if rows]


def _selections(results: Sequence[RowResult]) -> Iterator[tuple[str, list[RowResult]]]:
    for category in categories.CATEGORIES:
        rows = [row for row in results if row.category == category]
        yield category, rows
        if category == categories.PRODUCTS:
            yield MODEL_SHAPES, [row for row in rows if "model shape" in row.tags]
        if category == categories.FIRESIM:
            for label, tags in FIRESIM_PARTS:
                yield label, [row for row in rows if tags <= row.tags]


def text(results: RowResults) -> str:
    """The scoreboard as printed."""
    parts = []
    if results.run:
        parts = [_score_lines(scores(results.run)), _gate_lines(verdicts(results.run)), _worst_lines(results.run)]
    parts += [_skipped_lines(results.skipped), _bad_lines(results.bad)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _score_lines(lines: Sequence[Score]) -> list[str]:
    table: list[Sequence[str]] = [("simulated against measured", "rows", "mean", "median", "worst", "bias", "rank")]
    for line in lines:
        rank = "-" if line.rank is None else f"{line.rank:.3f}"
        errors = (_percent(line.mean), _percent(line.median), _signed(line.worst), _signed(line.bias))
        table.append((line.label, str(line.rows), *errors, rank))
    return columns(table, rules=(1,), right=range(1, 7))


def _gate_lines(gates: Sequence[Verdict]) -> list[str]:
    lines: list[tuple[Sequence[str], bool]] = []
    for verdict in gates:
        gate = verdict.gate
        relation = ">=" if gate.at_least else "<="
        share = gate.figure in ("mean", "median", "worst", "bias")
        value, bound = (
            _percent(number) if share else f"{number:.3f}" if gate.figure == "rank" else f"{number:.0f}"
            for number in (verdict.value, gate.bound)
        )
        lines.append(((gate.rows, gate.figure, value, f"{relation} {bound}"), verdict.holds))
    return gate_table(("gate", "figure", "found", "bound"), lines)


def _worst_lines(run: Sequence[RowResult]) -> list[str]:
    table: list[Sequence[str]] = [("worst rows", "line", "measured", "simulated", "error")]
    for category in categories.CATEGORIES:
        rows = sorted((row for row in run if row.category == category), key=lambda row: (-abs(row.error), row.line))
        for row in [row for row in rows if row.error][:WORST_SHOWN]:
            where = f"{row.source}:{row.line}"
            table.append((_cut(row.name), where, f"{row.measured:,}", f"{row.simulated:,}", _signed(row.error)))
    return columns(table, rules=(1,), right=(2, 3, 4)) if len(table) > 1 else []


def _skipped_lines(skipped: Sequence[SkippedRow]) -> list[str]:
    """Known kinds of rows that are listed only, with their number."""
    known = Counter((row.source, row.reason) for row in skipped if not row.bad)
    lines = [f"not run: {number} {source} rows: {reason}" for (source, reason), number in sorted(known.items())]
    return lines


def _bad_lines(bad: Sequence[SkippedRow]) -> list[str]:
    if not bad:
        return []
    lines = [f"{row.source} line {row.line} ({_cut(row.name)}): {_printable(row.reason)}" for row in bad[:BAD_SHOWN]]
    for source in dict.fromkeys(row.source for row in bad[BAD_SHOWN:]):
        numbers = [row.line for row in bad[BAD_SHOWN:] if row.source == source]
        lines.append(f"and {len(numbers)} more of {source}: line{'s' * (len(numbers) > 1)} {ranges(numbers)}")
    return [f"{len(bad)} row{'s' * (len(bad) > 1)} cannot be run:", *lines]


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers, neighbours as first-last."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)


def as_dict(results: RowResults) -> dict[str, object]:
    """Everything as plain data; errors are fractions."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "scores": [
            {
                "label": line.label.strip(),
                "rows": line.rows,
                "mean_abs_error": line.mean,
                "median_abs_error": line.median,
                "worst_error": line.worst,
                "bias": line.bias,
                "mean_rank_correlation": line.rank,
            }
            for line in scores(results.run)
        ],
        "gates": [
            {
                "rows": verdict.gate.rows,
                "number": verdict.number,
                "figure": verdict.gate.figure,
                "found": verdict.value,
                "bound": verdict.gate.bound,
                "holds": verdict.holds,
            }
            for verdict in verdicts(results.run)
        ],
        "rows": [
            {
                "file": row.source,
                "line": row.line,
                "name": row.name,
                "category": row.category,
                "tags": sorted(row.tags),
                "measured_cycles": row.measured,
                "simulated_cycles": row.simulated,
                "error": row.error,
            }
            for row in results.run
        ],
        "not_run": [
            {"file": row.source, "line": row.line, "name": row.name, "reason": row.reason, "bad": row.bad}
            for row in results.skipped
        ],
    }


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.1f} %"


def _cut(name: str, width: int = 72) -> str:
    name = _printable(name)
    return name if len(name) <= width else name[: width - 1] + "…"


def _printable(text: str) -> str:
    """One line that a terminal shows as it is."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
