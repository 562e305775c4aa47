"""Runs side by side: totals with their ratios to the first one, and the cycles of every operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mapper.reports.documents import Document, DocumentError, run_document
from mapper.reports.quantities import area, energy, percent, quantity
from mapper.reports.text import WIDTH, columns, printable, wrapped

COMPARISON_SCHEMA = "tilewright.compare/1"

LONGEST_LABEL = 24
"""Characters of a run's name in a table."""


@dataclass(frozen=True, slots=True)
class Side:
    """One run, as far as others are compared with it."""

    label: str
    workload: str
    machine: str
    macs: int
    cycles: int
    latency_s: float
    energy_pj: float
    edp_js: float
    utilisation: float
    dram_bytes: int
    bound: str
    area_mm2: float | None
    """None of reports whose energy table has none, and of those that are older than areas."""
    energy_table: str
    """What its energies are priced by; empty of reports that do not say so."""
    operators: Mapping[str, int]
    """Cycles in one block, by name."""

    @classmethod
    def of(cls, label: str, document: object) -> Side:
        """Read the report of a run.

        Raises
        ------
        DocumentError
            When it is none, or lacks something; the message names the key.
        """
        whole = run_document(document)
        report = whole.section("simulation")
        operators = [Document(part, "simulation.operators.") for part in report.listed("operators")]
        side = cls(
            label,
            printable(whole.section("workload").text("name")),
            printable(whole.section("machine").text("name")),
            report.whole("macs"),
            report.whole("cycles"),
            report.amount("latency_s"),
            report.amount("energy_pj"),
            report.amount("edp_js"),
            report.amount("utilisation"),
            report.whole("dram_bytes"),
            printable(report.text("bound")),
            _area(whole),
            _energy_table(whole),
            {printable(part.text("name")): part.whole("cycles") for part in operators},
        )
        if side.utilisation > 1:
            raise DocumentError("simulation.utilisation: is more than 1")
        return side


def _area(document: Document) -> float | None:
    die = document.section("die") if "die" in document else None
    return die.amount("area_mm2") if die is not None and "area_mm2" in die else None


def _energy_table(document: Document) -> str:
    die = document.section("die") if "die" in document else None
    return printable(die.text("energy_table")) if die is not None and "energy_table" in die else ""


def comparison_text(sides: Sequence[Side]) -> str:
    """Return the totals of every run beside the first one's, then the operators that the runs have."""
    first = sides[0]
    rows: list[tuple[str, ...]] = [
        ("run", "cycles", "latency", "", "energy", "", "EDP", "", "util.", "area", "bound by")
    ]
    rows += [_row(side, first) for side in sides]
    lines = [*columns(rows, rules=(1,), right=range(1, 10))]
    if len({(side.workload, side.macs) for side in sides}) > 1:
        work = "; ".join(f"{_label(side)}: {side.workload}, {side.macs:,} MACs" for side in sides)
        lines += wrapped(f"note: not the same work: {work}")
    if len(tables := {side.energy_table for side in sides if side.energy_table}) > 1:
        names = "; ".join(f"{_label(side)}: {side.energy_table or 'not said'}" for side in sides)
        lines += wrapped(
            f"note: {len(tables)} tables of energies, so that ratios of energy and EDP compare them, too: {names}"
        )
    operators = _operators(sides)
    return "\n".join([*lines, "", *operators] if operators else lines)


def _row(side: Side, first: Side) -> tuple[str, ...]:
    return (
        _label(side),
        f"{side.cycles:,}",
        quantity(side.latency_s, "s"),
        ratio(side.latency_s, first.latency_s),
        energy(side.energy_pj),
        ratio(side.energy_pj, first.energy_pj),
        quantity(side.edp_js, "J s", 3),
        ratio(side.edp_js, first.edp_js),
        percent(side.utilisation, 1.0),
        "-" if side.area_mm2 is None else area(side.area_mm2 * 1e6),
        side.bound,
    )


def ratio(value: float, base: float) -> str:
    """Return how many times the base a value is: ``x0.029``; ``-`` if there is none."""
    return f"x{value / base:.3g}" if value and base else "-"


def _operators(sides: Sequence[Side]) -> list[str]:
    """Return cycles by operator, with ratios to the first run; nothing if that would be too wide to read."""
    names = dict.fromkeys(name for side in sides for name in side.operators)
    if len(names) < 2:
        return []
    heading = ["cycles of one block", _label(sides[0])]
    for side in sides[1:]:
        heading += [_label(side), ""]
    rows = [heading]
    for name in names:
        base = sides[0].operators.get(name, 0)
        row = [name, f"{base:,}" if base else "-"]
        for side in sides[1:]:
            cycles = side.operators.get(name, 0)
            row += [f"{cycles:,}" if cycles else "-", ratio(cycles, base)]
        rows.append(row)
    lines = columns(rows, rules=(1,), right=range(1, len(heading)))
    return lines if max(map(len, lines)) <= WIDTH else []


def _label(side: Side) -> str:
    name = side.label
    return name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 3]}..."


def comparison_dict(sides: Sequence[Side], version: str) -> dict[str, object]:
    """Return the comparison as plain data; ratios are to the first run."""
    first = sides[0]
    runs = [
        {
            "run": side.label, "workload": side.workload, "machine": side.machine, "macs": side.macs,
            "cycles": side.cycles, "latency_s": side.latency_s, "energy_pj": side.energy_pj, "edp_js": side.edp_js,
            "utilisation": side.utilisation, "dram_bytes": side.dram_bytes, "bound": side.bound,
            "area_mm2": side.area_mm2,
            "latency_ratio": side.latency_s / first.latency_s if first.latency_s else None,
            "energy_ratio": side.energy_pj / first.energy_pj if first.energy_pj else None,
            "edp_ratio": side.edp_js / first.edp_js if first.edp_js else None,
            "block_cycles_by_operator": dict(side.operators),
        }
        for side in sides
    ]  # fmt: skip
    return {"schema": COMPARISON_SCHEMA, "version": version, "runs": runs}
