"""Sweeps as YAML files, read strictly: unknown keys are refused with the nearest name, every problem with its line.

model: bert-base
machine: gemmini_ibert
seq: 512                               # any setting of a run
set: {dram.latency: 120}               # changes of the machine at every point
axes:
  scratchpad.capacity: [128 KiB, 256 KiB]
  array.size: {from: 8, to: 32, factor: 2}
linked:
  - accumulator.capacity: [32 KiB, 64 KiB]
    l2.capacity: [256 KiB, 512 KiB]
filters:
  - scratchpad.capacity >= 2 * accumulator.capacity
timeout: 5min
memory: 2 GiB
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from hwconfigs import catalogue, quantity
from hwconfigs.errors import suggestion
from hwconfigs.textfiles import strict_yaml
from hwconfigs.textfiles.reading import UnreadableFile, read_text
from mapper.errors import MappingError, SweepError
from mapper.search.budget import Budget
from mapper.settings import CUTS, RunSettings, SettingsError
from mapper.sweep.axes import canonical_value
from mapper.sweep.definition import DEFAULT_MACHINE, FIXED_ONLY, MAPPING, Sweep, setting_name, setting_value

STRUCTURE = ("description", "model", "machine", "set", "axes", "linked", "filters", "timeout", "memory")
SETTINGS = (MAPPING, "strict_positions", *(one.name for one in fields(RunSettings) if one.name not in FIXED_ONLY))

OTHER_WORDS = {"hw": "machine", "hardware": "machine", "network": "model", "axis": "axes", "parameters": "axes"}
"""Words of the command line, and of people, for keys of the file."""


def read_sweep(path: str | Path, *, besides: tuple[str, ...] = ()) -> Sweep:
    """Read the file of a sweep; names of files in it start from its folder.

    Parameters
    ----------
    besides
        Keys of the file that are somebody else's.

    Raises
    ------
    SweepError
        With every problem of the file, one line each.
    """
    file = Path(path)
    document = strict_yaml.parse(_text(file), str(file))
    if document.problems:
        raise SweepError("\n".join(document.problems))
    if not isinstance(document.data, dict):
        raise SweepError(f"{file}: must consist of 'key: value' lines, with at least 'model' and 'axes'")
    accepted = (*STRUCTURE, *SETTINGS, *besides)
    problems = [
        f"{document.where(key)}: {key}: unknown key{suggestion(str(OTHER_WORDS.get(key, key)), accepted)}"
        for key in document.data
        if key not in accepted
    ]
    if problems:
        raise SweepError("\n".join(problems))
    try:
        return _sweep(document.data, file)
    except (SweepError, SettingsError, MappingError) as problem:
        lines = [f"{_place(document, line)}: {line}" for line in str(problem).splitlines()]
        raise SweepError("\n".join(lines)) from None


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except UnreadableFile as problem:
        raise SweepError(f"{file}: cannot be read: {problem}") from None


def _place(document: strict_yaml.Document, line: str) -> str:
    """Return file and line of what a message begins with, as in ``axes: array.size: ...``."""
    first, _, rest = line.partition(": ")
    return document.where(f"{first}.{rest.partition(': ')[0]}")


def _sweep(data: Mapping[str, Any], file: Path) -> Sweep:
    folder = file.parent
    axes = _section(data, "axes")
    linked = data.get("linked") or []
    if not isinstance(linked, list) or not all(isinstance(one, dict) for one in linked):
        raise SweepError("linked: must be a list of sections, each with the axes whose values go together")
    filters = data.get("filters") or []
    if not isinstance(filters, list):
        raise SweepError("filters: must be a list of comparisons, as in '- array.size <= 32'")
    if not axes and not linked:
        raise SweepError("axes: is empty; a sweep needs at least one axis")
    return Sweep.of(
        _named_model(data.get("model"), folder),
        located(_name(data.get("machine", DEFAULT_MACHINE), "machine"), folder),
        _settings(data, folder),
        axes={name: _paths(name, values, folder) for name, values in axes.items()},
        linked=[{name: _paths(name, values, folder) for name, values in one.items()} for one in linked],
        filters=filters,
        timeout_s=_seconds(data.get("timeout")),
        memory_bytes=_bytes(data.get("memory")),
        source=str(file),
    )


def _section(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    section = data.get(key)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise SweepError(f"{key}: must be a section of 'name: value' lines")
    return section


def _settings(data: Mapping[str, Any], folder: Path) -> RunSettings:
    chosen: dict[str, Any] = {
        setting_name(key): setting_value(key, canonical_value(_paths(key, [data[key]], folder)[0]))
        for key in SETTINGS
        if key in data
    }
    if MAPPING in data and "search" in data:
        raise SweepError("mapping: is given twice, also as search")
    changes = {name: canonical_value(value) for name, value in _section(data, "set").items()}
    return RunSettings(**chosen, overrides=changes)


def _name(value: object, key: str) -> str:
    if not isinstance(value, str) or not value:
        raise SweepError(f"{key}: must be a name or the path of a file, got {value!r}")
    return value


def _named_model(value: object, folder: Path) -> str | None:
    return None if value is None else located(_name(value, "model"), folder)


def _paths(name: str, values: Any, folder: Path) -> Any:
    """Return the values of an axis with names of files from the folder of the sweep."""
    if name not in ("machine", "model", "energy", "fusion") or not isinstance(values, list):
        return values
    return [located(value, folder) if isinstance(value, str) and value not in CUTS else value for value in values]


def located(name: str, folder: Path) -> str:
    """Return a path that starts from a folder; a name stays as it is."""
    is_path = catalogue.is_path(name) or name.endswith((".json", ".csv")) or (folder / name).is_dir()
    return str(folder / name) if is_path and not Path(name).is_absolute() else name


def _seconds(value: object) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return None if value is None else float(value)
    try:
        seconds = Budget.parse(str(value)).seconds
    except MappingError:
        seconds = None
    if seconds is None:
        raise SweepError(f"timeout: {value!r}: must be a time, as in 90s, 5min, 1h")
    return seconds


def _bytes(value: object) -> int | None:
    if value is None:
        return None
    try:
        size = quantity.size_bytes(value)
    except ValueError as problem:
        raise SweepError(f"memory: {problem}") from None
    if not isinstance(size, int) or isinstance(size, bool):
        raise SweepError(f"memory: {value!r}: must be a size, as in 2 GiB")
    return size
