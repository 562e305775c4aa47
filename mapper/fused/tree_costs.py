"""What a loop tree costs: words, energy and cycles in closed form.

A tile is moved whenever its place is reached, so that a tensor's words are its elements times the trips of the loops
outside that do not index it: the relevant loops cover each element once, ragged tiles included. Everything else follows
from that, in the accounting of AccelForge (`mapper.nest.model.accounting.ACCELFORGE`): sums are read, updated and
written; what leaves a memory is read there; the first visit of a sum brings nothing in. An operator takes as long as
the busiest of its units, and operators run one after another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from mapper.errors import MappingError
from mapper.fused.einsum import Access, Einsum, FusedGraph
from mapper.fused.flat_machine import FlatMachine, Prices
from mapper.fused.loop_tree import Leaf, LoopTree, trips

GUARD = 1e-9
"""Relative: rounding of a quotient is no cycle."""


@dataclass(frozen=True)
class TensorTraffic:
    """Words that an operator reads from and writes to a memory for one tensor."""

    operator: str
    tensor: str
    memory: str
    """dram, scratchpad, accumulator or registers."""
    reads: int
    writes: int


@dataclass(frozen=True)
class TreeCosts:
    """Costs of a tree."""

    traffic: tuple[TensorTraffic, ...]
    energy_pj: float
    cycles: int
    cycles_by_operator: dict[str, int] = field(hash=False)

    @property
    def edp(self) -> float:
        """Energy times delay. [pJ cycles]"""
        return self.energy_pj * self.cycles

    def words(self, memory: str, tensor: str | None = None) -> int:
        """Return reads and writes of a memory, of one tensor or all."""
        return sum(
            entry.reads + entry.writes
            for entry in self.traffic
            if entry.memory == memory and tensor in (None, entry.tensor)
        )


def tree_costs(tree: LoopTree, graph: FusedGraph, machine: FlatMachine) -> TreeCosts:
    """Return the costs of a tree; `mapper.fused.tree_check` says whether it is legal.

    Raises
    ------
    MappingError
        When an operator is missing, unknown or there twice, or a tensor is not held where the operator needs it.
    """
    leaves = leaves_of(tree, graph)
    traffic = tuple(entry for leaf in leaves for entry in _traffic(leaf, leaves, graph, machine))
    cycles = {leaf.operator: _cycles(leaf, traffic, graph, machine) for leaf in leaves}
    energy = sum(_access_pj(entry, machine) for entry in traffic)
    energy += sum(_compute_pj(leaf, graph, machine) for leaf in leaves)
    return TreeCosts(traffic, energy, sum(cycles.values()), cycles)


def leaves_of(tree: LoopTree, graph: FusedGraph) -> list[Leaf]:
    """Return the operators of a tree in their order; a `MappingError` when they are not those of the graph."""
    leaves = list(tree.leaves())
    names = [leaf.operator for leaf in leaves]
    for name in names:
        graph.operator(name)
        if names.count(name) > 1:
            raise MappingError(f"{graph.name}: operator {name!r} is in the tree twice")
    for operator in graph.operators:
        if operator.name not in names:
            raise MappingError(f"{graph.name}: operator {operator.name!r} is missing in the tree")
    done: set[str] = set()
    for name in names:
        for access in graph.operator(name).inputs:
            maker = graph.makers.get(access.tensor)
            if maker is not None and maker.name not in done:
                raise MappingError(f"{graph.name}: {name} comes before {maker.name}, whose result it reads")
        done.add(name)
    return leaves


def resident(tensor: str, leaves: list[Leaf], graph: FusedGraph) -> int | None:
    """Return the place at which the maker of a tensor and all its readers here hold it together; None if it is in DRAM.

    The scratchpad's tile at that place is where the tensor comes from for everybody inside.
    """
    if tensor not in graph.makers or tensor not in graph.readers:
        return None
    users = {graph.makers[tensor].name, *(operator.name for operator in graph.readers[tensor])}
    inside = [leaf for leaf in leaves if leaf.operator in users]
    shared = min(inside[0].common(leaf) for leaf in inside[1:])
    places = [place for place in inside[0].holds(tensor, "scratchpad") if place < shared]
    return places[0] if places else None


def moved(leaf: Leaf, access: Access, graph: FusedGraph, place: int | None) -> int:
    """Return the words of a tensor that are moved at a place of a path; None: at its end."""
    dims = {step.dim for step in leaf.path if hasattr(step, "dim")} - set(access.dims)
    foreign = math.prod(trips(graph.sizes[dim], leaf.steps_of(dim, place)) for dim in sorted(dims))
    return graph.words(access.dims) * foreign


def array_trips(leaf: Leaf, operator: Einsum, graph: FusedGraph, machine: FlatMachine) -> tuple[int, int]:
    """Return the tiles of the array along the reduction, and along the columns of the result."""
    (rows_dim, *reduced), (cols_dim, *columns) = operator.reduced[::-1], operator.columns[::-1]
    counts = []
    for dim, size, others in ((rows_dim, machine.rows, reduced), (cols_dim, machine.cols, columns)):
        along = trips(graph.sizes[dim], [*leaf.steps_of(dim), size])
        counts.append(along * math.prod(graph.sizes[other] for other in others))
    return counts[0], counts[1]


def repeats(leaf: Leaf, operator: Einsum, graph: FusedGraph) -> int:
    """Return how often an operator is computed: the trips of loops over dimensions that it does not have."""
    dims = {step.dim for step in leaf.path if hasattr(step, "dim")} - set(operator.dims)
    return math.prod(trips(graph.sizes[dim], leaf.steps_of(dim)) for dim in sorted(dims))


def _traffic(leaf: Leaf, leaves: list[Leaf], graph: FusedGraph, machine: FlatMachine) -> Iterator[TensorTraffic]:
    operator = graph.operator(leaf.operator)
    for access in dict.fromkeys(operator.inputs):
        yield from _input_traffic(leaf, access, leaves, graph)
    yield from _compute_traffic(leaf, operator, graph, machine)
    yield from _output_traffic(leaf, operator, leaves, graph)


def _input_traffic(leaf: Leaf, access: Access, leaves: list[Leaf], graph: FusedGraph) -> Iterator[TensorTraffic]:
    """Each tile comes from the place outside; what several operators hold together is paid by the first of them."""
    source = resident(access.tensor, leaves, graph)
    outer = "dram" if source is None else "scratchpad"
    for place in leaf.holds(access.tensor):
        memory = leaf.path[place].memory  # type: ignore[union-attr]  # a place of a hold
        if source is not None and place <= source:
            continue
        if not _loaded_earlier(leaf, access.tensor, place, leaves, graph):
            words = moved(leaf, access, graph, place)
            yield TensorTraffic(leaf.operator, access.tensor, outer, words, 0)
            yield TensorTraffic(leaf.operator, access.tensor, memory, 0, words)
        outer = memory


def _loaded_earlier(leaf: Leaf, tensor: str, place: int, leaves: list[Leaf], graph: FusedGraph) -> bool:
    """Whether an operator before this one reads the tensor from the very tile."""
    readers = {operator.name for operator in graph.readers.get(tensor, ())}
    before = leaves[: leaves.index(leaf)]
    return any(other.operator in readers and other.common(leaf) > place for other in before)


def _compute_traffic(leaf: Leaf, operator: Einsum, graph: FusedGraph, machine: FlatMachine) -> Iterator[TensorTraffic]:
    """What the array and the vector unit read and update themselves."""
    times = repeats(leaf, operator, graph)
    output = graph.words(operator.output.dims) * times
    if not operator.is_product:
        for access in operator.inputs:
            yield TensorTraffic(operator.name, access.tensor, "scratchpad", graph.words(access.dims) * times, 0)
        yield TensorTraffic(operator.name, operator.output.tensor, "accumulator", 0, output)
        return
    moving, stationary = operator.inputs
    along, across = array_trips(leaf, operator, graph, machine)
    yield TensorTraffic(operator.name, moving.tensor, "scratchpad", graph.words(moving.dims) * across * times, 0)
    yield TensorTraffic(operator.name, stationary.tensor, "registers", graph.words(operator.dims) * times, 0)
    # A sum is read before each update but the first one.
    yield TensorTraffic(operator.name, operator.output.tensor, "accumulator", output * (along - 1), output * along)


def _output_traffic(leaf: Leaf, operator: Einsum, leaves: list[Leaf], graph: FusedGraph) -> Iterator[TensorTraffic]:
    """Every visit of a tile ends with a way outside, and every one but the first begins with the way back."""
    access, tensor = operator.output, operator.output.tensor
    first = graph.words(access.dims) * repeats(leaf, operator, graph)
    source = resident(tensor, leaves, graph)
    places = leaf.holds(tensor)
    for number in reversed(range(len(places))):
        place, memory = places[number], leaf.path[places[number]].memory  # type: ignore[union-attr]
        if source is not None and place <= source:
            if place == source and graph.leaves(tensor):
                words = moved(leaf, access, graph, place)
                yield TensorTraffic(operator.name, tensor, "scratchpad", words, 0)
                yield TensorTraffic(operator.name, tensor, "dram", 0, words)
            continue
        outer = leaf.path[places[number - 1]].memory if number else "dram"  # type: ignore[union-attr]
        visits = moved(leaf, access, graph, place)
        yield TensorTraffic(operator.name, tensor, memory, visits, visits - first)
        yield TensorTraffic(operator.name, tensor, outer, visits - first, visits)


def _cycles(leaf: Leaf, traffic: tuple[TensorTraffic, ...], graph: FusedGraph, machine: FlatMachine) -> int:
    operator = graph.operator(leaf.operator)
    times = repeats(leaf, operator, graph)
    rows = graph.words((*operator.rows, *operator.batch))
    if operator.is_product:
        along, across = array_trips(leaf, operator, graph, machine)
        busiest = float(rows * along * across * times)
    else:
        busiest = rows * times / machine.lanes
    for memory, prices in prices_of(machine).items():
        own = [entry for entry in traffic if entry.operator == leaf.operator and entry.memory == memory]
        load = prices.cycles(sum(entry.reads for entry in own), sum(entry.writes for entry in own))
        busiest = max(busiest, load)
    return math.ceil(busiest * (1 - GUARD))


def prices_of(machine: FlatMachine) -> dict[str, Prices]:
    """Return the prices by memory; registers cost no time."""
    return {
        "dram": machine.dram_prices,
        "scratchpad": machine.scratchpad_prices,
        "accumulator": machine.accumulator_prices,
        "registers": Prices(machine.register_pj, machine.register_pj),
    }


def _access_pj(entry: TensorTraffic, machine: FlatMachine) -> float:
    prices = prices_of(machine)[entry.memory]
    return entry.reads * prices.read_pj + entry.writes * prices.write_pj


def _compute_pj(leaf: Leaf, graph: FusedGraph, machine: FlatMachine) -> float:
    operator = graph.operator(leaf.operator)
    work = graph.words(operator.dims) * repeats(leaf, operator, graph)
    return work * (machine.mac_pj if operator.is_product else machine.vector_pj)
