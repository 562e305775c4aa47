"""Why a mapping cannot be: violations with numbers, and the exception that carries them; what is wrong with a sweep."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken inequality ``demand <= bound``."""

    rule: str
    """Short name of the inequality, for censuses."""
    resource: str
    demand: int
    bound: int
    unit: str
    hint: str = ""
    """What would make it fit."""

    def __str__(self) -> str:
        tail = f"; {self.hint}" if self.hint else ""
        return f"{self.resource}: {self.rule} needs {self.demand:,} {self.unit} > {self.bound:,}{tail}"


class MappingError(ValueError):
    """A mapping that cannot be read, does not fit, or does not exist."""

    def __init__(self, message: str, violations: Iterable[Violation] = ()) -> None:
        self.violations = tuple(violations)
        super().__init__("\n".join([message, *(f"  {violation}" for violation in self.violations)]))


class SweepError(ValueError):
    """A sweep that makes no sense or cannot run, one line per problem; a point that fails is no error but a row."""


class StoreError(SweepError):
    """A store of points that cannot be used; nothing in it was changed."""
