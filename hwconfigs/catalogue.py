"""Finding a YAML by name (shipped with the package) or by path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from hwconfigs.errors import SpecError, suggestion
from hwconfigs.foreign_names import foreign_file, machine_hint
from hwconfigs.textfiles.reading import UnreadableFile, read_text, spelt_out


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A YAML file as read."""

    name: str
    """File name without its suffix."""
    label: str
    """Its name in messages."""
    content: str
    directory: Path | None
    """Where relative paths in it start; None for shipped files."""

    @property
    def identity(self) -> str:
        """The same for all names of one file."""
        return self.label if self.directory is None else os.path.realpath(self.label)


def folder(*parts: str) -> Traversable:
    """A folder of shipped YAML files."""
    path = files("hwconfigs")
    for part in parts:
        path = path / part
    return path


def names(shipped_in: Traversable) -> tuple[str, ...]:
    """Shipped files of a folder, sorted, without suffix."""
    return tuple(sorted(entry.name[:-5] for entry in shipped_in.iterdir() if entry.name.endswith(".yaml")))


def is_path(name_or_path: str | Path) -> bool:
    """Whether the text means a file rather than a shipped name."""
    text = str(name_or_path)
    return isinstance(name_or_path, Path) or text.endswith((".yaml", ".yml")) or "/" in text or "\\" in text


def _lies_there(name: str, start: Path | None) -> bool:
    """Whether a word that is no shipped name names a file, whatever its ending."""
    try:
        return bool(name) and (Path(name) if start is None else start / name).is_file()
    except (OSError, ValueError):
        return False


def find(name_or_path: str | Path, shipped_in: Traversable, kind: str, start: Path | None = None) -> SourceFile:
    """Read a shipped file by name or any file by path.

    Parameters
    ----------
    name_or_path
        Name of a shipped file without its suffix, or a path; a file that lies there may have any ending.
    shipped_in
        Folder of the shipped files of this kind.
    kind
        The word for such a file in messages: machine, energy table.
    start
        Folder that relative paths start from; None: the current one.

    Raises
    ------
    SpecError
        If there is none, or it cannot be read as text.
    """
    if not is_path(name_or_path):
        name = str(name_or_path)
        shipped = names(shipped_in)
        if name not in shipped and _lies_there(name, start):
            return find(Path(name), shipped_in, kind, start)
        if name not in shipped:
            hint = machine_hint(name) or suggestion(name, shipped)
            raise SpecError(f"{name or repr(name)}: no such {kind}{hint}")
        return SourceFile(name, f"{name}.yaml", (shipped_in / f"{name}.yaml").read_text(encoding="utf-8"), None)
    path = Path(name_or_path)
    if start is not None and not path.is_absolute():
        path = start / path
    try:
        content = read_text(path)
    except UnreadableFile as error:
        raise SpecError(f"{path}: cannot be read: {error}") from error
    foreign = foreign_file(content)
    if foreign:
        raise SpecError(f"{path}: {foreign}")
    return SourceFile(spelt_out(path.stem), str(path), content, path.parent)
