"""Measured rows: read CSV files of cycle counts, keep what can be run, name what cannot."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path


class ValidationError(ValueError):
    """A reference file that cannot be used; the message names file and column or row."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one CSV file, with the line number of each."""

    path: Path
    rows: tuple[dict[str, str], ...]


def read_table(path: Path, required: tuple[str, ...]) -> Table:
    """Read a CSV with at least the ``required`` columns.

    Raises
    ------
    ValidationError
        When the file cannot be read or a column is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            missing = [column for column in required if column not in header]
            if missing:
                raise ValidationError(f"{path}: column{'s' * (len(missing) > 1)} missing: {', '.join(missing)}")
            rows = tuple({key: value or "" for key, value in row.items() if key is not None} for row in reader)
    except OSError as error:
        raise ValidationError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValidationError(f"{path}: not a CSV file ({error})") from None
    if not rows:
        raise ValidationError(f"{path}: no rows")
    return Table(path, rows)


def whole(row: dict[str, str], column: str, default: int | None = None) -> int:
    """An integer cell.

    Raises
    ------
    ValidationError
        When it is empty without a default, or not an integer.
    """
    text = row.get(column, "").strip()
    if not text and default is not None:
        return default
    try:
        return int(float(text))
    except ValueError:
        raise ValidationError(f"{column}={text!r} is not a whole number") from None
