"""Reading documents that were written: every value is asked for by key and type, and what is wrong is named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RUN_SCHEMA = "tilewright.report/1"

MOST = 2**63
"""No count of a run is as large."""


class DocumentError(ValueError):
    """A document that is not what it should be; the message names the key."""


@dataclass(frozen=True, slots=True)
class Document:
    """Part of a document; what is missing or of another type is named."""

    values: Any
    path: str

    def __contains__(self, key: str) -> bool:
        return isinstance(self.values, Mapping) and key in self.values

    def section(self, key: str) -> Document:
        """Return the mapping of a key."""
        return Document(self._get(key, Mapping), f"{self.path}{key}.")

    def listed(self, key: str) -> Sequence[object]:
        """Return the list of a key, empty if there is none."""
        found: Sequence[object] = self._get(key, list) if key in self else []
        return found

    def sections(self, key: str) -> list[Document]:
        """Return the mappings in the list of a key, none if there is no such key."""
        return [Document(part, f"{self.path}{key}.{place}.") for place, part in enumerate(self.listed(key))]

    def number(self, key: str) -> float:
        """Return a number; whole ones stay whole."""
        value = self._get(key, int | float)
        if isinstance(value, bool) or not math.isfinite(value):
            raise DocumentError(f"{self.path}{key}: must be a number")
        return value if isinstance(value, int) else float(value)

    def amount(self, key: str) -> float:
        """Return a number that is not negative."""
        value = self.number(key)
        if value < 0:
            raise DocumentError(f"{self.path}{key}: must be a number, not negative")
        return value

    def whole(self, key: str) -> int:
        """Return a whole number that is not negative, and no larger than a count of a run."""
        value = self.number(key)
        if not isinstance(value, int) or not 0 <= value < MOST:
            raise DocumentError(f"{self.path}{key}: must be a whole number, not negative")
        return value

    def text(self, key: str) -> str:
        """Return a text."""
        return str(self._get(key, str))

    def numbers(self, key: str) -> dict[str, float]:
        """Return a mapping of names to numbers."""
        part = self.section(key)
        return {str(name): part.number(name) for name in part.values}

    def _get(self, key: str, kind: Any) -> Any:
        if key not in self:
            raise DocumentError(f"{self.path}{key}: missing")
        if not isinstance(self.values[key], kind):
            raise DocumentError(f"{self.path}{key}: is {str(self.values[key])!r:.40}, which no report has there")
        return self.values[key]


def run_document(document: object) -> Document:
    """Return a report of a run, to be read key by key.

    Raises
    ------
    DocumentError
        When it is none, or of another version of the schema.
    """
    schema = document.get("schema") if isinstance(document, Mapping) else None
    if schema != RUN_SCHEMA:
        raise DocumentError(f"is no report of 'tilewright run --json': schema {schema!r:.60}, not {RUN_SCHEMA!r}")
    return Document(document, "")
