"""What became of a point: numbers, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["waiting", "done", "failed"]

Metric: TypeAlias = float | int | str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker returns for a point."""

    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """By name, with the unit in the name; empty if the point failed."""
    digest: str = ""
    """Hash of both reports and of all mappings: equal digests mean equal runs, to the bit."""
    reason: str = ""
    """Why the point failed, in one line; empty if it did not."""
    trace: str = ""
    """Where the program itself failed, for a report of the fault."""
    seconds: float = 0.0
    """CPU time of the point."""

    @property
    def status(self) -> Status:
        """Return what the store calls it."""
        return "failed" if self.reason else "done"
