"""Results of measured rows: simulated cycles beside the measured ones, or the reason why a row was skipped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowResult:
    """One row that was simulated."""

    source: str
    """Which file: ``"rtl"`` or ``"firesim"``."""
    line: int
    """Line of the file, the header being line 1."""
    name: str
    """Test or row id, with its shape."""
    category: str
    measured: int
    """[cycles]"""
    simulated: int
    """[cycles]"""
    tags: frozenset[str] = frozenset()
    """What gates select by, see `mapper.validation.measured.categories`."""
    group: str = ""
    """Shape and machine: rows of one group differ by their mapping alone. Empty: not a mapping of a product."""
    floor: int = 0
    """Cycles no machine of this kind can be below; 0: not known."""

    @property
    def error(self) -> float:
        """Relative error of the simulated cycles."""
        return self.simulated / self.measured - 1.0


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """One row that was not simulated."""

    source: str
    line: int
    name: str
    reason: str
    bad: bool
    """The row itself makes no sense, as opposed to a kind of row that is known and out of scope."""


@dataclass(frozen=True, slots=True)
class RowResults:
    """All rows of the files, in their order."""

    run: tuple[RowResult, ...]
    skipped: tuple[SkippedRow, ...]

    @property
    def bad(self) -> tuple[SkippedRow, ...]:
        return tuple(row for row in self.skipped if row.bad)

    def __add__(self, other: RowResults) -> RowResults:
        return RowResults(self.run + other.run, self.skipped + other.skipped)
