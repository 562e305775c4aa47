"""Mappings as YAML: written so that reading gives back the same value, read strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import Field, model_validator

from mapper.errors import MappingError
from mapper.mapping.loop_nest import LevelMapping, LoopNest, SpatialLoop, TemporalLoop
from mapper.mapping.yaml_document import StrictModel, read_document

SCHEMA = "tilewright-mapping-1"


Size = Annotated[int, Field(ge=1, le=2**31)]
"""Extent of a dimension or a tile, as on the command line. [elements]"""


Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=40)]
"""A dimension or a memory."""


class _Temporal(StrictModel):
    dim: str
    tile: Size


class _Spatial(StrictModel):
    dim: str
    size: Size
    axis: Literal["rows", "cols"]


class _Level(StrictModel):
    memory: Name
    kept: list[str] = Field(default_factory=list)
    temporal: list[_Temporal] = Field(default_factory=list)
    spatial: list[_Spatial] = Field(default_factory=list)
    double_buffered: list[str] = Field(default_factory=list)
    held: list[str] = Field(default_factory=list)

    def level(self) -> LevelMapping:
        return LevelMapping(
            self.memory,
            frozenset(self.kept),
            tuple(TemporalLoop(loop.dim, loop.tile) for loop in self.temporal),
            tuple(SpatialLoop(loop.dim, loop.size, loop.axis) for loop in self.spatial),
            frozenset(self.double_buffered),
            frozenset(self.held),
        )


class MappingFile(StrictModel):
    """A file that holds a mapping."""

    schema_version: Literal["tilewright-mapping-1"] = Field(alias="schema")
    ops: list[str] = Field(min_length=1)
    problem: Annotated[dict[Name, Size], Field(min_length=1)]
    machine: Annotated[str, Field(min_length=1)]
    levels: list[_Level] = Field(min_length=1)
    expected: object = None
    """Numbers to compare with, which `mapper.regression` reads."""

    def nest(self, origin: str) -> LoopNest:
        """Return the mapping; a `MappingError` after ``origin`` if it contradicts itself."""
        levels = tuple(level.level() for level in self.levels)
        try:
            return LoopNest(tuple(self.ops), tuple(self.problem.items()), self.machine, levels)
        except MappingError as error:
            raise MappingError(f"{origin}: {error}") from error

    @model_validator(mode="after")
    def _check_repetitions(self) -> MappingFile:
        """A memory occurs once; a dimension again only if its tile shrinks or it is spread over another axis."""
        memories = [level.memory for level in self.levels]
        twice = _first_repeated(memories)
        if twice is not None:
            raise ValueError(f"levels: memory {twice!r} is given twice")
        for level in self.levels:
            tiles: dict[str, int] = {}
            for loop in level.temporal:
                if loop.dim in tiles and loop.tile >= tiles[loop.dim]:
                    steps = f"steps of {tiles[loop.dim]}, then {loop.tile}, do not shrink"
                    raise ValueError(f"{level.memory}.temporal: dim {loop.dim!r} is given twice: {steps}")
                tiles[loop.dim] = loop.tile
            spread = _first_repeated([(loop.dim, loop.axis) for loop in level.spatial])
            if spread is not None:
                raise ValueError(f"{level.memory}.spatial: dim {spread[0]!r} on {spread[1]} is given twice")
        return self


Item = TypeVar("Item")


def _first_repeated(items: Sequence[Item]) -> Item | None:
    return next((item for index, item in enumerate(items) if item in items[:index]), None)


def dump_mapping(mapping: LoopNest) -> str:
    """Return ``mapping`` as YAML text."""
    levels: list[dict[str, object]] = []
    for level in mapping.levels:
        entry: dict[str, object] = {"memory": level.memory, "kept": sorted(level.kept)}
        if level.temporal:
            entry["temporal"] = [{"dim": loop.dim, "tile": loop.tile} for loop in level.temporal]
        if level.spatial:
            entry["spatial"] = [{"dim": loop.dim, "size": loop.size, "axis": loop.axis} for loop in level.spatial]
        if level.double_buffered:
            entry["double_buffered"] = sorted(level.double_buffered)
        if level.held:
            entry["held"] = sorted(level.held)
        levels.append(entry)
    document = {
        "schema": SCHEMA,
        "ops": list(mapping.ops),
        "problem": dict(mapping.problem),
        "machine": mapping.machine,
        "levels": levels,
    }
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return text


def read_mapping(
    source: Path | str, *, problem: Mapping[str, int] | None = None, machine: str | None = None
) -> LoopNest:
    """Read a mapping from a file (a `Path`) or from YAML text (a string).

    Parameters
    ----------
    source
        Where it comes from.
    problem, machine
        What it must be for, if that matters.

    Raises
    ------
    MappingError
        When it cannot be read, breaks the schema, or is for another problem or machine; all problems of the file at
        once.
    """
    origin = str(source) if isinstance(source, Path) else "mapping"
    nest = read_document(source, MappingFile, "mapping").nest(origin)
    require_for(nest, problem=problem, machine=machine, origin=origin)
    return nest


def require_for(
    mapping: LoopNest, *, problem: Mapping[str, int] | None, machine: str | None, origin: str = "mapping"
) -> None:
    """Raise a `MappingError` that names both sides when ``mapping`` is for another problem or machine."""
    if problem is not None and mapping.dims != dict(problem):
        raise MappingError(f"{origin}: is for the problem {_sizes(mapping.dims)}, not {_sizes(problem)}")
    if machine is not None and mapping.machine != machine:
        raise MappingError(f"{origin}: is for the machine {mapping.machine!r}, not {machine!r}")


def _sizes(problem: Mapping[str, int]) -> str:
    return " ".join(f"{dim}={size}" for dim, size in problem.items())
