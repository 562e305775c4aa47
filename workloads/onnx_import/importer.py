"""State of an import: what each value is, and the operators found so far."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workloads.errors import GraphError
from workloads.onnx_import.dimensions import Dims, atoms, of_extent, regrouped, size
from workloads.onnx_import.file import Node
from workloads.onnx_import.records import Product, Record
from workloads.onnx_import.shapes import Shape, Values
from workloads.onnx_import.values import AxisView, Base


@dataclass(slots=True)
class Importer:
    """Collects operators node by node."""

    origin: str
    """What to call the file in messages."""
    values: Values
    users: Mapping[str, Sequence[Node]]
    views: dict[str, AxisView] = field(default_factory=dict)
    """Activations by name; what is not here is a weight, or arithmetic on positions and masks."""
    records: list[Record] = field(default_factory=list)
    made: dict[int, Record] = field(default_factory=dict)
    """The operator behind a tensor, by the tensor's identity."""
    notes: dict[str, list[Node]] = field(default_factory=dict)
    """Nodes that cost nothing here, by what is said about them."""
    names: set[str] = field(default_factory=set)

    def fail(self, node: Node, problem: str) -> GraphError:
        """Return the error of a node, to be raised."""
        return GraphError(f"{self.origin}: {node.described}: {problem}")

    def shape(self, name: str, node: Node) -> Shape:
        """Return the shape of a value that ``node`` reads or makes.

        Raises
        ------
        GraphError
            If it is not known.
        """
        shape = self.values.shape(name)
        if shape is None:
            raise self.fail(node, f"the shape of {name!r:.60} cannot be inferred")
        return shape

    def is_weight(self, name: str) -> bool:
        """Whether a value depends on nothing but what the file stores."""
        return name in self.values.weights

    def data(self, node: Node) -> list[str]:
        """Return the inputs of a node that are activations."""
        return [name for name in node.inputs if name in self.views]

    def view(self, name: str) -> AxisView:
        """Return an activation."""
        return self.views[name]

    def note(self, what: str, node: Node) -> None:
        """Remember a node that is not modelled."""
        self.notes.setdefault(what, []).append(node)

    def named(self, node: Node, part: str = "") -> str:
        """Return a new name for an operator."""
        name = re.sub(r"[^\w.:/-]+", "_", node.name).strip("/")[:90] or node.op
        name = f"{name}.{part}" if part else name
        free, number = name, 1
        while free in self.names:
            number += 1
            free = f"{name}_{number}"
        self.names.add(free)
        return free

    def add(self, record: Record) -> None:
        """Append an operator."""
        self.records.append(record)
        self.made[id(record.out)] = record

    def product_behind(self, view: AxisView) -> Product | None:
        """Return the product that makes a tensor which nothing has read yet."""
        record = self.made.get(id(view.base))
        return record if isinstance(record, Product) and not view.base.used else None

    def leaf(self, name: str, shape: Sequence[int]) -> AxisView:
        """Return an activation that comes from outside."""
        hints = _hints(len(shape))
        axes = [of_extent(extent, hint) for extent, hint in zip(shape, hints, strict=True)]
        base = Base(name, tuple(dim for axis in axes[:-1] for dim in axis), axes[-1] if axes else ())
        return AxisView.of(base, axes)

    def derived(self, name: str, shape: Sequence[int], sources: Sequence[AxisView]) -> AxisView:
        """Return an activation whose elements come from others without a computation."""
        view = self.leaf(name, shape)
        view.base.follows = self.latest(sources)
        for source in sources:
            source.settle()
        return view

    def latest(self, sources: Sequence[AxisView]) -> Base | None:
        """Return of the tensors that are computed the one that is computed last."""
        order = {id(record.out): number for number, record in enumerate(self.records)}
        bases = [source.base if id(source.base) in order else source.base.follows for source in sources]
        known = [base for base in bases if base is not None and id(base) in order]
        return max(known, key=lambda base: order[id(base)], default=None)


def _hints(rank: int) -> tuple[str, ...]:
    """Return what the axes of an input might be called."""
    if rank == 4:
        return "batch", "head", "attended", "head_dim"
    return ("channel",) if rank == 1 else ("batch", *(["query"] * (rank - 2)), "channel")


def reshaped(view: AxisView, shape: Sequence[int]) -> AxisView:
    """Return the same elements in other axes.

    Raises
    ------
    UnevenSplit
        If they do not fit.
    """
    return AxisView.of(view.base, regrouped([dim for axis in view.axes for dim in axis], shape))


def transposed(view: AxisView, order: Sequence[int]) -> AxisView:
    """Return a view with its axes in another order."""
    return AxisView.of(view.base, [view.axes[axis] for axis in order])


def same(first: Dims, second: Dims) -> bool:
    """Whether two lists of dimensions are the same ones."""
    return atoms(first) == atoms(second)


def elements(view: AxisView) -> int:
    """Return the elements of a view, repeated ones counted every time."""
    return size(dim for axis in view.axes for dim in axis)
