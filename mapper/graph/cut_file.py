"""A fusion plan as YAML: which operators run as one group, in turns or not, and with which mappings.

    model: bert-base
    groups:
      - [scores, softmax]
      - [ffn1, ffn_activation]
    machine: gemmini_ibert                                               optional
    turns:                                                               optional
      - {producer: scores, consumer: context, rows: 128, outside: rows}
    mappings:                                                            optional
      scores: {tiles: {m: 64, n: 512, k: 64}, double_buffered: true}

The first operator of a group leads it. Operators that no group names are cut as by default: an activation that stores
can apply joins the operator before it, if neither is named. ``model`` is the one that the graph was built from, or the
name of a graph of one's own. Of two groups in turns, ``outside`` says whether all instances of a block of rows come
before the next rows, or all rows of an instance before the next instance, and ``between`` whether a block passes
through memory or stays in the scratchpad of a machine whose normaliser writes there. Tiles are in the order of the DRAM
loops, outermost first [elements]; groups without a mapping are searched. `dump_plan` writes what a run did, so that the
file makes another run do the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field

from hwconfigs import HardwareSpec
from hwconfigs.errors import suggestion
from mapper.errors import MappingError
from mapper.graph.fusion_cuts import Cut, default_cut, fusion_group, fusion_groups
from mapper.graph.fusion_group import FusionGroup
from mapper.graph.fusion_plan import FusionPlan, together
from mapper.graph.interleaving import Interleaving
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.loop_nest import DIMS
from mapper.mapping.yaml_document import StrictModel, read_document
from workloads import GraphError, OpGraph

Size = Annotated[int, Field(ge=1, le=2**31)]


class _Turn(StrictModel):
    producer: str
    consumer: str
    rows: Size
    outside: Literal["rows", "instances"] = "instances"
    between: Literal["memory", "scratchpad"] = "memory"

    def interleaving(self) -> Interleaving:
        outside, kept = self.outside == "rows", self.between == "scratchpad"
        return Interleaving(self.producer, self.consumer, self.rows, outside, kept)


class _Loop(StrictModel):
    tiles: dict[Literal["m", "k", "n"], Size]
    """In the order of the DRAM loops [elements]."""
    double_buffered: bool
    held: list[Literal["input", "weight"]] = Field(default_factory=list)

    def loop(self, side: int) -> HardwareLoop:
        """Return the mapping on an array of ``side`` x ``side``."""
        if sorted(self.tiles) != sorted(DIMS):
            raise MappingError(f"tiles must be of {', '.join(DIMS)}")
        odd = [f"{name}={size}" for name, size in self.tiles.items() if size % side]
        if odd:
            raise MappingError(f"tiles {', '.join(odd)} are no multiples of the array's {side}")
        m, k, n = (self.tiles[name] // side for name in ("m", "k", "n"))
        return HardwareLoop(m, k, n, "".join(self.tiles), self.double_buffered, frozenset(self.held))


class _PlanFile(StrictModel):
    model: Annotated[str, Field(min_length=1)]
    groups: list[Annotated[list[str], Field(min_length=1)]]
    machine: Annotated[str, Field(min_length=1)] | None = None
    turns: list[_Turn] = Field(default_factory=list)
    mappings: dict[str, _Loop] = Field(default_factory=dict)


def read_plan(path: str | Path, graph: OpGraph, spec: HardwareSpec) -> FusionPlan:
    """Return the plan for a graph that a file describes.

    Raises
    ------
    MappingError
        When the file cannot be read, belongs to another model or machine, names an operator that is not there or
        twice, a group that the machine cannot run, turns that groups cannot take, or the mapping of no matmul; groups
        that would have to wait for each other are found by whoever runs them.
    """
    content = read_document(Path(path), _PlanFile, "groups")
    model = graph.config.get("model", graph.name)
    if content.model != model:
        raise MappingError(f"{path}: model: groups of {content.model!r}, and the graph is of {model!r}")
    if content.machine not in (None, spec.name):
        raise MappingError(f"{path}: machine: plan for {content.machine!r}, and the machine is {spec.name!r}")
    cut = _cut(content.groups, graph, spec, path)
    turns = tuple(turn.interleaving() for turn in content.turns)
    groups = fusion_groups(graph, spec, cut)
    try:
        together(groups, turns, graph, spec)
        mappings = dict(_mappings(content.mappings, groups, spec))
    except MappingError as problem:
        raise MappingError(f"{path}: {problem}") from problem
    return FusionPlan(cut, turns, mappings)


def _mappings(
    loops: Mapping[str, _Loop], groups: Sequence[FusionGroup], spec: HardwareSpec
) -> Iterator[tuple[str, HardwareLoop]]:
    led = [group.name for group in groups if group.unit == "array"]
    for name, loop in loops.items():
        if name not in led:
            raise MappingError(f"mappings: no matmul leads a group {name!r}{suggestion(name, led)}")
        try:
            yield name, loop.loop(spec.array.rows)
        except MappingError as problem:
            raise MappingError(f"mappings: {name}: {problem}") from problem


def _cut(groups: Sequence[Sequence[str]], graph: OpGraph, spec: HardwareSpec, path: str | Path) -> Cut:
    """Return a cut with some groups, the rest as by default."""
    named: list[str] = []
    for number, group in enumerate(groups, start=1):
        for name in group:
            try:
                graph.operator(name)
            except GraphError as problem:
                raise MappingError(f"{path}: groups: number {number}: {problem}") from problem
            if name in named:
                raise MappingError(f"{path}: groups: number {number}: operator {name!r} is named twice")
            named.append(name)
        try:
            fusion_group([graph.operator(name) for name in group], graph, spec)
        except MappingError as problem:
            raise MappingError(f"{path}: groups: number {number}: {problem}") from problem
    rest = (group for group in default_cut(graph, spec) if not set(group) <= set(named))
    left = (group if not set(group) & set(named) else [name for name in group if name not in named] for group in rest)
    return tuple(map(tuple, (*groups, *left)))


def dump_plan(plan: FusionPlan, graph: OpGraph, spec: HardwareSpec) -> str:
    """Return a plan as YAML text."""
    side = spec.array.rows
    document = {
        "model": graph.config.get("model", graph.name),
        "machine": spec.name,
        "groups": [list(names) for names in plan.cut],
        "turns": [
            {
                "producer": how.producer,
                "consumer": how.consumer,
                "rows": how.rows,
                "outside": "rows" if how.rows_outside else "instances",
                "between": "scratchpad" if how.in_scratchpad else "memory",
            }
            for how in plan.turns
        ],
        "mappings": {
            name: {
                "tiles": {dim: dict(zip(DIMS, loop.tiles, strict=True))[dim] * side for dim in loop.order},
                "double_buffered": loop.double_buffered,
                "held": sorted(loop.held),
            }
            for name, loop in plan.mappings.items()
        },
    }
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    return text
