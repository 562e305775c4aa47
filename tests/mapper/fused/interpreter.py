"""A naive interpreter of loop trees: it walks every iteration and every element, and knows no formula.

Sums know how many of their contributions they have: one that is begun but not complete is fetched where a tile of it
comes back, a complete one is made anew.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass, field

from mapper.fused.einsum import Access, Einsum, FusedGraph
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.loop_tree import Block, Hold, Loop, LoopTree

Ranges = dict[str, range]
Element = tuple[int, ...]


@dataclass(frozen=True)
class Tile:
    """A piece of a tensor that lies in a memory."""

    hold: Hold
    words: int
    loops: int
    """Loops around it."""
    serves_all: bool
    """Whether maker and readers are inside."""


@dataclass
class Walk:
    """Counts of one run."""

    graph: FusedGraph
    machine: FlatMachine
    reads: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Words by (operator, tensor, memory)."""
    writes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    """Cycles of the array, elements of the vector unit."""
    macs: Counter[str] = field(default_factory=Counter)
    peak: dict[str, int] = field(default_factory=lambda: {"scratchpad": 0, "accumulator": 0})
    begun: dict[str, Counter[Element]] = field(default_factory=dict)
    """Contributions to each element of each result."""
    tiles: list[Tile] = field(default_factory=list)
    """What is alive."""
    loops: int = 0
    """Loops around the place of the walk."""
    held: list[Hold] = field(default_factory=list)
    """Tiles around the place of the walk, outer to inner."""

    def run(self, tree: LoopTree) -> Walk:
        self.block(tree, 0, {dim: range(size) for dim, size in self.graph.sizes.items()})
        assert not any(self.begun.values()), "sums were left incomplete"
        return self

    def block(self, block: Block, at: int, ranges: Ranges) -> None:
        if at == len(block.steps):
            self.inside(block, ranges)
            return
        step = block.steps[at]
        if isinstance(step, Loop):
            whole = ranges[step.dim]
            self.loops += 1
            for start in range(whole.start, whole.stop, step.step):
                self.block(block, at + 1, {**ranges, step.dim: range(start, min(start + step.step, whole.stop))})
            self.loops -= 1
            return
        with_loop = any(isinstance(later, Loop) for later in block.steps[at:]) or block.operator is not None
        if with_loop:
            self.tiles.append(self.tile(step, block, ranges))
        self.enter(step, block, ranges)
        self.held.append(step)
        self.block(block, at + 1, ranges)
        self.held.pop()
        self.leave(step, block, ranges)
        if with_loop:
            self.tiles.pop()

    def inside(self, block: Block, ranges: Ranges) -> None:
        """The operator, or the parts; tiles directly above parts live from their first user to the last."""
        if block.operator is not None:
            self.compute(self.graph.operator(block.operator), ranges)
            return
        last = max((at for at, step in enumerate(block.steps) if isinstance(step, Loop)), default=-1)
        for number, part in enumerate(block.parts):
            alive = []
            for step in block.steps[last + 1 :]:
                assert isinstance(step, Hold)
                users = [place for place, other in enumerate(block.parts) if self.users(step.tensor, other)]
                if users[0] <= number <= users[-1]:
                    alive.append(self.tile(step, block, ranges))
            self.tiles += alive
            self.block(part, 0, ranges)
            del self.tiles[len(self.tiles) - len(alive) :]

    def users(self, tensor: str, block: Block) -> list[Einsum]:
        inside = [self.graph.operator(leaf.operator) for leaf in block.leaves()]
        return [operator for operator in inside if any(access.tensor == tensor for access in operator.accesses)]

    def access(self, tensor: str, block: Block) -> Access:
        return self.users(tensor, block)[0].access(tensor)

    def tile(self, hold: Hold, block: Block, ranges: Ranges) -> Tile:
        words = math.prod(len(ranges[dim]) for dim in self.access(hold.tensor, block).dims)
        users = self.users(hold.tensor, block)
        return Tile(hold, words, self.loops, self.graph.makers.get(hold.tensor) in users and len(users) > 1)

    def elements(self, access: Access, ranges: Ranges) -> list[Element]:
        return list(itertools.product(*(ranges[dim] for dim in access.dims)))

    def outer(self, tensor: str) -> str:
        return next((hold.memory for hold in reversed(self.held) if hold.tensor == tensor), "dram")

    def enter(self, hold: Hold, block: Block, ranges: Ranges) -> None:
        users = self.users(hold.tensor, block)
        maker = self.graph.makers.get(hold.tensor)
        tile = self.elements(self.access(hold.tensor, block), ranges)
        if maker is not None and maker in users:
            if len(users) == 1:
                fetched = sum(1 for element in tile if self.begun.setdefault(hold.tensor, Counter())[element])
                self.reads[maker.name, hold.tensor, self.outer(hold.tensor)] += fetched
                self.writes[maker.name, hold.tensor, hold.memory] += fetched
            return
        self.reads[users[0].name, hold.tensor, self.outer(hold.tensor)] += len(tile)
        self.writes[users[0].name, hold.tensor, hold.memory] += len(tile)

    def leave(self, hold: Hold, block: Block, ranges: Ranges) -> None:
        users = self.users(hold.tensor, block)
        maker = self.graph.makers.get(hold.tensor)
        if maker is None or maker not in users:
            return
        tile = self.elements(self.access(hold.tensor, block), ranges)
        if len(users) == 1 or (self.outer(hold.tensor) == "dram" and self.graph.leaves(hold.tensor)):
            self.reads[maker.name, hold.tensor, hold.memory] += len(tile)
            self.writes[maker.name, hold.tensor, self.outer(hold.tensor)] += len(tile)

    def compute(self, operator: Einsum, ranges: Ranges) -> None:
        self.note_peak(operator)
        if not operator.is_product:
            for element in self.elements(operator.output, ranges):
                del element
                self.steps[operator.name] += 1
                self.macs[operator.name] += 1
                for access in operator.inputs:
                    self.reads[operator.name, access.tensor, "scratchpad"] += 1
                self.writes[operator.name, operator.output.tensor, "accumulator"] += 1
            return
        for tile in self.array_tiles(operator, ranges):
            for row in itertools.product(*(ranges[dim] for dim in (*operator.rows, *operator.batch))):
                here = {**tile, **dict(zip((*operator.rows, *operator.batch), row, strict=True))}
                self.array_step(operator, here)

    def array_tiles(self, operator: Einsum, ranges: Ranges):
        """Tiles of the array: some indices of the last reduced dimension and of the last column."""
        limits = {operator.reduced[-1]: self.machine.rows, operator.columns[-1]: self.machine.cols}
        pieces = [
            [range(at, min(at + limits.get(dim, 1), ranges[dim].stop)) for at in ranges[dim][:: limits.get(dim, 1)]]
            for dim in (*operator.reduced, *operator.columns)
        ]
        for chosen in itertools.product(*pieces):
            yield dict(zip((*operator.reduced, *operator.columns), chosen, strict=True))

    def array_step(self, operator: Einsum, here: dict[str, range | int]) -> None:
        """One row of the moving operand passes the array."""
        moving, stationary = operator.inputs
        wide = {dim: piece if isinstance(piece, range) else range(piece, piece + 1) for dim, piece in here.items()}
        self.steps[operator.name] += 1
        self.reads[operator.name, moving.tensor, "scratchpad"] += len(self.elements(moving, wide))
        products = len(list(itertools.product(*(wide[dim] for dim in operator.dims))))
        self.reads[operator.name, stationary.tensor, "registers"] += products
        self.macs[operator.name] += products
        contributions = math.prod(len(wide[dim]) for dim in operator.reduced)
        needed = math.prod(self.graph.sizes[dim] for dim in operator.reduced)
        begun = self.begun.setdefault(operator.output.tensor, Counter())
        for element in self.elements(operator.output, wide):
            self.reads[operator.name, operator.output.tensor, "accumulator"] += begun[element] > 0
            self.writes[operator.name, operator.output.tensor, "accumulator"] += 1
            begun[element] += contributions
            if begun[element] >= needed:
                del begun[element]

    def note_peak(self, operator: Einsum) -> None:
        for memory in self.peak:
            alive = [tile for tile in self.tiles if tile.hold.memory == memory]
            words = sum(tile.words for tile in alive)
            if memory == "scratchpad" and not operator.is_product:
                words -= self.overwritten(operator, alive)
            self.peak[memory] = max(self.peak[memory], words)

    def overwritten(self, operator: Einsum, alive: list[Tile]) -> int:
        """A row-wise operator puts each row where it read it, if it is the last to read what this group made."""
        shared = {tile.hold.tensor: tile for tile in alive if tile.serves_all}
        result = shared.get(operator.output.tensor)
        for access in operator.inputs:
            operand = shared.get(access.tensor)
            if result and operand and operand.loops == result.loops and self.last_reader(access.tensor) == operator:
                return operand.words
        return 0

    def last_reader(self, tensor: str) -> Einsum:
        return self.graph.readers[tensor][-1]
