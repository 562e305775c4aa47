"""When units worked and what the memories held, as a part of a run's JSON: written, and read again.

Names stand once; rows of numbers point to them. All cycles are those of one block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from mapper.reports.documents import Document, DocumentError
from simulator.report import Level, Report, Span

Named = TypeVar("Named")

SPAN_COLUMNS = ("unit", "name", "start_cycle", "end_cycle", "work", "tensor_set", "busy_cycles")
NONE = -1
"""Work of a span that belongs to none."""

LEVEL_COLUMNS = ("memory", "tensor", "cycle", "bytes")


def timeline_dict(report: Report) -> dict[str, object]:
    """Return the spans and levels of a report under the key ``timeline``; nothing if none were recorded."""
    if not report.spans:
        return {}
    units, names = _numbered(span.unit for span in report.spans), _numbered(span.name for span in report.spans)
    sets = {tensors: place for place, tensors in enumerate(dict.fromkeys(span.tensors for span in report.spans))}
    memories = _numbered(level.memory for level in report.levels)
    tensors = _numbered(level.tensor for level in report.levels)
    return {
        "timeline": {
            "units": list(units),
            "names": list(names),
            "span_columns": list(SPAN_COLUMNS),
            "tensor_sets": [list(tensors) for tensors in sets],
            "spans": [
                [
                    units[span.unit],
                    names[span.name],
                    span.start,
                    span.end,
                    NONE if span.work is None else span.work,
                    sets[span.tensors],
                    span.busy_cycles,
                ]
                for span in report.spans
            ],
            "memories": list(memories),
            "tensors": list(tensors),
            "level_columns": list(LEVEL_COLUMNS),
            "levels": [
                [memories[level.memory], tensors[level.tensor], level.cycle, level.size_bytes]
                for level in report.levels
            ],
        }
    }


def read_timeline(document: Document) -> tuple[tuple[Span, ...], tuple[Level, ...]]:
    """Return the spans and levels of a run's document; none if it has no timeline.

    Raises
    ------
    DocumentError
        For rows that are none; the message names the key.
    """
    if "timeline" not in document:
        return (), ()
    part = document.section("timeline")
    units, names, memories, tensors = (_texts(part, key) for key in ("units", "names", "memories", "tensors"))
    sets = [tuple(str(name) for name in one) if isinstance(one, list) else () for one in part.listed("tensor_sets")]
    spans = tuple(
        Span(
            _at(units, unit, "units"),
            _at(names, name, "names"),
            start,
            end,
            None if work == NONE else work,
            _at(sets, tensors_of, "tensor_sets"),
            *busy,
        )
        for unit, name, start, end, work, tensors_of, *busy in _rows(part, "spans", _span_columns(part))
    )
    levels = tuple(
        Level(_at(memories, memory, "memories"), _at(tensors, tensor, "tensors"), cycle, size)
        for memory, tensor, cycle, size in _rows(part, "levels", len(LEVEL_COLUMNS))
    )
    return spans, levels


def _span_columns(part: Document) -> int:
    """Return how many columns spans have: the first reports with a timeline did not say how busy a unit was in each."""
    columns = len(SPAN_COLUMNS)
    return columns - 1 if "span_columns" in part and SPAN_COLUMNS[-1] not in part.listed("span_columns") else columns


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _texts(part: Document, key: str) -> list[str]:
    return [str(text) for text in part.listed(key)]


def _at(names: Sequence[Named], place: int, key: str) -> Named:
    if not 0 <= place < len(names):
        raise DocumentError(f"timeline.{key}: has no number {place}")
    return names[place]


def _rows(part: Document, key: str, columns: int) -> Iterable[list[int]]:
    for place, row in enumerate(part.listed(key)):
        if not isinstance(row, list) or len(row) != columns or any(type(value) is not int for value in row):
            raise DocumentError(f"timeline.{key}.{place}: must be {columns} whole numbers")
        yield row
