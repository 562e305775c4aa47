"""What ran together, where its tensors lay meanwhile, and in which loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mapper.reports.documents import Document
from mapper.reports.quantities import size
from mapper.reports.saved_run import SavedRun


@dataclass(frozen=True, slots=True)
class LevelRow:
    """One memory of a mapping."""

    memory: str
    loops: str
    """Outermost first; empty if it has none."""
    keeps: str
    doubled: str
    """What has a second copy, so that it is loaded while the first is used."""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A fusion group."""

    name: str
    members: str
    unit: str
    note: str
    on_chip: str
    """Results that never leave it."""
    peak: str
    """Largest use of the memories on the chip."""
    levels: tuple[LevelRow, ...]


def group_rows_of(run: SavedRun) -> list[GroupRow]:
    """Return the groups of a run in the order of execution."""
    mappings = run.document.section("mappings")
    parts = {part.name: part for part in run.simulation.by_op or (run.simulation,)}
    rows = []
    for group in run.document.sections("groups"):
        name, members = group.text("name"), [str(member) for member in group.listed("operators")]
        part = parts.get(name)
        peaks = part.peak_bytes if part is not None else {}
        rows.append(
            GroupRow(
                name,
                " + ".join(members),
                group.text("unit"),
                group.text("note") if "note" in group else "",
                ", ".join(f"result of {member}" for member in members[:-1]),
                ", ".join(f"{memory} {size(held)}" for memory, held in sorted(peaks.items())),
                tuple(_levels(mappings.section(name))) if name in mappings else (),
            )
        )
    return rows


def _levels(mapping: Document) -> Iterator[LevelRow]:
    for level in mapping.sections("levels"):
        loops = [f"{loop.text('dim')} by {loop.whole('tile'):,}" for loop in level.sections("temporal")]
        spatial = [
            f"{loop.text('dim')} on {loop.whole('size')} {loop.text('axis')}" for loop in level.sections("spatial")
        ]
        held = [str(name) for name in level.listed("held")]
        keeps = [str(name) + (" (held)" if name in held else "") for name in level.listed("kept")]
        doubled = ", ".join(map(str, level.listed("double_buffered")))
        yield LevelRow(level.text("memory"), ", ".join([*loops, *spatial]), ", ".join(keeps), doubled)
