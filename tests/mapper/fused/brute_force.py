"""All cuts, trees and residencies of small graphs, priced one by one by the model of trees.

It knows nothing of the search: shared loops, places and the nests of each operator are enumerated blindly, and what
`require_form` or a capacity refuses is left out. Operators of a tree cost what their own path says, so that the nests
of each are tried beside any nest of the others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mapper.errors import MappingError
from mapper.fused import structures
from mapper.fused.einsum import Einsum, FusedGraph
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.loop_tree import Block, Hold, Leaf, Loop, LoopTree, Step
from mapper.fused.normal_form import merged_dims
from mapper.fused.rules import Rules
from mapper.fused.structures import lead_dims
from mapper.fused.tree_check import alive_words, require_form
from mapper.fused.tree_costs import leaves_of, moved, repeats, tree_costs

Costs = tuple[int, float]
"""Cycles and energy."""


def front(points: list[Costs]) -> list[Costs]:
    best: list[Costs] = []
    for point in sorted(set(points)):
        if not best or point[1] < best[-1][1] * (1 - 1e-12):
            best.append(point)
    return best


def added(left: list[Costs], right: list[Costs]) -> list[Costs]:
    return front([(a + c, b + d) for a, b in left for c, d in right])


def best_cuts(graph: FusedGraph, price: Callable[[FusedGraph], list[Costs]]) -> list[Costs]:
    """The front over every way to part the operators into groups that can run one after another."""
    found: list[Costs] = []
    fronts: dict[frozenset[str], list[Costs]] = {}
    for parts in partitions([operator.name for operator in graph.operators]):
        if not can_run_in_turn(parts, graph):
            continue
        total: list[Costs] = [(0, 0.0)]
        for part in parts:
            if part not in fronts:
                names = [operator.name for operator in graph.operators if operator.name in part]
                fronts[part] = price(merged_dims(graph.group(names)))
            total = added(total, fronts[part])
        found += total
    return front(found)


def partitions(names: list[str]) -> Iterator[list[frozenset[str]]]:
    if not names:
        yield []
        return
    for others in itertools.chain.from_iterable(
        itertools.combinations(names[1:], number) for number in range(len(names))
    ):
        part = frozenset((names[0], *others))
        for rest in partitions([name for name in names if name not in part]):
            yield [part, *rest]


def can_run_in_turn(parts: list[frozenset[str]], graph: FusedGraph) -> bool:
    left, done = list(parts), set()
    while left:
        ready = [part for part in left if all(needs(name, graph) <= done | part for name in part)]
        if not ready:
            return False
        done |= ready[0]
        left.remove(ready[0])
    return True


def needs(name: str, graph: FusedGraph) -> set[str]:
    made = (graph.makers.get(access.tensor) for access in graph.operator(name).inputs)
    return {maker.name for maker in made if maker is not None}


def best_trees(group: FusedGraph, machine: FlatMachine, rules: Rules) -> list[Costs]:
    known: dict[object, list[Costs]] = {}
    found: list[Costs] = []
    for skeleton in skeletons(group, machine):
        held = {step.tensor for step in (*skeleton.top, *skeleton.inner) if isinstance(step, Hold)}
        lead = set(lead_dims(group))
        plain = {other: next(nests(other, held, lead, group, machine)) for other in group.operators}
        try:
            leaves = require_form(skeleton.tree(plain), group)
        except MappingError:
            continue  # the shared steps have not the right form, whatever the nests
        total: list[Costs] = [(0, 0.0)]
        for operator in skeleton.operators:
            total = added(total, best_nests(operator, skeleton, leaves, plain, group, machine, rules, known))
            if not total:
                break
        found = front(found + total)
    return found


@dataclass(frozen=True)
class Skeleton:
    """A tree without the nests of its operators."""

    top: tuple[Step, ...]
    """Above everything."""
    inner: tuple[Step, ...]
    """Around the operators inside."""
    early: tuple[Einsum, ...]
    inside: tuple[Einsum, ...]

    @property
    def operators(self) -> tuple[Einsum, ...]:
        return (*self.early, *self.inside)

    def around(self, operator: Einsum) -> tuple[Step, ...]:
        return (*self.top, *(self.inner if operator in self.inside else ()))

    def tree(self, nests_of: dict[Einsum, list[Step]]) -> LoopTree:
        parts = tuple(Block(tuple(nests_of[operator]), operator.name) for operator in self.inside)
        if not self.early:
            return Block((*self.top, *self.inner), None, parts)
        before = tuple(Block(tuple(nests_of[operator]), operator.name) for operator in self.early)
        return Block(self.top, None, (*before, Block(self.inner, None, parts)))


def skeletons(group: FusedGraph, machine: FlatMachine) -> Iterator[Skeleton]:
    lead: list[Step] = [Loop(dim, 1) for dim in lead_dims(group)]
    dims = [dim for dim in group.sizes if dim not in {step.dim for step in lead}]
    for number in range(structures.MOST_LOOPS + 1 if len(group.operators) > 1 else 1):
        for loops in itertools.permutations(dims, number):
            for early, inside in splits(group, loops):
                if any(sum(dim in operator.dims for operator in inside) < 2 for dim in loops):
                    continue
                for steps in itertools.product(*(steps_of(dim, loops, inside, group, machine) for dim in loops)):
                    walked = [Loop(dim, step) for dim, step in zip(loops, steps, strict=True)]
                    for top, inner in places(walked, early, inside, group):
                        yield Skeleton((*lead, *top), tuple(inner), tuple(early), tuple(inside))


def splits(group: FusedGraph, loops: tuple[str, ...]) -> Iterator[tuple[list[Einsum], list[Einsum]]]:
    """Operators before the loops lack their dimensions; without loops nobody is before them."""
    lacking = [operator for operator in group.operators if loops and not set(loops) & set(operator.dims)]
    for number in range(len(lacking) + 1):
        for early in itertools.combinations(lacking, number):
            yield list(early), [operator for operator in group.operators if operator not in early]


def steps_of(
    dim: str, loops: tuple[str, ...], inside: list[Einsum], group: FusedGraph, machine: FlatMachine
) -> list[int]:
    size, unit = group.sizes[dim], 1
    for operator in inside:
        if operator.is_product and dim == operator.reduced[-1]:
            unit = max(unit, machine.rows)
        if operator.is_product and dim == operator.columns[-1]:
            unit = max(unit, machine.cols)
    every = sorted({min(size, step) for step in range(unit, size + unit, unit)})
    if len(loops) < 2:
        return every
    return [step for step in every if not any(-(-size // other) == -(-size // step) for other in every if other < step)]


def places(
    walked: list[Loop], early: list[Einsum], inside: list[Einsum], group: FusedGraph
) -> Iterator[tuple[list[Step], list[Step]]]:
    """Every level for every tensor, or none for those from outside."""
    tensors = list(dict.fromkeys(access.tensor for operator in group.operators for access in operator.accesses))
    first = {access.tensor for operator in early for access in operator.accesses}
    options = []
    for tensor in tensors:
        if tensor in group.makers:
            options.append([None] if tensor not in group.readers else list(range(len(walked) + 1)))
        else:
            options.append([None, *range(len(walked) + 1)])
    for chosen in itertools.product(*options):
        levels = dict(zip(tensors, chosen, strict=True))
        if any(level for tensor, level in levels.items() if tensor in first):
            continue  # what is used before the loops lies above them
        top: list[Step] = []
        inner: list[Step] = []
        for level in range(len(walked) + 1):
            for tensor in (tensor for tensor, own in levels.items() if own == level):
                (top if tensor in first else inner).append(Hold(tensor, "scratchpad"))
            inner += walked[level : level + 1]
        yield top, inner


def best_nests(
    operator: Einsum,
    skeleton: Skeleton,
    leaves: list[Leaf],
    plain: dict[Einsum, list[Step]],
    group: FusedGraph,
    machine: FlatMachine,
    rules: Rules,
    known: dict[object, list[Costs]],
) -> list[Costs]:
    """The front of one operator; equal for equal steps around it and equal room, so that it is made once."""
    held = {step.tensor for step in (*skeleton.top, *skeleton.inner) if isinstance(step, Hold)}
    leaf = next(leaf for leaf in leaves if leaf.operator == operator.name)
    shared = alive_words(leaf, leaves, group, "scratchpad") - own_words(plain[operator], leaf, group, "scratchpad")
    if shared > machine.scratchpad:
        return []
    own = {access.tensor for access in operator.accesses}
    steps = tuple(step for step in skeleton.around(operator) if isinstance(step, Loop) or step.tensor in own)
    loaded = [earlier_readers(operator, tensor, skeleton) for tensor in sorted(own & held)]
    key = operator, steps, shared, tuple(loaded)
    if key not in known:
        around = [step for step in steps if isinstance(step, Loop)]
        trees = (
            (nest, skeleton.tree({**plain, operator: nest}))
            for nest in nests(operator, held, set(lead_dims(group)), group, machine, around)
        )
        every = [costs_of(operator, nest, tree, shared, group, machine, rules) for nest, tree in trees]
        known[key] = front([costs for costs in every if costs is not None])
    return known[key]


def earlier_readers(operator: Einsum, tensor: str, skeleton: Skeleton) -> tuple[bool, bool]:
    """Whether somebody reads a shared tile before the operator, and whether somebody makes it."""
    order = skeleton.operators
    before = order[: order.index(operator)]
    return (
        any(access.tensor == tensor for other in before for access in other.inputs),
        any(other.output.tensor == tensor for other in order),
    )


def own_words(nest: list[Step], leaf: Leaf, group: FusedGraph, memory: str) -> int:
    """Words of the tiles that a nest holds itself."""
    operator, total = group.operator(leaf.operator), 0
    start = len(leaf.path) - len(nest)
    for place, step in enumerate(nest):
        if isinstance(step, Hold) and step.memory == memory:
            dims = operator.access(step.tensor).dims
            path = [*leaf.path[:start], *nest[:place]]
            extents = dict(group.sizes)
            for outer in path:
                if isinstance(outer, Loop):
                    extents[outer.dim] = min(extents[outer.dim], outer.step)
            total += math.prod(extents[dim] for dim in dims)
    return total


def costs_of(
    operator: Einsum,
    nest: list[Step],
    tree: LoopTree,
    shared: int,
    group: FusedGraph,
    machine: FlatMachine,
    rules: Rules,
) -> Costs | None:
    """Cycles and energy of one operator of a tree; None if it breaks an inequality."""
    leaves = leaves_of(tree, group)
    leaf = next(leaf for leaf in leaves if leaf.operator == operator.name)
    if shared + own_words(nest, leaf, group, "scratchpad") > machine.scratchpad:
        return None
    if own_words(nest, leaf, group, "accumulator") > machine.accumulator:
        return None
    if not rules.rows_may_be_cut and any(min(leaf.steps_of(dim), default=9) < 9 for dim in operator.complete):
        return None
    (place,) = leaf.holds(operator.output.tensor, "accumulator")
    visits = moved(leaf, operator.output, group, place)
    if not rules.narrow_sums and visits > group.words(operator.output.dims) * repeats(leaf, operator, group):
        return None
    costs = tree_costs(tree, group, machine)
    prices = {
        "dram": machine.dram_prices,
        "scratchpad": machine.scratchpad_prices,
        "accumulator": machine.accumulator_prices,
    }
    energy = 0.0
    for entry in costs.traffic:
        if entry.operator != operator.name:
            continue
        if entry.memory == "registers":
            energy += (entry.reads + entry.writes) * machine.register_pj
        else:
            price = prices[entry.memory]
            energy += entry.reads * price.read_pj + entry.writes * price.write_pj
    work = group.words(operator.dims)
    for dim in {step.dim for step in leaf.path if isinstance(step, Loop)} - set(operator.dims):
        work *= -(-group.sizes[dim] // leaf.steps_of(dim)[0])
    energy += work * (machine.mac_pj if operator.is_product else machine.vector_pj)
    return costs.cycles_by_operator[operator.name], energy


def nests(
    operator: Einsum,
    held: set[str],
    lead: set[str],
    group: FusedGraph,
    machine: FlatMachine,
    around: list[Loop] | None = None,
) -> Iterator[list[Step]]:
    """Every order of the places, with every step of every dimension in every gap between them."""
    extents = dict(group.sizes)
    for loop in around or []:
        extents[loop.dim] = min(extents[loop.dim], loop.step)
    missing = [access.tensor for access in operator.inputs if access.tensor not in held]
    result = operator.output.tensor
    if not operator.is_product:
        dims = [dim for dim in operator.output.dims if dim not in operator.complete and dim not in lead]
        holds = [Hold(tensor, "scratchpad") for tensor in missing]
        yield [*(Loop(dim, 1) for dim in dims), *holds, Hold(result, "accumulator")]
        return
    stationary = operator.inputs[1].tensor
    m, k, n = operator.rows[-1:], operator.reduced[-1], operator.columns[-1]
    singles = [dim for dim in operator.output.dims if dim not in (*m, n) and dim not in lead]
    others = operator.reduced[:-1]
    units = {**dict.fromkeys(m, 1), k: machine.rows, n: machine.cols}
    for order in itertools.permutations([*missing, result]):
        gaps = len(order)
        chains = [list(shrinking(extents[dim], unit, gaps)) for dim, unit in units.items()]
        for chosen in itertools.product(*chains):
            steps: list[Step] = [Loop(dim, 1) for dim in singles]
            done = False
            for gap, tensor in enumerate(order):
                for dim, chain in zip(units, chosen, strict=True):
                    before = chain[gap - 1] if gap else extents[dim]
                    if chain[gap] < before:
                        steps.append(Loop(dim, chain[gap]))
                        done |= dim == k and result in order[gap:]
                steps.append(Hold(tensor, "accumulator" if tensor == result else "scratchpad"))
            if done:
                continue  # the reduction stays inside the accumulator's tile
            rest = [Loop(dim, 1) for dim in others]
            at = steps.index(Hold(result, "accumulator")) + 1
            yield [
                *steps[:at],
                *rest,
                *steps[at:],
                Loop(k, machine.rows),
                Loop(n, machine.cols),
                Hold(stationary, "registers"),
            ]


def shrinking(size: int, unit: int, number: int) -> Iterator[tuple[int, ...]]:
    """Every chain of tiles, each no larger than the one before, in multiples of the unit."""
    sizes = sorted({min(size, step) for step in range(unit, size + unit, unit)}, reverse=True)
    yield from itertools.combinations_with_replacement(sizes, number)
