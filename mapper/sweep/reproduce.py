"""One row of a store computed again and compared with what it holds, to the bit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mapper.errors import SweepError
from mapper.settings import CUTS
from mapper.sweep.model_version import model_version
from mapper.sweep.outcome import Outcome
from mapper.sweep.points import Point, Resolver
from mapper.sweep.store import Store, StoredPoint
from mapper.sweep.sweep_file import located
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
        folder = opened.folder(stored.plan)
    if stored.status == "waiting":
        raise SweepError(f"{store}: row {stored.row} was not computed yet")
    resolver = Resolver(version)
    # The key of the row's own version tells whether its files changed; the numbers are those of this one.
    task = resolver.task(_found_from(stored.point, folder))
    return Reproduction(stored, evaluate(task), version, task.key == stored.key)


def _found_from(point: Point, folder: Path) -> Point:
    """Return a point whose files are found from here: their names start from where its sweep was driven."""
    if folder.resolve() == Path.cwd().resolve():
        return point
    settings = point.settings
    if settings is not None:
        energy = None if settings.energy is None else located(str(settings.energy), folder)
        fusion = settings.fusion if settings.fusion in CUTS else located(str(settings.fusion), folder)
        settings = replace(settings, energy=energy, fusion=fusion)
    return replace(point, model=located(point.model, folder), machine=located(point.machine, folder), settings=settings)


def other_version(result: Reproduction) -> str:
    """Return the version that computed the row if it is not this one, else an empty text."""
    return "" if result.stored_version == model_version() else result.stored_version
