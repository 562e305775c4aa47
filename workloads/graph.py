"""OpGraph: the operators of one block and the tensors that flow between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workloads.errors import GraphError, nearest
from workloads.ops.operator import Operator
from workloads.ordering import CircleError, ordered
from workloads.tensor import Role, Tensor
from workloads.totals import Convention, Total, totals

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, slots=True)
class BlockKind:
    """Equal layers of a model whose layers differ."""

    name: str
    """What sets them apart, such as ``"sliding"``; the names of their operators begin with it and a dot."""
    layers: tuple[int, ...]
    """Where they stand in the model, or in its encoder or decoder."""
    operators: tuple[str, ...]
    idle_weights: int = 0
    """Weights of one layer that are stored and not read: those of experts that get no tokens. Negative where weights
    are read more than once. [elements]"""
    weight_sets: int | None = None
    """Sets of weights that the layers share (ALBERT); None: each has its own."""


class OpGraph:
    """A directed acyclic graph of operators, repeated ``repeat`` times.

    A model of layers that differ is one graph with a block of each kind, which `kinds` tells; ``repeat`` is 1 then, and
    each operator runs as often as its kind has layers (`runs`).

    An edge runs from the operator that makes a tensor to each operator that reads it.

    Parameters
    ----------
    name
        For people.
    operators
        In any order; edges follow from the tensors they name.
    repeat
        Identical blocks, for instance encoder layers.
    config
        What was asked for: model, phase, seq, context, batch ...
    appends
        Cache tensor -> tensor that is written into it before it is read (a decoder's new key). The append
        itself is free: the operator that makes the new tensor writes it in place. It orders the graph.
    kinds
        Which operators belong to which layers, if they differ, or if some weights are idle.

    Raises
    ------
    GraphError
        If a name is used twice, a tensor is described in two ways, or the graph has a cycle.
    """

    def __init__(
        self,
        name: str,
        operators: Iterable[Operator],
        *,
        repeat: int = 1,
        config: Mapping[str, object] | None = None,
        appends: Mapping[str, str] | None = None,
        kinds: Iterable[BlockKind] = (),
    ) -> None:
        self.name = name
        self.repeat = repeat
        self.kinds: tuple[BlockKind, ...] = tuple(kinds)
        self._runs = {op: len(kind.layers) for kind in self.kinds for op in kind.operators}
        self.config: dict[str, object] = dict(config or {})
        self.appends: dict[str, str] = dict(appends or {})
        given = tuple(operators)
        self._tensors = _collect_tensors(given)
        self._named = {op.name: op for op in given}
        self._carried = self._connect(given)
        self._before: dict[str, set[str]] = {op.name: set() for op in given}
        self._after: dict[str, set[str]] = {op.name: set() for op in given}
        for producer, reader in self._carried:
            self._before[reader].add(producer)
            self._after[producer].add(reader)
        try:
            order = ordered(self._named, self._before)
        except CircleError as circle:
            raise GraphError(f"graph {name}: operators form a cycle: {circle}") from None
        self._operators: tuple[Operator, ...] = tuple(self._named[node] for node in order)

    def _connect(self, operators: tuple[Operator, ...]) -> dict[tuple[str, str], tuple[Tensor, ...]]:
        """Return the tensors of each edge, by the names of the operator that writes them and of the one that reads."""
        names: set[str] = set()
        producer: dict[str, str] = {}
        carried: dict[tuple[str, str], tuple[Tensor, ...]] = {}
        for op in operators:
            if op.name in names:
                raise GraphError(f"graph {self.name}: two operators are called {op.name!r}")
            if op.output.name in producer:
                first = producer[op.output.name]
                raise GraphError(f"graph {self.name}: {first!r} and {op.name!r} both write {op.output.name!r}")
            names.add(op.name)
            producer[op.output.name] = op.name
        for op in operators:
            for tensor in op.inputs:
                made = tensor.name if tensor.name in producer else self.appends.get(tensor.name)
                if made is None:
                    continue
                if made not in producer:
                    raise GraphError(f"graph {self.name}: nothing writes {made!r}, appended to {tensor.name!r}")
                edge = producer[made], op.name
                carried[edge] = (*carried.get(edge, ()), self._tensors[made])
        return carried

    @property
    def operators(self) -> tuple[Operator, ...]:
        """All operators in topological order, ties in the order given."""
        return self._operators

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """All tensors by name, in order of first use."""
        return self._tensors

    @property
    def phase(self) -> str:
        """``"prefill"`` or ``"decode"``."""
        return str(self.config.get("phase", "prefill"))

    def operator(self, name: str) -> Operator:
        """Return the operator called ``name``."""
        if name not in self._named:
            raise GraphError(f"graph {self.name}: no operator {name!r}{nearest(name, self._named)}")
        return self._named[name]

    def producers(self, name: str) -> tuple[Operator, ...]:
        """Return the operators whose outputs operator ``name`` reads, in topological order."""
        before = self._before[self.operator(name).name]
        return tuple(op for op in self._operators if op.name in before)

    def consumers(self, name: str) -> tuple[Operator, ...]:
        """Return the operators that read the output of operator ``name``, in topological order."""
        after = self._after[self.operator(name).name]
        return tuple(op for op in self._operators if op.name in after)

    def between(self, producer: str, consumer: str) -> tuple[Tensor, ...]:
        """Return the tensors on the edge from one operator to another, () without an edge."""
        return self._carried.get((producer, consumer), ())

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Activations that enter the block from outside."""
        made = {op.output.name for op in self._operators}
        return tuple(t for t in self._tensors.values() if t.role == "activation" and t.name not in made)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Tensors that no operator of the block reads."""
        return tuple(op.output for op in self._operators if not self.consumers(op.name))

    def runs(self, name: str) -> int:
        """Return how many layers run operator ``name``."""
        return self._runs.get(self.operator(name).name, self.repeat)

    def tensor_runs(self) -> dict[str, int]:
        """Return for each tensor how many layers have one like it."""
        return {t.name: self.runs(op.name) for op in self._operators for t in (*op.inputs, op.output)}

    def bytes_of(self, role: Role) -> int:
        """Return the size of all tensors of one role that the operators of all blocks use. [bytes]"""
        runs = self.tensor_runs()
        return sum(runs[tensor.name] * tensor.bytes for tensor in self._tensors.values() if tensor.role == role)

    @property
    def parameters(self) -> int:
        """Weights of all blocks, idle experts included (biases and normalisation gains not counted)."""
        sets = {name: kind.weight_sets for kind in self.kinds for name in kind.operators}
        weights = {
            tensor.name: (sets.get(op.name) or self.runs(op.name)) * tensor.elements
            for op in self._operators
            for tensor in op.inputs
            if tensor.role == "weight"
        }
        return sum(len(kind.layers) * kind.idle_weights for kind in self.kinds) + sum(weights.values())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all blocks."""
        return sum(self.runs(op.name) * op.macs for op in self._operators)

    def totals(self, convention: Convention = "natural") -> dict[str, Total]:
        """Return MACs, FLOPs, bytes and intensity by operator class, and their sum as ``"total"``.

        Parameters
        ----------
        convention
            ``"natural"``, or ``"paper"`` for the counting of arXiv:2302.14017 (see `workloads.totals`).
        """
        return totals([(op, self.runs(op.name)) for op in self._operators], convention, self.phase)

    def to_networkx(self) -> nx.DiGraph[str]:
        """Return the graph for networkx: nodes carry ``operator``, edges ``tensors``."""
        # Loaded by whoever asks for it: that takes longer than all that a run needs of a graph.
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from((name, {"operator": operator}) for name, operator in self._named.items())
        graph.add_edges_from((*edge, {"tensors": tensors}) for edge, tensors in self._carried.items())
        return graph

    def __repr__(self) -> str:
        kinds = "".join(f", {len(kind.layers)} x {kind.name}" for kind in self.kinds)
        return f"OpGraph({self.name!r}, {len(self._operators)} operators, repeat={self.repeat}{kinds})"


def _collect_tensors(operators: tuple[Operator, ...]) -> dict[str, Tensor]:
    """Return all tensors by name; one name must mean one tensor."""
    tensors: dict[str, Tensor] = {}
    for op in operators:
        for tensor in (*op.inputs, op.output):
            known = tensors.setdefault(tensor.name, tensor)
            if known != tensor:
                raise GraphError(f"operator {op.name}: tensor {tensor.name!r} is {tensor}, elsewhere {known}")
    return tensors
