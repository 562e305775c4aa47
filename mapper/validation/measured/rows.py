"""Measured rows: read CSV files of cycle counts, keep what can be run, name what cannot.

A file is refused as a whole only when it cannot be read, or its header lacks a column; a row that is not one is named
with its line, and the others stand.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwconfigs.textfiles.reading import UnreadableFile, read_bytes

MOST_BYTES = 2**27
"""Of a file of measurements; the largest known one has half a million. A device would not end."""
MOST_SHOWN = 40
"""Characters of a cell that a message quotes."""


class ValidationError(ValueError):
    """A reference file that cannot be used; the message names file and column or row."""


@dataclass(frozen=True, slots=True)
class MeasuredTable:
    """Rows of one CSV file, in its order."""

    path: Path
    rows: tuple[dict[str, str], ...]
    lines: tuple[int, ...] = ()
    """Line of the file on which each row begins; empty: the rows follow a header of one line without gaps."""
    faults: Mapping[int, str] = field(default_factory=dict)
    """By position among the rows: why one is not a row of this file at all."""

    def line(self, index: int) -> int:
        """Line of a row in its file, whose first line is number 1."""
        return self.lines[index] if self.lines else index + 2


@dataclass(frozen=True, slots=True)
class _Record:
    """Cells of one line, or of several when a quoted cell contains line ends."""

    line: int
    cells: list[str]
    fault: str = ""


def read_table(path: Path, required: tuple[str, ...]) -> MeasuredTable:
    """Read a CSV with at least the ``required`` columns; blank lines and a byte order mark are passed over.

    Raises
    ------
    ValidationError
        When the file cannot be read, has no rows, or its header lacks a column or has one twice.
    """
    records = _records(_text(path), required)
    header = _header(path, next(records, None), required)
    rows: list[dict[str, str]] = []
    lines: list[int] = []
    faults: dict[int, str] = {}
    for record in records:
        fault = record.fault or _fault(record.cells, header)
        if fault:
            faults[len(rows)] = fault
        cells = record.cells + [""] * (len(header) - len(record.cells))
        rows.append(dict(zip(header, cells, strict=False)))
        lines.append(record.line)
    if not rows:
        raise ValidationError(f"{path}: no rows")
    return MeasuredTable(path, tuple(rows), tuple(lines), faults)


def _text(path: Path) -> str:
    try:
        data = read_bytes(path, MOST_BYTES)
    except UnreadableFile as error:
        raise ValidationError(f"{path}: cannot be read: {error}") from None
    return data.decode("utf-8-sig", errors="replace")


def _header(path: Path, record: _Record | None, required: tuple[str, ...]) -> list[str]:
    if record is None:
        raise ValidationError(f"{path}: empty; a header with these columns is needed: {', '.join(required)}")
    header = record.cells
    if record.fault or any("\ufffd" in name or "\0" in name for name in header):
        raise ValidationError(f"{path}: not a CSV file ({record.fault or 'line 1 is not UTF-8 text'})")
    missing = [column for column in required if column not in header]
    if missing:
        raise ValidationError(f"{path}: column{'s' * (len(missing) > 1)} missing: {', '.join(missing)}")
    twice = [name for name in dict.fromkeys(header) if name and header.count(name) > 1]
    if twice:
        raise ValidationError(f"{path}: column{'s' * (len(twice) > 1)} given twice: {', '.join(twice)}")
    return header


def _records(text: str, required: tuple[str, ...]) -> Iterator[_Record]:
    """The header and the rows of a file, blank lines left out.

    A quote that is never closed swallows lines up to the next quote or to the end of the file. Where the cells then
    make no row, only the line of the quote is at fault, and reading goes on with the next one.
    """
    lines = list(io.StringIO(text, newline=""))
    header: list[str] = []
    # Comments may stand before the header only.
    at = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    while at < len(lines):
        for cells, taken, problem in _parsed(lines[number] for number in range(at, len(lines))):
            swallowed = taken > 1 and (
                len(cells) != len(header)
                or any(name in required and set(cell) & {"\n", "\r"} for name, cell in zip(header, cells, strict=True))
            )
            if problem or swallowed:
                open_quote = swallowed or "unexpected end" in problem
                yield _Record(at + 1, _plain(lines[at]), "a quote that is not closed" if open_quote else problem)
                at += 1
                break
            if cells:
                header = header or cells
                yield _Record(at + 1, cells)
            at += taken


def _parsed(lines: Iterable[str]) -> Iterator[tuple[list[str], int, str]]:
    """Cells of each record, the lines it takes, and what is wrong with it."""
    reader, before = csv.reader(lines, strict=True), 0
    while True:
        problem = ""
        cells: list[str] = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problem = str(error)
        yield cells, reader.line_num - before, problem
        before = reader.line_num


def _plain(line: str) -> list[str]:
    """Cells of a line that is no CSV: good enough for its name."""
    return [cell.strip('"') for cell in line.rstrip("\r\n").split(",")]


def _fault(cells: list[str], header: list[str]) -> str:
    """Why cells are no row; empty for a row."""
    if len(cells) != len(header):
        return f"{len(cells)} cells; the header has {len(header)}"
    for name, cell in zip(header, cells, strict=True):
        if "\ufffd" in cell:
            return f"{name}={shown(cell)} is not UTF-8 text"
    return ""


def shown(cell: str) -> str:
    """A cell as messages quote it: in quotes, on one line, cut."""
    return repr(cell if len(cell) <= MOST_SHOWN else cell[: MOST_SHOWN - 1] + "…")


def whole(row: dict[str, str], column: str, default: int | None = None) -> int:
    """An integer cell; ``64.0`` is one, ``64.5`` is not.

    Raises
    ------
    ValidationError
        When it is empty without a default, or not a finite whole number.
    """
    text = row.get(column, "").strip()
    if not text and default is not None:
        return default
    number = _number(text) if text.isascii() and "_" not in text else None
    if number is not None:
        return number
    raise ValidationError(f"{column}={shown(text)} is not a whole number")


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None
