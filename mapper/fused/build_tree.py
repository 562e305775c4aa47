"""The loop tree of a point that the search found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mapper.fused.blocks import StepGrid
from mapper.fused.einsum import Einsum
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.group_search import TreePoint
from mapper.fused.leaf_choices import Choice, LeafTask
from mapper.fused.leaf_tiles import Tiles
from mapper.fused.loop_tree import Block, Hold, Loop, LoopTree, Step
from mapper.fused.placement_columns import PlacementColumns
from mapper.fused.rules import Rules
from mapper.fused.structures import Structure
from mapper.fused.tree_check import violations
from mapper.fused.tree_costs import TreeCosts, tree_costs

AGREEMENT = 1e-9
"""Relative: search and model add the same numbers in different orders."""


def build_tree(point: TreePoint, machine: FlatMachine, rules: Rules) -> tuple[LoopTree, TreeCosts]:
    """Return the tree of a point with the model's own costs.

    Raises
    ------
    RuntimeError
        When the model does not find what the search found: one of the two is wrong.
    """
    placement = point.structure.placement
    columns = PlacementColumns.of(placement, machine, rules, point.steps)
    found = columns.choices(point.structure)
    assert found is not None, "the point has nests"
    leaves = {}
    for op, choices, part in zip(placement.operators, found, point.parts, strict=True):
        leaves[op] = Block(_leaf_steps(columns.tasks[op], _chosen(choices, part), point.structure, machine), op.name)
    tree = _assembled(point.structure, columns.grid, leaves)
    costs = tree_costs(tree, placement.graph, machine)
    broken = violations(tree, placement.graph, machine, rules)
    if broken or costs.cycles != point.cycles or abs(costs.energy_pj - point.energy) > AGREEMENT * point.energy:
        raise RuntimeError(f"the model finds {costs.cycles} cycles, {costs.energy_pj} pJ, {broken} for {point}: {tree}")
    return tree, costs


def _chosen(choices: Sequence[Choice], part: tuple[float, float]) -> Choice:
    """The first nest with the costs that the search took."""
    return next(choice for choice in choices if (float(choice.cycles[0]), float(choice.energy[0])) == part)


def _leaf_steps(task: LeafTask, choice: Choice, structure: Structure, machine: FlatMachine) -> tuple[Step, ...]:
    operator = task.operator
    held = {access.tensor for access in operator.inputs if access.tensor in structure.levels}
    if not operator.is_product:
        row = () if task.rules.rows_may_be_cut else operator.complete
        dims = [dim for dim in operator.output.dims if dim not in row and dim not in task.grid.lead]
        steps: list[Step] = [Loop(dim, 1) for dim in dims]
        steps += [Hold(access.tensor, "scratchpad") for access in operator.inputs if access.tensor not in held]
        return (*steps, Hold(operator.output.tensor, "accumulator"))
    assert choice.tiles is not None
    steps = [Loop(dim, 1) for dim in task.main.singles]
    steps += _product_steps(task, choice.tiles, held, machine)
    return tuple(_without_idle_loops(steps, task))


def _product_steps(task: LeafTask, tiles: Tiles, held: set[str], machine: FlatMachine) -> list[Step]:
    """Loops and places in the order of the tiles; see `mapper.fused.leaf_tiles`."""
    operator, main = task.operator, task.main
    moving, stationary = operator.inputs[0].tensor, operator.inputs[1].tensor
    outer, rows, columns = (int(np.broadcast_to(size, 1)[0]) for size in (tiles.outer_rows, tiles.rows, tiles.columns))
    m = [Loop(main.rows, rows)] if main.rows else []
    longer = [Loop(main.rows, outer)] if main.rows else []
    n, wide = Loop(main.columns, machine.cols), Loop(main.columns, columns)
    k: list[Step] = [*(Loop(dim, 1) for dim in main.inner), Loop(main.reduced, machine.rows)]
    i, w, o = Hold(moving, "scratchpad"), Hold(stationary, "scratchpad"), Hold(operator.output.tensor, "accumulator")
    by_order: dict[str, list[Step]] = {
        "IWO": [*longer, i, n, w, *m, o, *k],
        "WIO": [wide, w, *m, i, n, o, *k],
        "IOW": [*m, i, n, o, *k, w],
        "WOI": [wide, w, *m, o, *k, i, n],
        "OIW": [*m, wide, o, *k, i, n, w],
        "WO": [n, w, *m, o, *k],
        "OW": [*m, n, o, *k, w],
        "IO": [*m, i, n, o, *k],
        "OI": [*m, wide, o, *k, i, n],
        "O": [*m, n, o, *k],
    }
    return [*by_order[tiles.order], Hold(stationary, "registers")]


def _without_idle_loops(steps: list[Step], task: LeafTask) -> list[Step]:
    """Leave out loops that make one trip."""
    extents = {dim: int(task.grid.block(dim)[0]) for dim in task.operator.dims}
    kept: list[Step] = []
    for step in steps:
        if isinstance(step, Loop):
            if step.step >= extents[step.dim]:
                continue
            extents[step.dim] = step.step
        kept.append(step)
    return kept


def _assembled(structure: Structure, grid: StepGrid, leaves: dict[Einsum, Block]) -> LoopTree:
    placement = structure.placement
    lead: list[Step] = [Loop(dim, 1) for dim in placement.lead]
    early = {access.tensor for op in placement.before for access in op.accesses}
    inner: list[Step] = []
    top: list[Step] = []
    for level in range(len(placement.loops) + 1):
        for tensor, own in structure.shared.items():
            if own == level:
                (top if tensor in early else inner).append(Hold(tensor, "scratchpad"))
        if level < len(placement.loops):
            dim = placement.loops[level]
            inner.append(Loop(dim, int(grid.steps[dim][0])))
    parts = tuple(leaves[op] for op in placement.inside)
    if not placement.before:
        if len(parts) == 1:
            return Block((*lead, *inner, *parts[0].steps), parts[0].operator)
        return Block((*lead, *inner), None, parts)
    return Block((*lead, *top), None, (*(leaves[op] for op in placement.before), Block(tuple(inner), None, parts)))
