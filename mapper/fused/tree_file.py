"""Cuts of a graph as YAML: written so that reading gives back the same trees, read strictly.

schema: tilewright-loop-trees-1
graph: bert-base
machine: gemmini
groups:
- operators: [scores, softmax, context]
  sizes: {head: 12, query: 512, attended: 512, head_dim: 64}
  tree:
    steps: [loop head 1, hold k in scratchpad, loop query 256]
    parts:
    - {steps: [..., hold k in registers], operator: scores}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field

from mapper.errors import MappingError
from mapper.fused.cut import Cut, CutGroup, merged_group
from mapper.fused.einsum import FusedGraph
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.loop_tree import MEMORIES, Block, Hold, Loop, LoopTree, Step
from mapper.fused.rules import Rules
from mapper.fused.tree_check import violations
from mapper.fused.tree_costs import tree_costs
from mapper.mapping.yaml_document import StrictModel, read_document

SCHEMA = "tilewright-loop-trees-1"

_LOOP = r"loop (\S+) ([1-9][0-9]{0,9})"
_HOLD = r"hold (\S+) in (\w+)"


class _TreeBlock(StrictModel):
    steps: list[str] = Field(default_factory=list)
    operator: str | None = None
    parts: list[_TreeBlock] = Field(default_factory=list)

    def block(self, where: str) -> LoopTree:
        if ({"operator", "parts"} & self.model_fields_set) not in ({"operator"}, {"parts"}):
            raise MappingError(f"{where}: needs either an operator or parts")
        if self.operator is None and not self.parts:
            raise MappingError(f"{where}.parts: is empty")
        parts = tuple(part.block(f"{where}.parts.{number}") for number, part in enumerate(self.parts))
        return Block(tuple(_step(text, where) for text in self.steps), self.operator, parts)


class _TreeGroup(StrictModel):
    operators: list[str] = Field(min_length=1)
    sizes: dict[str, Annotated[int, Field(ge=1)]]
    tree: _TreeBlock


class _TreesFile(StrictModel):
    schema_version: Literal["tilewright-loop-trees-1"] = Field(alias="schema")
    graph: str
    machine: str
    groups: list[_TreeGroup] = Field(min_length=1)


def dump_cut(cut: Cut, graph: FusedGraph, machine: FlatMachine) -> str:
    """Return a cut as YAML text."""
    groups = [
        {"operators": list(group.operators), "sizes": dict(group.graph.sizes), "tree": tree_document(group.tree)}
        for group in cut.groups
    ]
    document = {"schema": SCHEMA, "graph": graph.name, "machine": machine.name, "groups": groups}
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    return text


def read_cut(path: Path, graph: FusedGraph, machine: FlatMachine, rules: Rules) -> Cut:
    """Read a cut for a graph and price it.

    Raises
    ------
    MappingError
        When the file cannot be read or breaks the schema; when it is for another graph, machine or other sizes; when
        operators are missing, unknown, there twice or before what they read; when a tree has not the right form or
        breaks an inequality (all of them, with their numbers).
    """
    document = read_document(path, _TreesFile, "trees")
    for what, own, asked in (("graph", document.graph, graph.name), ("machine", document.machine, machine.name)):
        if own != asked:
            raise MappingError(f"{path}: is for the {what} {own!r}, not {asked!r}")
    _require_cover([group.operators for group in document.groups], graph, path)
    return Cut(
        tuple(
            _priced(group, f"{path}: groups.{number}", graph, machine, rules)
            for number, group in enumerate(document.groups)
        )
    )


def _priced(group: _TreeGroup, where: str, graph: FusedGraph, machine: FlatMachine, rules: Rules) -> CutGroup:
    ordered = [operator.name for operator in graph.operators if operator.name in group.operators]
    merged = merged_group(graph, ordered)
    if group.sizes != merged.sizes:
        raise MappingError(f"{where}.sizes: is for {_listed(group.sizes)}, not {_listed(merged.sizes)}")
    try:
        tree = group.tree.block(f"{where}.tree")
        broken = violations(tree, merged, machine, rules)
    except MappingError as problem:
        message = str(problem)
        raise MappingError(message if message.startswith(where) else f"{where}: {message}") from problem
    if broken:
        raise MappingError(f"{where}: cannot run on {machine.name}:", broken)
    return CutGroup(merged, tree, tree_costs(tree, merged, machine))


def _require_cover(groups: list[list[str]], graph: FusedGraph, path: Path) -> None:
    """Every operator once, and nobody before what it reads."""
    named = [name for names in groups for name in names]
    for name in named:
        try:
            graph.operator(name)
        except MappingError as problem:
            raise MappingError(f"{path}: groups: {problem}") from problem
        if named.count(name) > 1:
            raise MappingError(f"{path}: groups: operator {name!r} is there twice")
    missing = [operator.name for operator in graph.operators if operator.name not in named]
    if missing:
        raise MappingError(f"{path}: groups: operator {missing[0]!r} is missing")
    done: set[str] = set()
    for number, names in enumerate(groups):
        for name in names:
            late = sorted(graph.needs(graph.operator(name)) - done - set(names))
            if late:
                raise MappingError(f"{path}: groups.{number}: {name} comes before {late[0]}, whose result it reads")
        done |= set(names)


def tree_document(block: LoopTree) -> dict[str, object]:
    """Return a tree as nested mappings, as the file has it."""
    steps = [
        f"loop {step.dim} {step.step}" if isinstance(step, Loop) else f"hold {step.tensor} in {step.memory}"
        for step in block.steps
    ]
    inside = (
        {"operator": block.operator} if block.operator is not None else {"parts": [*map(tree_document, block.parts)]}
    )
    return {"steps": steps, **inside}


def _step(text: str, where: str) -> Step:
    if match := re.fullmatch(_LOOP, text):
        return Loop(match[1], int(match[2]))
    match = re.fullmatch(_HOLD, text)
    if match and match[2] in MEMORIES:
        return Hold(match[1], match[2])
    memories = ", ".join(MEMORIES)
    raise MappingError(f"{where}.steps: {text!r} is neither 'loop DIM STEP' nor 'hold TENSOR in MEMORY' ({memories})")


def _listed(sizes: Mapping[str, int]) -> str:
    return " ".join(f"{dim}={size}" for dim, size in sizes.items())
