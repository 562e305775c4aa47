"""May these operators run as one group on this machine? All rules, and what each says when the answer is no.

Any proposal may be asked about, whoever makes it: the rules know nothing of how a graph is cut. Whether the groups of
a whole cut can run one after another is asked in `mapper.graph.fusion_cuts`. A rule that a new kind of group would
break changes here and nowhere else.

A kernel that needs whole rows may be the epilogue of a matmul whose tile holds them: one block of rows across all of n
has to fit the accumulator, and its operands the scratchpad, each taken whole. Behind an addition, which streams through
halves of the accumulator, one row has to fit a half.

A residual may be added to the sums of a matmul in the accumulator: its int8 rows are loaded on top of the bias before
the first product, scaled as in a residual addition of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from hwconfigs import HardwareSpec
from hwconfigs.kernels import kernel_named
from mapper.errors import Violation
from mapper.graph.capabilities import OPERAND_BITS
from mapper.graph.fusion_group import executed
from mapper.graph.placement import assign
from simulator.tile_footprint import accumulator_blocks, scratchpad_blocks
from workloads import Operator, OpGraph
from workloads.ops import Add, Matmul

LONGEST_EPILOGUE = 1
"""Activations that a store can apply: its command has one activation field."""

LONGEST_GROUP = 2 + LONGEST_EPILOGUE
"""The operator that leads, an addition, and what the stores apply."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why operators cannot run as one group."""

    rule: str
    """Short name of the rule, for censuses."""
    operator: str
    """The operator that cannot be where it was proposed."""
    reason: str
    violation: Violation | None = None
    """The broken inequality, if the rule is one."""

    def __str__(self) -> str:
        numbers = f" ({self.violation})" if self.violation else ""
        return f"{self.operator}: {self.reason}{numbers}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """Operators of a graph, in the order in which they would run as one group on a machine."""

    operators: tuple[Operator, ...]
    graph: OpGraph
    spec: HardwareSpec

    @property
    def edges(self) -> Iterator[tuple[Operator, Operator]]:
        """Neighbours in the order: a producer and its consumer, if they are a chain."""
        return pairwise(self.operators)


Rule: TypeAlias = Callable[[Proposal], Iterator[Obstacle]]
"""Yields the obstacles that a proposal meets; none if it keeps the rule."""


def obstacles(operators: Sequence[Operator], graph: OpGraph, spec: HardwareSpec) -> tuple[Obstacle, ...]:
    """Say why operators cannot run as one group on a machine; nothing if they can.

    Parameters
    ----------
    operators
        The one that leads, then what would be added to its sums and what its stores would apply. One alone can always
        run.
    graph
        Where they come from: it knows who else reads their results.
    spec
        The machine.
    """
    if len(operators) == 1:
        return ()
    proposal = Proposal(tuple(operators), graph, spec)
    return tuple(obstacle for rule in RULES for obstacle in rule(proposal))


def _leads(proposal: Proposal) -> Iterator[Obstacle]:
    """The stores of the leading operator leave the accumulator, and their activation field is still free."""
    lead = proposal.operators[0]
    unit = assign(lead, proposal.spec).unit
    if unit not in ("array", "accumulator"):
        yield Obstacle("lead", lead.name, f"runs on the {unit}, whose results do not pass the accumulator's stores")
    elif kernel_named(lead.kind).is_activation:
        yield Obstacle("lead", lead.name, f"its own stores apply {lead.kind} already")


def _chain(proposal: Proposal) -> Iterator[Obstacle]:
    """Each operator reads the result of the one before and nothing else, but for a residual that is added to it."""
    for producer, consumer in proposal.edges:
        if _adds_residual(producer, consumer, proposal):
            continue
        if consumer.inputs != (producer.output,):
            read = ", ".join(tensor.name for tensor in consumer.inputs)
            yield Obstacle("chain", consumer.name, f"reads {read}, not {producer.output.name} alone")


def _adds_residual(producer: Operator, consumer: Operator, proposal: Proposal) -> bool:
    """Whether an operator adds a tensor to the sums of the matmul that leads, which its loads can bring."""
    lead = proposal.operators[0]
    if producer is not lead or not isinstance(consumer, Add) or not isinstance(executed(lead), Matmul):
        return False
    others = [tensor for tensor in consumer.inputs if tensor != producer.output]
    return len(others) == 1 and others[0].bits == OPERAND_BITS


def _sole_reader(proposal: Proposal) -> Iterator[Obstacle]:
    """A tensor inside the group has no reader outside: it never reaches DRAM."""
    for producer, consumer in proposal.edges:
        readers = proposal.graph.consumers(producer.name)
        outside = [reader.name for reader in readers if reader.name != consumer.name]
        if outside:
            reads = "also reads" if len(outside) == 1 else "also read"
            yield Obstacle("reader", producer.name, f"{', '.join(outside)} {reads} its result")


def _epilogue(proposal: Proposal) -> Iterator[Obstacle]:
    """The stores can apply what follows the leading operator."""
    lead, *epilogue = proposal.operators
    if epilogue and _adds_residual(lead, epilogue[0], proposal):
        epilogue = epilogue[1:]
    if len(epilogue) > LONGEST_EPILOGUE:
        violation = Violation("epilogue", lead.name, len(epilogue), LONGEST_EPILOGUE, "operators")
        yield Obstacle("epilogue", epilogue[LONGEST_EPILOGUE].name, "a store applies one activation", violation)
    for op in epilogue:
        kernel = kernel_named(op.kind)
        if not kernel.is_activation:
            yield Obstacle("epilogue", op.name, f"no store applies {op.kind}")
        elif not proposal.spec.evaluates(kernel):
            yield Obstacle("kernel", op.name, f"{proposal.spec.name} has no unit that evaluates {op.kind}")
        elif kernel.whole_rows:
            yield from _complete_rows(op, executed(lead), proposal.spec)


def _complete_rows(op: Operator, lead: Operator, spec: HardwareSpec) -> Iterator[Obstacle]:
    """A normalised row is a row of the leading operator's result, and a tile can hold it."""
    cols = op.dims["cols"]
    if not isinstance(lead, Matmul):
        violations = _row_in_half(cols, spec)
    elif cols != lead.n:
        reason = (
            f"{op.kind} needs rows of {cols:,} complete in the accumulator, and those of {lead.name} have {lead.n:,}"
        )
        yield Obstacle("complete dimensions", op.name, reason)
        return
    else:
        violations = _rows_in_tile(cols, spec)
    for violation in violations:
        yield Obstacle("capacity", op.name, f"{op.kind} needs whole rows of {cols:,}", violation)


def _rows_in_tile(cols: int, spec: HardwareSpec) -> Iterator[Violation]:
    """The lowest tile that holds whole rows, one block deep and alone in the memories, fits them."""
    blocks, side = -(-cols // spec.array.cols), spec.array.rows
    for name, memory, demand in (
        ("scratchpad", spec.scratchpad, scratchpad_blocks(1, 1, blocks)),
        ("accumulator", spec.accumulator, accumulator_blocks(1, blocks)),
    ):
        needed = demand * side * memory.row_bytes
        if needed > memory.capacity_bytes:
            tile = f"a tile of {side} rows of {cols:,}"
            yield Violation(tile, name, needed, memory.capacity_bytes, "bytes", _smallest(name, needed))


def _row_in_half(cols: int, spec: HardwareSpec) -> Iterator[Violation]:
    """A row fits half of the accumulator."""
    needed = -(-cols // spec.array.cols) * spec.accumulator.row_bytes
    half = spec.accumulator.rows // 2 * spec.accumulator.row_bytes
    if needed > half:
        hint = _smallest("accumulator", 2 * needed)
        yield Violation(f"a row of {cols:,} in half of it", "accumulator", needed, half, "bytes", hint)


def _smallest(memory: str, size_bytes: int) -> str:
    return f"the smallest {memory} that would do has {-(-size_bytes // 1024):,} KiB"


def _widths(proposal: Proposal) -> Iterator[Obstacle]:
    """Results leave the accumulator rounded: an activation is applied to what is then stored in a byte."""
    for op in proposal.operators:
        if op.output.bits > OPERAND_BITS:
            violation = Violation("element width", op.output.name, op.output.bits, OPERAND_BITS, "bits")
            yield Obstacle("width", op.name, "its result is not rounded to the width of operands", violation)


RULES: tuple[Rule, ...] = (_leads, _chain, _sole_reader, _epilogue, _widths)
