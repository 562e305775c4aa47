"""Files of reference mappings: a mapping as ``map --yaml`` writes it, and below it what it must give.

schema: tilewright-mapping-1
...
expected:
  hw: gemmini                 # or a path from the file's folder; default: the mapping's machine
  set: {array.size: 8}        # changes of it
  energy: cacti_22nm
  cycles: 12345
  estimate_cycles: 12001.5
  energy_pj: 1234567.8
  counts: {dram.read_byte: 4096}
  prices_pj: {dram.read_byte: 20.0}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

import hwconfigs
from hwconfigs import HardwareSpec
from hwconfigs.textfiles.reading import UnreadableFile, read_text
from mapper.errors import MappingError
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.mapping_file import MappingFile
from mapper.mapping.yaml_document import StrictModel, read_document
from mapper.regression.numbers import Numbers

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
MOST_ENTRIES = 10_000
"""Files of a folder."""


class _Recorded(StrictModel):
    hw: str | None = None
    set: dict[str, object] = Field(default_factory=dict)
    energy: str | None = None
    cycles: Count | None = None
    estimate_cycles: Amount | None = None
    energy_pj: Amount | None = None
    counts: dict[str, Count] | None = None
    prices_pj: dict[str, Amount] | None = None


class _ReferenceFile(MappingFile):
    expected: _Recorded = Field(default_factory=_Recorded)


@dataclass(frozen=True, slots=True)
class ReferenceMapping:
    """One reference mapping."""

    path: Path
    mapping: LoopNest
    hw: str
    """Machine: preset or path."""
    changes: Mapping[str, object] = field(default_factory=dict)
    """Of the machine, by dotted key."""
    energy: str | None = None
    expected: Numbers | None = None
    """None: nothing was recorded yet."""

    def __str__(self) -> str:
        return self.path.name

    def machine(self) -> HardwareSpec:
        """Return the machine that it is for; a `SpecError` if there is none."""
        return hwconfigs.load(self.hw, dict(self.changes))


def entries(folder: str | Path) -> list[ReferenceMapping]:
    """Read every ``.yaml`` file of a folder and of the folders in it, by name.

    Raises
    ------
    MappingError
        When there is no such folder, nothing in it, or a file is no mapping.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MappingError(f"{folder}: is no folder of mappings")
    files = sorted(path for path in folder.rglob("*.yaml") if not path.name.startswith("."))
    if not files:
        raise MappingError(f"{folder}: holds no mapping, a file that ends with .yaml")
    if len(files) > MOST_ENTRIES:
        raise MappingError(f"{folder}: holds {len(files):,} files; at most {MOST_ENTRIES:,} are read")
    return [read_entry(path) for path in files]


def read_entry(path: Path) -> ReferenceMapping:
    """Read one file; a `MappingError` with all its problems."""
    document = read_document(path, _ReferenceFile, "mapping")
    mapping, expected = document.nest(str(path)), document.expected
    numbers = [expected.cycles, expected.estimate_cycles, expected.energy_pj, expected.counts, expected.prices_pj]
    given = [value for value in numbers if value is not None]
    if given and len(given) < len(numbers):
        raise MappingError(f"{path}: expected: has some of cycles, estimate_cycles, energy_pj, counts and prices_pj")
    hw = mapping.machine if expected.hw is None else expected.hw
    local = path.parent / hw
    return ReferenceMapping(
        path,
        mapping,
        str(local) if hw not in hwconfigs.available() and local.is_file() else hw,
        expected.set,
        expected.energy,
        Numbers(*numbers) if given else None,  # type: ignore[arg-type]
    )


def text_with(entry: ReferenceMapping, numbers: Numbers) -> str:
    """Return the text of the file with new numbers; what stands before ``expected`` stays as it is written.

    Raises
    ------
    MappingError
        When the file cannot be read any more.
    """
    try:
        text = read_text(entry.path)
    except UnreadableFile as problem:
        raise MappingError(f"{entry.path}: cannot be read: {problem}") from problem
    document = read_document(entry.path, _ReferenceFile, "mapping").expected
    asked: dict[str, object] = {"hw": document.hw, "set": document.set, "energy": document.energy}
    expected = {key: value for key, value in asked.items() if value} | asdict(numbers)
    dumped: str = yaml.safe_dump({"expected": expected}, sort_keys=False, allow_unicode=True)
    # From the key to the next one at the left edge, wherever it stands.
    before = re.sub(r"^expected:.*\n?(?:^(?:[ \t#-].*)?\n?)*", "", text, flags=re.MULTILINE)
    return before.rstrip("\n") + "\n" + dumped
