"""Runs of ``timeloop-model`` as JSON: problem, machine, mapping and what Timeloop counted.

A file holds ``meta`` (tensors and level order), ``architectures`` and ``runs``. Each run stands alone: what is wrong
with one is said under its id, and the others are still read. Timeloop's loops carry trip counts ("bounds"), ours the
tile they hand inward; a third entry is the size of the last, smaller tile.

        [["N", 12], ["M", 64, 5]], then [["N", 16, "x"]]    ->    n in steps of 16, m in steps of 1, n over 16 columns
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hwconfigs.errors import suggestion
from hwconfigs.textfiles.reading import MOST_JSON_BYTES, UnreadableFile, read_text
from hwconfigs.textfiles.strict_json import parse_json
from mapper.errors import MappingError
from mapper.mapping.loop_nest import LevelMapping, LoopNest, SpatialLoop, TemporalLoop
from mapper.nest.model.hierarchy import Hierarchy, Memory
from mapper.nest.model.problem import TENSORS, NestProblem, NestTensor, matmul
from workloads.iteration_space import Axis

ROLES = {"I": "input", "W": "weight", "O": "output"}
"""Tensor letters of the format."""

Count = Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""Timeloop averages over instances where factors are imperfect."""
Bound = Annotated[int, Field(ge=1, le=2**40)]
Price = Annotated[float, Field(ge=0, le=1e30, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=1e-6, le=1e12, allow_inf_nan=False)]


class _Section(BaseModel):
    """Required keys are checked, others are passed over: the files carry more than a comparison needs."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _ArchLevel(_Section):
    word_bits: Bound = 8
    capacity_words: Bound | None
    instances: Bound
    read_words_per_cycle: Rate | None = None
    write_words_per_cycle: Rate | None = None
    shared_read_write_words_per_cycle: Rate | None = None
    energy_pj_per_word_access: Price


class _Arch(_Section):
    array_rows: Bound
    array_cols: Bound
    levels: Mapping[str, _ArchLevel] = Field(min_length=1)
    mac_energy_pj: Price


class _NestLevel(_Section):
    level: str
    keep: list[str]
    temporal: list[Annotated[list[str | int], Field(min_length=2, max_length=3)]]
    spatial: list[Annotated[list[str | int], Field(min_length=3, max_length=4)]]


class _Nest(_Section):
    levels: list[_NestLevel] = Field(min_length=1)


class TensorCounts(_Section):
    """What Timeloop counted for one tensor at one level. [words]"""

    tile_words: Count
    instances: Count
    reads: Count
    fills: Count
    updates: Count
    reads_per_instance: Count
    fills_per_instance: Count
    updates_per_instance: Count
    energy_pj: Price | None = None


class LevelResult(_Section):
    """What Timeloop said about one level."""

    cycles: Count | None = None
    energy_pj: Price | None = None
    tensors: Mapping[str, TensorCounts]


class MacResult(_Section):
    """The multipliers."""

    count: Count | None = None
    utilized_instances: Count | None = None


class Result(_Section):
    """Timeloop's answer to one run."""

    cycles: Count
    utilization: Price
    energy_pj: Price
    levels: Mapping[str, LevelResult]
    mac: MacResult = MacResult()


class _RawRun(_Section):
    id: str
    arch: str
    category: str = ""
    problem: Mapping[str, Bound] = Field(min_length=1)
    mapping: _Nest
    counts_expected_exact: bool
    result: Result


@dataclass(frozen=True, slots=True)
class Run:
    """One evaluated mapping."""

    name: str
    category: str
    problem: NestProblem
    hierarchy: Hierarchy
    mapping: LoopNest
    exact: bool
    """Whether Timeloop's counts are those of the rules (perfect factors)."""
    result: Result
    """Tensors by our role names."""


@dataclass(frozen=True, slots=True)
class RunFile:
    """What one file holds."""

    runs: tuple[Run, ...]
    problems: tuple[str, ...]
    """One line for each run or architecture that cannot be used."""


def read_runs(path: Path) -> RunFile:
    """Read a file of runs.

    Raises
    ------
    MappingError
        When there is nothing to run: the file is unreadable, no JSON, or without ``architectures`` or ``runs``.
    """
    try:
        content: Any = parse_json(read_text(path, MOST_JSON_BYTES))
    except UnreadableFile as error:
        raise MappingError(f"{path}: cannot be read: {error}") from None
    missing = [key for key in ("architectures", "runs") if not isinstance(content, dict) or key not in content]
    if missing:
        raise MappingError(f"{path}: {' and '.join(missing)} missing")
    if not isinstance(content["architectures"], dict) or not isinstance(content["runs"], list):
        raise MappingError(f"{path}: architectures must be an object, runs a list")
    if not content["runs"]:
        raise MappingError(f"{path}: no runs")
    return _read(content)


def _read(content: dict[str, Any]) -> RunFile:
    problems: list[str] = []
    machines: dict[str, Hierarchy] = {}
    meta = content.get("meta") if isinstance(content.get("meta"), dict) else {}
    assert isinstance(meta, dict)
    for name, raw in content["architectures"].items():
        try:
            machines[name] = _hierarchy(name, _Arch.model_validate(raw), meta)
        except (ValidationError, MappingError) as error:
            problems += [f"architectures.{name}: {line}" for line in _lines(error)]
        problems += _misspelt(name, raw)
    runs: list[Run] = []
    names: set[str] = set()
    for position, raw in enumerate(content["runs"]):
        name = raw["id"] if isinstance(raw, dict) and isinstance(raw.get("id"), str) else f"runs[{position}]"
        if name in names:
            problems.append(f"{name}: the id occurs twice")
        names.add(name)
        try:
            runs.append(_run(_RawRun.model_validate(raw), machines, content["architectures"], meta))
        except (ValidationError, MappingError) as error:
            problems += [f"{name}: {line}" for line in _lines(error)]
    return RunFile(tuple(runs), tuple(problems))


def _run(raw: _RawRun, machines: Mapping[str, Hierarchy], named: Mapping[str, Any], meta: dict[str, Any]) -> Run:
    if raw.arch not in machines:
        if raw.arch in named:
            raise MappingError(f"arch {raw.arch!r} is described wrongly, see above")
        raise MappingError(f"arch: unknown {raw.arch!r}{suggestion(raw.arch, machines)}")
    machine = machines[raw.arch]
    problem = _problem(raw, meta)
    mapping = _mapping(raw, problem, machine)
    levels = {}
    for name, level in raw.result.levels.items():
        if name not in machine.names:
            raise MappingError(f"result: unknown level {name!r}{suggestion(name, machine.names)}")
        levels[name] = level.model_copy(
            update={"tensors": {_role(tensor, f"result.{name}"): value for tensor, value in level.tensors.items()}}
        )
    result = raw.result.model_copy(update={"levels": levels})
    return Run(raw.id, raw.category, problem, machine, mapping, raw.counts_expected_exact, result)


def _problem(raw: _RawRun, meta: dict[str, Any]) -> NestProblem:
    """The tensors' axes are those of ``meta.tensors``, a matmul's if there are none."""
    sizes = {dim.lower(): size for dim, size in raw.problem.items()}
    if len(sizes) < len(raw.problem):
        raise MappingError(f"problem: dimensions {', '.join(raw.problem)} differ in case only")
    tensors = meta.get("tensors")
    if tensors is None:
        if set(sizes) != {"m", "k", "n"}:
            raise MappingError(f"problem: needs M, K and N, has {', '.join(raw.problem)}")
        return matmul(sizes["m"], sizes["k"], sizes["n"], raw.id)
    try:
        axes = {_role(name, "meta.tensors"): [str(dim).lower() for dim in dims] for name, dims in tensors.items()}
        operands = [NestTensor(name, tuple(Axis(((dim, 1),)) for dim in axes[name])) for name in TENSORS]
    except (AttributeError, TypeError, KeyError):
        raise MappingError("meta.tensors: must give the dimensions of I, W and O") from None
    needed = set().union(*axes.values())
    if needed != set(sizes):
        raise MappingError(
            f"problem: needs the dimensions {', '.join(sorted(needed)).upper()}, has {', '.join(raw.problem)}"
        )
    return NestProblem(raw.id, tuple(sizes.items()), (operands[0], operands[1], operands[2]))


def _mapping(raw: _RawRun, problem: NestProblem, machine: Hierarchy) -> LoopNest:
    """Bounds to steps, from the innermost loop out."""
    by_name: dict[str, _NestLevel] = {}
    for level in raw.mapping.levels:
        if level.level not in machine.names:
            raise MappingError(f"mapping: unknown level {level.level!r}{suggestion(level.level, machine.names)}")
        if level.level in by_name:
            raise MappingError(f"mapping: level {level.level!r} is given twice")
        by_name[level.level] = level
    missing = [name for name in machine.names if name not in by_name]
    if missing:
        raise MappingError(f"mapping: level {', '.join(missing)} missing")
    tile = dict.fromkeys(problem.names, 1)
    cover: dict[str, list[tuple[int, int]]] = {dim: [] for dim in tile}
    levels: list[LevelMapping] = []
    for name in reversed(machine.names):
        level, where = by_name[name], f"mapping.{name}"
        spatial: list[SpatialLoop] = []
        for entry in reversed(level.spatial):
            dim, bound, axis, last = _spatial(entry, tile, where)
            spatial.insert(0, SpatialLoop(dim, bound, axis))
            tile[dim] *= bound
            cover[dim].insert(0, (bound, last))
        temporal: list[TemporalLoop] = []
        for entry in reversed(level.temporal):
            dim, bound, last = _loop(entry[0], entry[1], entry[2] if len(entry) == 3 else entry[1], tile, where)
            temporal.insert(0, TemporalLoop(dim, tile[dim]))
            tile[dim] *= bound
            cover[dim].insert(0, (bound, last))
        kept = frozenset(_role(tensor, where) for tensor in level.keep)
        levels.insert(0, LevelMapping(name, kept, tuple(temporal), tuple(spatial)))
    _require_cover(problem, cover)
    return LoopNest((raw.id,), problem.dims, machine.name, _clipped(levels, problem))


def _clipped(levels: list[LevelMapping], problem: NestProblem) -> tuple[LevelMapping, ...]:
    """No step larger than the dimension: where the only tile is the last, smaller one."""
    return tuple(
        LevelMapping(
            level.memory,
            level.kept,
            tuple(TemporalLoop(loop.dim, min(loop.tile, problem.size(loop.dim))) for loop in level.temporal),
            level.spatial,
        )
        for level in levels
    )


def _require_cover(problem: NestProblem, cover: dict[str, list[tuple[int, int]]]) -> None:
    """The loops over a dimension must walk all of it and no more."""
    for dim, loops in cover.items():
        size = 1
        for bound, last in loops:
            size = (size - 1) * bound + last
        if size != problem.size(dim):
            text = " x ".join(str(bound) if bound == last else f"{bound}/{last}" for bound, last in loops) or "none"
            covered = f"mapping: the loops over {dim.upper()} ({text}) cover {size} elements"
            raise MappingError(f"{covered}; the problem has {dim.upper()}={problem.size(dim)}")


def _loop(dim: object, bound: object, last: object, tile: Mapping[str, int], where: str) -> tuple[str, int, int]:
    known = ", ".join(tile).upper()
    if not isinstance(dim, str) or dim.lower() not in tile:
        raise MappingError(f"{where}: unknown dimension {dim!r}; the problem has {known}")
    if not isinstance(bound, int) or not isinstance(last, int) or not 1 <= last <= bound <= 2**40:
        raise MappingError(f"{where}: bound of {dim} must be an integer of at least 1, and the last between 1 and it")
    return dim.lower(), bound, last


def _spatial(
    entry: list[str | int], tile: Mapping[str, int], where: str
) -> tuple[str, int, Literal["rows", "cols"], int]:
    dim, bound, last = _loop(entry[0], entry[1], entry[3] if len(entry) == 4 else entry[1], tile, where)
    if entry[2] not in ("x", "y"):
        raise MappingError(f"{where}: axis {entry[2]!r} must be x (columns) or y (rows)")
    return dim, bound, "cols" if entry[2] == "x" else "rows", last


def _role(tensor: str, where: str) -> str:
    if tensor not in ROLES:
        raise MappingError(f"{where}: unknown tensor {tensor!r}; use {', '.join(ROLES)}")
    return ROLES[tensor]


def _hierarchy(name: str, arch: _Arch, meta: dict[str, Any]) -> Hierarchy:
    """Level order as ``meta`` gives it, if it names the same levels; the architecture's own otherwise."""
    order = meta.get("levels_outer_to_inner")
    names = order if isinstance(order, list) and set(map(str, order)) == set(arch.levels) else list(arch.levels)
    memories = []
    for key in names:
        level = arch.levels[key]
        memories.append(
            Memory(
                key,
                frozenset(TENSORS),
                level.capacity_words,
                level.word_bits,
                level.read_words_per_cycle,
                level.write_words_per_cycle,
                level.shared_read_write_words_per_cycle,
                level.instances,
                level.energy_pj_per_word_access,
                level.energy_pj_per_word_access,
            )
        )
    return Hierarchy(name, tuple(memories), arch.array_rows, arch.array_cols, arch.mac_energy_pj)


def _misspelt(name: str, raw: object) -> list[str]:
    """Keys that look like one of ours: read as something else, they would be unlimited bandwidth in silence."""
    hints = []
    levels = raw.get("levels") if isinstance(raw, dict) else None
    for level, keys in levels.items() if isinstance(levels, dict) else ():
        for key in keys if isinstance(keys, dict) else ():
            hint = suggestion(key, _ArchLevel.model_fields)
            if key not in _ArchLevel.model_fields and "did you mean" in hint:
                hints.append(f"architectures.{name}.levels.{level}: unknown key {key!r}{hint}")
    return hints


def _lines(error: ValidationError | MappingError) -> list[str]:
    if isinstance(error, MappingError):
        return [" ".join(str(error).split())]
    lines = []
    for issue in error.errors():
        where = ".".join(map(str, issue["loc"]))
        lines.append(f"{where}: missing" if issue["type"] == "missing" else f"{where}: {issue['msg']}")
    return lines
