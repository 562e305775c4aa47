"""A cut as YAML: which operators run as one group.

    model: bert-base
    groups:
      - [scores, softmax]
      - [ffn1, ffn_activation]

The first operator of a group leads it. Operators that no group names are cut as by default: an activation that stores
can apply joins the operator before it, if neither is named. ``model`` is the one that the graph was built from, or the
name of a graph of one's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from hwconfigs import HardwareSpec
from mapper.errors import MappingError
from mapper.graph.fusion_cuts import Cut, default_cut, fusion_group
from mapper.mapping.yaml_document import StrictModel, read_document
from workloads import GraphError, OpGraph


class _CutFile(StrictModel):
    model: Annotated[str, Field(min_length=1)]
    groups: list[Annotated[list[str], Field(min_length=1)]]


def read_cut(path: str | Path, graph: OpGraph, spec: HardwareSpec) -> Cut:
    """Return the cut of a graph that a file describes.

    Raises
    ------
    MappingError
        When the file cannot be read, belongs to another model, names an operator that is not there or twice, or a
        group that the machine cannot run; groups that would have to wait for each other are found by whoever runs them.
    """
    content = read_document(Path(path), _CutFile, "groups")
    model = graph.config.get("model", graph.name)
    if content.model != model:
        raise MappingError(f"{path}: model: groups of {content.model!r}, and the graph is of {model!r}")
    named: list[str] = []
    for number, group in enumerate(content.groups, start=1):
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
    return (*content.groups, *left)
