"""A model's operators as einsums: a view of their iteration spaces.

Biases are left out, and so are dimensions of size one. An activation that alone reads a product's result is applied as
the result leaves the accumulator, as Gemmini's stores do, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hwconfigs.kernels import kernel_named
from mapper.errors import MappingError
from mapper.fused.einsum import Access, Einsum, FusedGraph
from workloads import Matmul, Operator, OpGraph
from workloads.errors import nearest
from workloads.iteration_space import Operand
from workloads.ops.rowwise import RowwiseOperator


@dataclass(frozen=True)
class FusedModel:
    """The operators of a model that have costs of their own, and those that others apply."""

    graph: FusedGraph
    applied: dict[str, str]
    """Activation -> the product whose results pass through it."""


def fused_model(graph: OpGraph, only: Iterable[str] | None = None) -> FusedModel:
    """Return a graph, or some of its operators, as einsums.

    Parameters
    ----------
    graph
        One block of a model.
    only
        Names of the operators to take; all if left out.

    Raises
    ------
    MappingError
        For an unknown operator, and for one that is neither a matmul nor row-wise (a convolution, a pooling).
    """
    chosen = _chosen(graph, only)
    applied = _applied(chosen, graph)
    owner = {op.output.name: graph.operator(applied[op.name]).output.name for op in chosen if op.name in applied}
    kept = [op for op in chosen if op.name not in applied]
    spaces = [_einsum(op, owner) for op in kept]
    extents = {dim: size for op in kept for dim, size in op.iteration_space.dims}
    for op in kept:
        for dim, size in op.iteration_space.dims:
            if extents[dim] != size:
                raise MappingError(f"{op.name}: {dim} has extent {size} here and {extents[dim]} elsewhere")
    idle = _idle(spaces, extents)
    operators = tuple(_without(item, idle) for item in spaces)
    sizes = {dim: size for dim, size in extents.items() if dim not in idle}
    names = {op.name for op in kept}
    read_outside = {
        owner.get(tensor.name, tensor.name) for op in graph.operators if op.name not in names for tensor in op.inputs
    }
    made = {op.output.tensor for op in operators}
    order = _cache_order(kept, graph)
    return FusedModel(FusedGraph(graph.name, sizes, operators, frozenset(made & read_outside), order), applied)


def _chosen(graph: OpGraph, only: Iterable[str] | None) -> list[Operator]:
    if only is None:
        return list(graph.operators)
    names = list(only)
    known = [op.name for op in graph.operators]
    for name in names:
        if name not in known:
            raise MappingError(f"unknown operator {name!r}{nearest(name, known)}; {graph.name} has {', '.join(known)}")
    return [op for op in graph.operators if op.name in names]


def _applied(chosen: list[Operator], graph: OpGraph) -> dict[str, str]:
    """Activations with the products that apply them."""
    made = {op.output.name: op for op in chosen if isinstance(op, Matmul)}
    found = {}
    for op in chosen:
        if not kernel_named(op.kind).is_activation or op.iteration_space.complete or len(op.inputs) != 1:
            continue
        maker = made.get(op.inputs[0].name)
        if maker is not None and [reader.name for reader in graph.consumers(maker.name)] == [op.name]:
            found[op.name] = maker.name
    return found


def _cache_order(kept: list[Operator], graph: OpGraph) -> frozenset[tuple[str, str]]:
    makers = {op.output.name: op.name for op in kept}
    pairs = {
        (makers[graph.appends[tensor.name]], op.name)
        for op in kept
        for tensor in op.inputs
        if graph.appends.get(tensor.name) in makers
    }
    return frozenset(pairs)


def _einsum(op: Operator, owner: dict[str, str]) -> Einsum:
    space = op.iteration_space

    def access(operand: Operand) -> Access:
        if any(axis.slides for axis in operand.axes):
            raise MappingError(f"{op.name}: a window slides along {operand.tensor.name}")
        return Access(owner.get(operand.tensor.name, operand.tensor.name), operand.dims)

    if isinstance(op, Matmul):
        return Einsum(op.name, (access(space.inputs[0]), access(space.inputs[1])), access(space.output))
    if isinstance(op, RowwiseOperator):
        return Einsum(op.name, tuple(map(access, space.inputs)), access(space.output), False, space.complete)
    raise MappingError(f"{op.name}: fused loop nests are made of matmuls and row-wise operators, not of {op.kind}")


def _idle(operators: list[Einsum], extents: dict[str, int]) -> set[str]:
    """Dimensions of size one, but for those that a product cannot lack."""
    idle = {dim for dim, size in extents.items() if size == 1}
    for operator in operators:
        for dims in (operator.reduced, operator.columns) if operator.is_product else (operator.output.dims,):
            if set(dims) <= idle:
                idle.discard(dims[-1])
    return idle


def _without(operator: Einsum, idle: set[str]) -> Einsum:
    def access(item: Access) -> Access:
        return Access(item.tensor, tuple(dim for dim in item.dims if dim not in idle))

    return Einsum(
        operator.name,
        tuple(access(item) for item in operator.inputs),
        access(operator.output),
        operator.is_product,
        operator.complete - idle,
    )
