"""A cut as YAML: which operators run as one group.

    model: bert-base
    groups:
      - [scores, softmax]
      - [ffn1, ffn_activation]

The first operator of a group leads it. Operators that no group names run alone. ``model`` is the one that the graph was
built from, or the name of a graph of one's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hwconfigs import strict_yaml
from mapper.errors import MappingError
from mapper.graph.fusion_cuts import Cut
from workloads import GraphError, OpGraph


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: Annotated[str, Field(min_length=1)]
    groups: list[Annotated[list[str], Field(min_length=1)]]


def read_cut(path: str | Path, graph: OpGraph) -> Cut:
    """Return the cut of a graph that a file describes; whether the machine can run it is not asked here.

    Raises
    ------
    MappingError
        When the file cannot be read, belongs to another model, or names an operator that is not there or twice.
    """
    content = _read(Path(path))
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
    return (*content.groups, *([op.name] for op in graph.operators if op.name not in named))


def _read(path: Path) -> _File:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise MappingError(f"{path}: cannot read the groups: {(problem.strerror or str(problem)).lower()}") from problem
    except UnicodeDecodeError as problem:
        raise MappingError(f"{path}: not a UTF-8 text file") from problem
    parsed = strict_yaml.parse(text, str(path))
    if parsed.problems:
        raise MappingError("\n".join(parsed.problems))
    try:
        return _File.model_validate(parsed.data)
    except ValidationError as error:
        lines = (
            f"{path}: {'.'.join(map(str, issue['loc'])) or 'the file'}: {issue['msg']}" for issue in error.errors()
        )
        raise MappingError("\n".join(lines)) from error
