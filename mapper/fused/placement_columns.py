"""The costs of a placement as columns: a row for every choice of steps of its shared loops."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mapper.fused.blocks import StepGrid
from mapper.fused.einsum import Einsum
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.leaf_choices import Choice, LeafTask, Sources
from mapper.fused.rules import Rules
from mapper.fused.structures import Placement, Structure
from simulator.arrays import Bools, Floats, Ints

EVERY_STEP = 4_096
"""Steps up to which each one of a single shared loop is tried."""


@dataclass(frozen=True)
class PlacementColumns:
    """A placement with the steps of its loops, and its operators under them."""

    placement: Placement
    machine: FlatMachine
    grid: StepGrid
    tasks: dict[Einsum, LeafTask]
    _bounds: dict[object, Choice] = field(default_factory=dict)
    """What the nests of an operator are not below, by the levels of its tensors."""

    @classmethod
    def of(
        cls, placement: Placement, machine: FlatMachine, rules: Rules, steps: tuple[float, ...] | None = None
    ) -> PlacementColumns:
        """Return all steps of the shared loops, or one row of given ones."""
        if steps is None:
            columns = [_steps(dim, placement, machine) for dim in placement.loops]
        else:
            columns = [np.array([step]) for step in steps]
        mesh = np.meshgrid(*columns, indexing="ij") if columns else []
        by_dim = {dim: axis.ravel() for dim, axis in zip(placement.loops, mesh, strict=True)}
        grid = StepGrid(placement.loops, by_dim, placement.graph, placement.lead)
        # Operators before the loops run once, on everything.
        whole = StepGrid((), {}, placement.graph, placement.lead)
        tasks = {
            op: LeafTask.of(op, grid if op in placement.inside else whole, machine, rules) for op in placement.operators
        }
        return cls(placement, machine, grid, tasks)

    def take(self, rows: Ints) -> PlacementColumns:
        """Return some rows."""
        if len(rows) == len(self.grid):
            return self
        fewer = self.grid.take(rows)
        tasks = {op: task.take(fewer, rows) if task.grid is self.grid else task for op, task in self.tasks.items()}
        return PlacementColumns(self.placement, self.machine, fewer, tasks)

    def fits(self, structure: Structure) -> Bools:
        """Return where shared tiles alone fit, beside every operator."""
        fits: Bools = np.logical_and.reduce([room >= 0 for room in self._rooms(structure)])
        return np.broadcast_to(fits, (len(self.grid),))

    def bounds(self, structure: Structure) -> tuple[Floats, Floats]:
        """Return cycles and energy that no tree of a structure is below."""
        found = [self._bound(op, structure) for op in self.placement.operators]
        zero = 0.0 * self.grid.ones()
        return sum((one.cycles for one in found), zero), sum((one.energy for one in found), zero)

    def _bound(self, op: Einsum, structure: Structure) -> Choice:
        own = tuple((structure.levels.get(access.tensor), structure.sums.get(access.tensor)) for access in op.accesses)
        key = op, own
        if key not in self._bounds:
            self._bounds[key] = self.tasks[op].bound(self._sources(op, structure))
        return self._bounds[key]

    def choices(self, structure: Structure) -> list[list[Choice]] | None:
        """Return the nests of each operator in what shared tiles leave; None if one of them fits nowhere."""
        found = []
        for op, room in zip(self.placement.operators, self._rooms(structure), strict=True):
            room = room if self.tasks[op].grid is self.grid else room[:1]
            accumulator = float(self.machine.accumulator) * np.ones_like(room)
            # Nothing runs where shared tiles alone do not fit, not even what needs no more room.
            priced = self.tasks[op].choices(self._sources(op, structure), np.maximum(room, -1.0), accumulator)
            choices = [_masked(choice, room >= 0) for choice in priced]
            if not any(np.isfinite(choice.energy).any() for choice in choices):
                return None
            found.append(choices)
        return found

    def _rooms(self, structure: Structure) -> list[Floats]:
        """Words of the scratchpad that shared tiles leave to each operator."""
        graph, words = self.placement.graph, dict[str, Floats]()
        for tensor, level in structure.shared.items():
            maker = graph.makers.get(tensor)
            operator = maker if maker is not None else graph.readers[tensor][0]
            words[tensor] = self.grid.tile_words(operator.access(tensor).dims, level)
        zero = 0.0 * self.grid.ones()
        return [
            self.machine.scratchpad - sum((words[tensor] for tensor in structure.alive(op)), zero)
            for op in self.placement.operators
        ]

    def _sources(self, op: Einsum, structure: Structure) -> Sources:
        """Where an operator finds its operands, and what shared tiles load and drain for it."""
        graph, grid, levels = self.placement.graph, self.tasks[op].grid, structure.levels
        zero = 0.0 * grid.ones()
        loaded = zero
        for access in op.inputs:
            tensor = access.tensor
            if tensor in levels and tensor not in graph.makers and self.placement.first_reader(tensor) is op:
                loaded = loaded + graph.words(access.dims) * grid.turns(access.dims, levels[tensor])
        result, words = op.output, float(graph.words(op.output.dims))
        visits, repeats = grid.turns(result.dims, len(grid.loops)), grid.turns(op.dims, len(grid.loops))
        level = structure.sums.get(result.tensor)
        if level is None and graph.leaves(result.tensor):
            level = levels.get(result.tensor)
        drained = zero if level is None else words * grid.turns(result.dims, level)
        held = frozenset(access.tensor for access in op.inputs if access.tensor in levels)
        return Sources(held, loaded, result.tensor in structure.shared, drained, words * (visits - repeats))


def _masked(choice: Choice, fits: Bools) -> Choice:
    return Choice(choice.tiles, np.where(fits, choice.energy, np.inf), np.where(fits, choice.cycles, np.inf))


def _steps(dim: str, placement: Placement, machine: FlatMachine) -> Floats:
    """Steps of a shared loop, in multiples of the array where it cuts what the array holds."""
    size, unit = placement.graph.sizes[dim], 1
    for op in placement.inside:
        if op.is_product and dim == op.reduced[-1]:
            unit = max(unit, machine.rows)
        if op.is_product and dim == op.columns[-1]:
            unit = max(unit, machine.cols)
    units = -(-size // unit)
    if len(placement.loops) == 1 and units <= EVERY_STEP:
        number = np.arange(1, units + 1).astype(np.float64)
    else:
        number = np.array(sorted({-(-units // trips) for trips in range(1, units + 1)}), np.float64)
    steps: Floats = np.minimum(number * unit, float(size))
    return steps
