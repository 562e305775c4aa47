"""The machine of a run, value by value, beside the preset that it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import hwconfigs
from mapper.pages.reproduce import machine_name
from mapper.reports.saved_run import SavedRun

NOT_COMPARED = ("name", "description", "source", "sources", "fingerprint")


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One value by dotted path; ``-`` where a machine has none."""

    path: str
    value: str
    preset: str

    @property
    def differs(self) -> bool:
        """Whether the run's value is another one."""
        return self.value != self.preset


@dataclass(frozen=True, slots=True)
class MachineSheet:
    """All values, and with which preset they are compared."""

    name: str
    description: str
    preset: str
    is_origin: bool
    """The machine has the preset's name, with or without changes; otherwise it is the preset with most equal values."""
    rows: tuple[SheetRow, ...]

    @property
    def changed(self) -> tuple[SheetRow, ...]:
        """Rows that differ."""
        return tuple(row for row in self.rows if row.differs)


def machine_sheet(run: SavedRun) -> MachineSheet:
    """Return the values of a run's machine beside its preset's."""
    own = dict(_leaves("", {key: value for key, value in run.machine.values.items() if key not in NOT_COMPARED}))
    origin = machine_name(run)
    is_origin = origin in hwconfigs.available()
    if is_origin:
        preset, theirs = origin, _values(origin)
    else:
        sheets = {name: _values(name) for name in hwconfigs.available()}
        preset = max(sheets, key=lambda name: sum(own.get(path) == value for path, value in sheets[name].items()))
        theirs = sheets[preset]
    paths = dict.fromkeys([*own, *theirs])
    rows = tuple(SheetRow(path, own.get(path, "-"), theirs.get(path, "-")) for path in paths)
    description = run.machine.text("description") if "description" in run.machine else ""
    return MachineSheet(run.machine.text("name"), description, preset, is_origin, rows)


def _values(name: str) -> dict[str, str]:
    return dict(_leaves("", hwconfigs.load(name).model_dump(mode="json", exclude=set(NOT_COMPARED))))


def _leaves(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield dotted paths and the text of their values."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), part)
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value))
    else:
        yield path, "-" if value is None else str(value)
