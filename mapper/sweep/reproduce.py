"""One row of a store computed again and compared with what it holds, to the bit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mapper.errors import SweepError
from mapper.sweep.model_version import model_version
from mapper.sweep.outcome import Outcome
from mapper.sweep.points import Resolver
from mapper.sweep.store import Store, StoredPoint
from mapper.sweep.work import evaluate


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A row and what it is now."""

    stored: StoredPoint
    again: Outcome
    stored_version: str
    """Of the model that computed the row."""
    is_same_point: bool
    """Whether machine, workload and settings are read as they were then."""

    @property
    def differences(self) -> tuple[str, ...]:
        """Return what differs, one line each; none if the row is reproduced to the bit."""
        stored, again = self.stored, self.again
        if stored.reason != again.reason:
            return (f"outcome: {stored.reason or 'done'} -> {again.reason or 'done'}",)
        # What this version counts besides is no difference.
        lines = [
            f"{name}: {value} -> {again.metrics.get(name)}"
            for name, value in stored.metrics.items()
            if again.metrics.get(name) != value
        ]
        if not lines and stored.digest != again.digest:
            lines = ["the numbers of the row are equal, but operators or mappings differ"]
        return tuple(lines)


def reproduce(store: str | Path, row: str) -> Reproduction:
    """Compute a row again.

    Parameters
    ----------
    row
        Its number, or the first 6 or more characters of its key.

    Raises
    ------
    SweepError
        When the store has no such row, cannot be read, or the row was not computed yet.
    """
    with Store.to_read(store) as opened:
        stored, version = opened.find(row), opened.model_version
    if stored.status == "waiting":
        raise SweepError(f"{store}: row {stored.row} was not computed yet")
    resolver = Resolver(version)
    # The key of the row's own version tells whether its files changed; the numbers are those of this one.
    task = resolver.task(stored.point)
    return Reproduction(stored, evaluate(task), version, task.key == stored.key)


def other_version(result: Reproduction) -> str:
    """Return the version that computed the row if it is not this one, else an empty text."""
    return "" if result.stored_version == model_version() else result.stored_version
