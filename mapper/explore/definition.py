"""What an exploration is: the machines of a sweep, objectives, limits that a machine must keep, and how to search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from hwconfigs import quantity
from hwconfigs.errors import suggestion
from hwconfigs.textfiles import strict_yaml
from hwconfigs.textfiles.reading import read_text
from mapper.errors import SweepError
from mapper.explore.limits import LIMITS, Limit
from mapper.sweep.definition import PLAIN_NAMES, Sweep
from mapper.sweep.sweep_file import read_sweep

SECTION = "explore"
"""Key of the file of a sweep that makes it one of an exploration."""

COLUMNS: Mapping[str, str] = {
    column.partition("_")[0]: column for column in ("latency_s", "energy_pj", "edp_js", "area_mm2", "dram_bytes")
}
"""Objectives by name, and the column of a store that each minimises."""

SamplerName: TypeAlias = Literal["tpe", "nsga2", "random"]
SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)

MOST_TRIALS = 100_000

_KEYS = ("objectives", "limits", "trials", "sampler", "seed", "batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """A search over machines.

    Raises
    ------
    SweepError
        For what makes no sense, one line per problem.
    """

    sweep: Sweep
    """Axes are the fields that are searched; filters hold for every machine."""
    objectives: tuple[str, ...] = ("latency", "energy", "area")
    """Names of `COLUMNS`, all of them to be small."""
    limits: tuple[Limit, ...] = ()
    trials: int = 100
    """Machines to compute, different ones that keep the limits."""
    sampler: SamplerName = "tpe"
    seed: int = 0
    batch: int = 8
    """Machines that are asked for before the first of them is heard of: what may be computed at once."""

    def __post_init__(self) -> None:
        problems = []
        plain = [name for name in self.sweep.names if name in PLAIN_NAMES and name != "machine"]
        if plain:
            problems.append(f"axes: {plain[0]}: an exploration searches machines; workload and settings stay the same")
        for name in self.objectives:
            if not isinstance(name, str) or name not in COLUMNS:
                problems.append(f"explore: objectives: {name!r:.60} is none{suggestion(str(name), tuple(COLUMNS))}")
        if not self.objectives or len(set(map(str, self.objectives))) < len(self.objectives):
            problems.append("explore: objectives: must be a list of different names, at least one")
        if self.sampler not in SAMPLERS:
            problems.append(f"explore: sampler: {self.sampler!r:.60} is none{suggestion(str(self.sampler), SAMPLERS)}")
        for key, value, least, most in (
            ("trials", self.trials, 1, MOST_TRIALS),
            ("batch", self.batch, 1, 1024),
            ("seed", self.seed, 0, 2**32 - 1),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                problems.append(f"explore: {key}: must be a whole number in {least:,}..{most:,}, got {value!r:.40}")
        if problems:
            raise SweepError("\n".join(problems))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a store that are to be small."""
        return tuple(COLUMNS[name] for name in self.objectives)


def read_exploration(path: str | Path) -> Exploration:
    """Read the file of an exploration: that of a sweep with a section ``explore``.

    Raises
    ------
    SweepError
        With every problem of the file, one line each.
    """
    sweep = read_sweep(path, besides=(SECTION,))
    document = strict_yaml.parse(read_text(Path(path)), str(path))
    section = document.data[SECTION] if isinstance(document.data, dict) and SECTION in document.data else {}
    if not isinstance(section, dict):
        raise SweepError(f"{document.where(SECTION)}: {SECTION}: must be a section of 'key: value' lines")
    unknown = [key for key in section if key not in _KEYS]
    if unknown:
        lines = [
            f"{document.where(f'{SECTION}.{key}')}: {SECTION}: {key}: unknown key{suggestion(str(key), _KEYS)}"
            for key in unknown
        ]
        raise SweepError("\n".join(lines))
    try:
        return _exploration(sweep, section)
    except SweepError as problem:
        lines = [f"{document.where(_path(line))}: {line}" for line in str(problem).splitlines()]
        raise SweepError("\n".join(lines)) from None


def _path(line: str) -> str:
    """Return the dotted path that a message begins with."""
    first, _, rest = line.partition(": ")
    return f"{first}.{rest.partition(': ')[0]}"


def _exploration(sweep: Sweep, section: Mapping[str, object]) -> Exploration:
    chosen = dict(section)
    objectives = chosen.pop("objectives", ["latency", "energy", "area"])
    if not isinstance(objectives, list):
        raise SweepError(f"explore: objectives: must be a list of names of {', '.join(COLUMNS)}")
    limits = chosen.pop("limits", None) or {}
    if not isinstance(limits, dict):
        raise SweepError("explore: limits: must be a section of 'key: value' lines, as in 'area: 3 mm2'")
    read = tuple(_limit(str(name), value) for name, value in limits.items())
    return Exploration(sweep=sweep, objectives=tuple(objectives), limits=read, **chosen)  # type: ignore[arg-type]


def _limit(name: str, value: object) -> Limit:
    kind = LIMITS.get(name)
    if kind is None:
        raise SweepError(f"explore: limits: {name}: unknown limit{suggestion(name, tuple(LIMITS))}")
    try:
        most = quantity.in_units(str(value), f"a limit of the {name}", kind.units, kind.example)
    except ValueError as problem:
        raise SweepError(f"explore: limits: {name}: {problem}") from None
    if not most > 0:
        raise SweepError(f"explore: limits: {name}: must be above 0, got {value!r:.40}")
    return Limit(kind, most)
