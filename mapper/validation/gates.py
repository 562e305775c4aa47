"""How close is close enough: the gates of the project, and whether a set of results holds them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from mapper.reports.text import columns
from mapper.validation.measured import categories
from mapper.validation.measured.results import RowResult
from mapper.validation.ranks import within_groups

Measure = Callable[[Sequence[RowResult]], float | None]


@dataclass(frozen=True, slots=True)
class Gate:
    """One bound on one figure of some rows."""

    rows: str
    """Which rows, in words."""
    category: str
    tags: frozenset[str]
    """The rows that carry all of these."""
    figure: str
    bound: float
    at_least: bool = False
    """The figure must reach the bound instead of staying within it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate, and the figure that the rows gave."""

    gate: Gate
    number: int
    value: float

    @property
    def holds(self) -> bool:
        return self.value >= self.gate.bound if self.gate.at_least else self.value <= self.gate.bound


def mean_error(rows: Sequence[RowResult]) -> float:
    """Mean absolute error [fraction]."""
    return fmean(abs(row.error) for row in rows)


def median_error(rows: Sequence[RowResult]) -> float:
    """Median absolute error [fraction]."""
    return median(abs(row.error) for row in rows)


def worst(rows: Sequence[RowResult]) -> RowResult:
    """Row with the largest absolute error; the first of them."""
    return max(rows, key=lambda row: abs(row.error))


def bias(rows: Sequence[RowResult]) -> float:
    """Geometric mean of simulated / measured, less one."""
    return math.expm1(fmean(math.log(max(row.simulated, 1) / row.measured) for row in rows))


MEASURES: dict[str, Measure] = {
    "mean": mean_error,
    "median": median_error,
    "worst": lambda rows: abs(worst(rows).error),
    "bias": lambda rows: abs(bias(rows)),
    "rank": within_groups,
    "rows that differ": lambda rows: float(sum(row.simulated != row.measured for row in rows)),
    "rows below the array's bound": lambda rows: float(sum(row.simulated < row.floor for row in rows)),
}
"""Figures by name; None where the rows do not allow one."""


def _gates(rows: str, category: str, tags: str, **bounds: float) -> tuple[Gate, ...]:
    wanted = frozenset(tags.split(",")) if tags else frozenset()
    return tuple(Gate(rows, category, wanted, figure, bound, figure == "rank") for figure, bound in bounds.items())


GATES: tuple[Gate, ...] = (
    *_gates("single commands and chains", categories.COMMANDS, "", mean=0.03, worst=0.15),
    *_gates("products", categories.PRODUCTS, "", mean=0.04, worst=0.18),
    *_gates("products, BERT and decode shapes", categories.PRODUCTS, "model shape", worst=0.06),
    *_gates("second SoC: commands and chains", categories.CHIP_COMMANDS, "", mean=0.07, worst=0.18),
    *_gates("second SoC: products", categories.CHIP_PRODUCTS, "", mean=0.07, worst=0.18),
    *_gates("normaliser in the SoC, fused and warm", categories.FUSED_WARM, "", mean=0.03, worst=0.12),
    *_gates("the same, five loops or more", categories.FUSED_WARM, "many loops", bias=0.02),
    *_gates("normaliser in the SoC, fused and cold", categories.FUSED_COLD, "", mean=0.05),
    *_gates("normaliser in the SoC, one-row stores", categories.SOC_STORES, "", worst=0.05),
    *(gate for name in categories.NORMALISER for gate in _gates(name, name, "", mean=0.02, worst=0.08)),
    *_gates("FireSim array 16, repeating", categories.FIRESIM, "array 16,repeat", mean=0.08, median=0.045),
    *_gates("FireSim array 16, all", categories.FIRESIM, "array 16", mean=0.12, median=0.045),
    *_gates("FireSim, repeating", categories.FIRESIM, "repeat", mean=0.08),
    *_gates("FireSim, all", categories.FIRESIM, "", mean=0.12, rank=0.95),
    *_gates("FireSim BERT, tiled", categories.FIRESIM, "bert,tiled", mean=0.07, worst=0.22),
    Gate("FireSim, all", categories.FIRESIM, frozenset(), "rows below the array's bound", 0.0),
    Gate("array micro-benchmarks", categories.MESH, frozenset(), "rows that differ", 0.0),
)
"""Gates on rows that were looked at and on rows that were not: the same."""


def gate_table(headings: Sequence[str], lines: Sequence[tuple[Sequence[str], bool]]) -> list[str]:
    """Return the lines of a table of gates, the one before the last column aligned right, and how many gates hold.

    Each line has its cells, as many as there are headings, and whether its gate holds.
    """
    table: list[Sequence[str]] = [(*headings, "")]
    table += [(*cells, "pass" if holds else "FAIL") for cells, holds in lines]
    failed = sum(not holds for _, holds in lines)
    total = f"{len(lines)} gates: " + (f"{failed} FAIL" if failed else "all hold")
    return [*columns(table, rules=(1,), right=(len(headings) - 2,)), total]


def selected(gate: Gate, results: Sequence[RowResult]) -> list[RowResult]:
    """The rows that a gate is about."""
    return [row for row in results if row.category == gate.category and gate.tags <= row.tags]


def verdicts(results: Sequence[RowResult], gates: Sequence[Gate] = GATES) -> list[Verdict]:
    """One verdict per gate that has rows."""
    judged: list[Verdict] = []
    for gate in gates:
        rows = selected(gate, results)
        value = MEASURES[gate.figure](rows) if rows else None
        if value is not None:
            judged.append(Verdict(gate, len(rows), value))
    return judged
