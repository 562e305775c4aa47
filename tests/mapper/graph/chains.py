"""Small graphs to cut: chains of a few operators on 32 x 64 activations."""

from __future__ import annotations

from mapper.graph.fusion_cuts import Cut, fusion_groups
from mapper.graph.fusion_group import FusionGroup
from tests.mapper.tiny import machine
from workloads import Operator, OpGraph, Tensor
from workloads.ops import Add, Gelu, LayerNorm, Relu, RmsNorm, Softmax

X = Tensor("x", (32, 64), ("m", "k"))

Reader = Gelu | Relu | Softmax | LayerNorm | RmsNorm


def chain(*operators: Operator) -> OpGraph:
    return OpGraph("chain", operators)


def after(kind: type[Reader], x: Tensor, name: str = "next", bits: int = 8) -> Operator:
    """Return an operator called ``name`` that reads ``x`` alone."""
    rows, cols = x.shape
    return kind(name=name, inputs=(x,), output=Tensor(name, x.shape, x.dims, bits), rows=rows, cols=cols)


def addition(first: Tensor, second: Tensor) -> Operator:
    rows, cols = first.shape
    return Add(name="add", inputs=(first, second), output=Tensor("add", first.shape, first.dims), rows=rows, cols=cols)


def cut_by_name(graph: OpGraph, name: str, cut: Cut | None = None) -> dict[str, FusionGroup]:
    """Return the groups on a shipped machine by name."""
    return {group.name: group for group in fusion_groups(graph, machine(name), cut)}
