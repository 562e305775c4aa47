"""A report of a run as it was written by ``--json``, read again: for pictures, for pages and for comparisons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hwconfigs.textfiles.reading import MOST_JSON_BYTES, UnreadableFile, read_text
from mapper.reports.documents import Document, DocumentError, run_document
from mapper.reports.timeline_json import read_timeline
from simulator.report import Action, Counts, Report, UnitTime
from simulator.units import UNITS


@dataclass(frozen=True, slots=True)
class SavedRun:
    """What a run's document says, as the values that it was made of."""

    label: str
    """The name of the file."""
    document: Document
    simulation: Report
    """With spans and levels, if they were recorded."""
    estimate: Report

    @property
    def machine(self) -> Document:
        """The machine's values, as the machine file names them."""
        return self.document.section("machine")

    @property
    def absorbed(self) -> dict[str, str]:
        """Leading operator of each operator that runs within another one's stores."""
        leads: dict[str, str] = {}
        for group in self.document.sections("groups"):
            for name in group.listed("operators"):
                if name != group.text("name"):
                    leads[str(name)] = group.text("name")
        return leads

    @property
    def estimated(self) -> frozenset[str]:
        """Operators whose cycles are a constant of the machine file, in estimate and simulation alike."""
        constants = self.document.section("host_constants") if "host_constants" in self.document else None
        return frozenset(constants.section("operators").values if constants is not None else ())

    def capacities(self) -> dict[str, int]:
        """Return the bytes of each memory on the chip."""
        present = [name for name in ("scratchpad", "accumulator", "l2") if self.machine.values.get(name)]
        return {name: self.machine.section(name).whole("capacity_bytes") for name in present}


def read_run(path: Path) -> SavedRun:
    """Read a report of a run.

    Raises
    ------
    DocumentError
        When the file cannot be read or is no such report; one line that names file and key.
    """
    try:
        document: object = json.loads(read_text(path, MOST_JSON_BYTES))
    except UnreadableFile as problem:
        raise DocumentError(f"{path}: cannot be read: {problem}") from None
    except (ValueError, RecursionError):
        raise DocumentError(f"{path}: is no JSON") from None
    try:
        return saved_run(path.name, document)
    except DocumentError as problem:
        raise DocumentError(f"{path}: {problem}") from None


def saved_run(label: str, document: object) -> SavedRun:
    """Read a report of a run from plain data, such as `run_dict` returns.

    Raises
    ------
    DocumentError
        When it is none, or lacks something; the message names the key.
    """
    whole = run_document(document)
    machine = whole.section("machine")
    base = _Base(machine.text("name"), machine.number("clock_mhz"), _peak(machine.section("array")))
    if base.clock_mhz <= 0 or base.peak <= 0:
        raise DocumentError("machine: clock_mhz and array must be positive")
    spans, levels = read_timeline(whole)
    simulation = replace(base.report(whole.section("simulation"), "simulate"), spans=spans, levels=levels)
    return SavedRun(label, whole, simulation, base.report(whole.section("estimate"), "estimate"))


def _peak(array: Document) -> int:
    return array.whole("rows") * array.whole("cols")


@dataclass(frozen=True, slots=True)
class _Base:
    """What all reports of a run have in common."""

    machine: str
    clock_mhz: float
    peak: int

    def report(self, part: Document, source: Literal["estimate", "simulate"]) -> Report:
        """Return the report of a run, or of one of its operators."""
        return Report(
            name=part.text("name"),
            source=source,
            machine=self.machine,
            clock_mhz=self.clock_mhz,
            cycles=part.whole("cycles"),
            counts=Counts({key: int(value) for key, value in _flat(part.section("counts")).items()}),
            units=_units(part.section("units"), part.whole("cycles")),
            peak_macs_per_cycle=self.peak,
            bound=part.text("bound"),
            energy_pj_by_action=_flat(part.section("energy_pj_by_action")),
            peak_bytes={name: int(size) for name, size in part.numbers("peak_bytes").items()},
            by_op=tuple(self.report(one, source) for one in part.sections("operators")),
            repeat=part.whole("repeat"),
        )


def _units(part: Document, cycles: int) -> dict[str, UnitTime]:
    """Return the times of the units; one that reports do not show was idle."""
    known = {name: _unit(part.section(name)) for name in part.values}
    hidden = {unit.name: UnitTime(0, {}, cycles) for unit in UNITS if unit.optional and unit.name not in known}
    return known | hidden


def _flat(tree: Document) -> Mapping[Action, float]:
    """Return numbers by unit and action."""
    flat: dict[Action, float] = {}
    for unit in tree.values:
        for action, value in tree.numbers(unit).items():
            if value < 0:
                raise DocumentError(f"{tree.path}{unit}.{action}: must not be negative")
            flat[str(unit), action] = value
    return flat


def _unit(part: Document) -> UnitTime:
    stalls = {cause: int(cycles) for cause, cycles in part.numbers("stall_cycles").items()}
    return UnitTime(part.whole("busy_cycles"), stalls, part.whole("idle_cycles"))
