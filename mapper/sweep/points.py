"""Points of a sweep: what one row of the store computes, and the key by which it is known.

A key is the hash of the machine, the workload and the settings as they were read, and of the version of the model. Two
spellings of one machine have one key; a machine file whose content changes has another.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import hwconfigs
import workloads
from hwconfigs import HardwareSpec, SpecError
from hwconfigs.textfiles.reading import MOST_JSON_BYTES, UnreadableFile, read_bytes
from mapper import pipeline
from mapper.errors import MappingError
from mapper.recall.digests import MachineDigests
from mapper.settings import CUTS, RunSettings, SettingsError
from mapper.sweep.definition import Sweep
from workloads import OpGraph
from workloads.errors import GraphError

_MATMUL = re.compile(r"(?:([0-9]{1,10})x)?([0-9]{1,10})x([0-9]{1,10})x([0-9]{1,10})")
"""One product, or several equal ones, as `map` takes them."""


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of a sweep's values."""

    model: str
    machine: str
    settings: RunSettings | None
    """None if the values contradict each other."""
    values: Mapping[str, object]
    """Of the axes, by name."""
    problem: str = ""
    """Why there are no settings."""

    def to_dict(self) -> dict[str, object]:
        """Return plain data that `from_dict` reads."""
        settings = None if self.settings is None else self.settings.to_dict()
        return {
            "model": self.model, "machine": self.machine, "settings": settings, "values": dict(self.values),
            "problem": self.problem,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Point:
        """Read what `to_dict` returns; a `SettingsError` for settings of another version."""
        settings = None if data["settings"] is None else RunSettings.from_dict(data["settings"])
        return cls(data["model"], data["machine"], settings, data["values"], data["problem"])


class CacheChoice(NamedTuple):
    """A cache of what points share (`mapper.sweep.cache`)."""

    path: str
    most_bytes: int


@dataclass(frozen=True, slots=True)
class Task:
    """A point as a worker gets it: machine and workload are read, files are needed no longer."""

    key: str
    point: Point
    spec: HardwareSpec | None
    graph: OpGraph | None
    problem: str = ""
    """Why it cannot run."""
    timeout_s: float | None = None
    memory_bytes: int | None = None
    cache: CacheChoice | None = None
    """Where searches and simulations are shared with other points; None: nowhere."""

    def __reduce__(self) -> tuple[object, ...]:
        """Travel with machine and workload in pieces that are made once, and read once, for all tasks with them."""
        pieces = (_packed(_Identity(self.spec)), _packed(_Identity(self.graph)))
        return _task, (self.key, self.point, *pieces, self.problem, self.timeout_s, self.memory_bytes, self.cache)


@dataclass(frozen=True, slots=True, eq=False)
class _Identity:
    """A value that equals itself alone: quicker to compare than what is in it."""

    value: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


@lru_cache(64)
def _packed(one: _Identity) -> bytes:
    return pickle.dumps(one.value)


_unpacked = lru_cache(64)(pickle.loads)


def _task(key: str, point: Point, spec: bytes, graph: bytes, *rest: Any) -> Task:
    return Task(key, point, _unpacked(spec), _unpacked(graph), *rest)


def points_of(sweep: Sweep) -> Iterator[Point]:
    """Yield the points of a sweep in the order of its table."""
    return (point_of(sweep, values) for values in sweep.choices())


def point_of(sweep: Sweep, values: Mapping[str, object]) -> Point:
    """Return the point of a combination of a sweep's values; one that cannot run says why."""
    model, machine = values.get("model", sweep.model), values.get("machine", sweep.machine)
    try:
        return Point(str(model), str(machine), sweep.settings_of(values), values)
    except (SettingsError, MappingError) as problem:
        return Point(str(model), str(machine), None, values, one_line(problem))


class Resolver:
    """Reads machines and workloads of points, each once.

    Parameters
    ----------
    version
        Of the model (`mapper.sweep.model_version`).
    timeout_s, memory_bytes
        Limits of each point.
    cache
        What its points share.
    """

    def __init__(
        self,
        version: str,
        timeout_s: float | None = None,
        memory_bytes: int | None = None,
        cache: CacheChoice | None = None,
    ) -> None:
        self._version = version
        self._limits = timeout_s, memory_bytes, cache
        # Sweeps go through few machines and shapes at a time; what falls out is read again.
        self._base = lru_cache(256)(hwconfigs.load)
        self._spec = lru_cache(256)(self._changed)
        self._graph = lru_cache(64)(_graph)
        self._energy = lru_cache(256)(_energy_digest)
        self._cut = lru_cache(256)(_file_digest)
        self._machine = lru_cache(256)(_machine_digest)

    def shared(self, task: Task) -> str:
        """Return one text for points that have most simulations in common; empty if nothing is shared."""
        if task.cache is None or task.spec is None:
            return ""
        return f"{self._machine(_Identity(task.spec))} {id(task.graph)}"

    def digest(self, sweep: Sweep) -> str:
        """Return the digest of what a sweep is: its definition, and the machines of its files as they are now."""
        columns = {name: [row[at] for row in axis.rows] for axis in sweep.axes for at, name in enumerate(axis.names)}
        machines = []
        for name in (sweep.machine, *columns.get("machine", ())):
            try:
                machines.append(self._base(str(name)).fingerprint)
            except (SpecError, OSError) as problem:
                machines.append(one_line(problem))
        models = [str(name) for name in (sweep.model, *columns.get("model", ())) if Path(str(name)).is_file()]
        return _digest([repr(sweep), machines, [_file_digest(name) for name in models]])

    def require_base(self, sweep: Sweep) -> None:
        """Refuse a machine or a model that no axis changes, and with which no point could run.

        Raises
        ------
        SweepError
            With the key of the sweep, and what is wrong with it.
        """
        try:
            key = "machine"
            if key not in sweep.names:
                self._base(sweep.machine)
            key = "model"
            if sweep.model is not None and not {key, *_Shape._fields} & {*sweep.names}:
                self._graph(sweep.model, _shape(sweep.settings))
        except (SpecError, GraphError, MappingError, SettingsError, OSError) as problem:
            raise sweep.problem(f"{key}: {one_line(problem)}") from None

    def task(self, point: Point) -> Task:
        """Return what a worker needs; a point that cannot run has a problem in place of machine and workload."""
        settings = point.settings
        if settings is None:
            return self._unable(point, point.problem)
        try:
            spec = self._spec(point.machine, settings.overrides)
            graph, workload = self._graph(point.model, _shape(settings))
            files = [self._energy(settings.energy or spec.energy)]
            bare = replace(settings, overrides=None, energy=None)
            if settings.fusion not in CUTS:
                # A cut is what its file says, wherever it lies.
                files.append(self._cut(str(settings.fusion)))
                bare = replace(bare, fusion=CUTS[0])
        except (SpecError, GraphError, MappingError, SettingsError, OSError) as problem:
            return self._unable(point, one_line(problem))
        key = _digest([self._version, spec.fingerprint, workload, bare.key, *files])
        return Task(key, point, spec, graph, "", *self._limits)

    def _changed(self, machine: str, changes: Mapping[str, object]) -> HardwareSpec:
        spec = self._base(machine)
        return hwconfigs.override(spec, changes) if changes else spec

    def _unable(self, point: Point, problem: str) -> Task:
        return Task(_digest([self._version, point.to_dict(), problem]), point, None, None, problem)


class _Shape(NamedTuple):
    """The settings that say what to build."""

    seq: int | None
    phase: str
    context: int | None
    batch: int
    strict_positions: bool
    source: int | None
    causal: str
    lm_head: bool
    bits: str | None
    dims: str | None
    routing: str | None


def _shape(settings: RunSettings) -> _Shape:
    return _Shape(*(getattr(settings, name) for name in _Shape._fields))


def _graph(model: str, shape: _Shape) -> tuple[OpGraph, str]:
    """Return the workload and the digest of its operators."""
    matmul = _MATMUL.fullmatch(model)
    if matmul is not None:
        if shape != _Shape(None, "prefill", None, 1, shape.strict_positions, None, "full", False, None, None, None):
            raise SettingsError(
                f"{model}: a product has its sizes in its name; leave out seq and what else shapes models"
            )
        repeat, m, k, n = (int(number or 1) for number in matmul.groups())
        graph = pipeline.matmul_graph(m, k, n, repeat)
    else:
        graph = workloads.build(
            model, seq=shape.seq, phase=shape.phase, context=shape.context, batch=shape.batch,
            strict_positions=shape.strict_positions, source=shape.source, causal=shape.causal, lm_head=shape.lm_head,
            dims=shape.dims, routing=shape.routing,
            bits=None if shape.bits is None else workloads.Bits.parse(shape.bits),
        )  # fmt: skip
    kinds = [[list(kind.layers), *kind.operators] for kind in graph.kinds]
    operators = [graph.repeat, [repr(op) for op in graph.operators], sorted(graph.appends.items())]
    return graph, _digest([*operators, kinds] if kinds else operators)


def _machine_digest(spec: _Identity) -> str:
    assert isinstance(spec.value, HardwareSpec), "machines are what is asked for"
    return MachineDigests(spec.value).of(vector=False)


def _energy_digest(name: str) -> str:
    return _digest(hwconfigs.load_energy(name).model_dump(mode="json"))


def _file_digest(path: str) -> str:
    try:
        return hashlib.sha256(read_bytes(Path(path), MOST_JSON_BYTES)).hexdigest()
    except UnreadableFile as problem:
        raise MappingError(f"{path}: {problem}") from None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def one_line(problem: Exception) -> str:
    """Return what is wrong in one line, at most 500 characters long."""
    text = "; ".join(line.strip() for line in str(problem).splitlines() if line.strip())
    return (text or type(problem).__name__)[:500]
