"""The fusion group: operators that run as one program, so that no tensor between them crosses to DRAM.

    ffn1 (matmul) --ffn1--> ffn_activation (gelu) --> ...        two groups: ffn1 is written to DRAM and read again

  [ ffn1 (matmul) --ffn1--> ffn_activation (gelu) ] --> ...      one group: gelu is applied on the way out of the
                                                                 accumulator, and ffn1 has no address

The group is the unit of work: it is laid out, searched, lowered and evaluated as a whole. Most groups are of one
operator.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hwconfigs.kernels import IDENTITY, kernel_named
from mapper.graph.internal_edge import InternalEdge
from mapper.graph.placement import Unit
from workloads import Operator, Tensor
from workloads.ops import Add, Conv2d


@dataclass(frozen=True, slots=True)
class FusionGroup:
    """Operators that run as one program on one unit."""

    operators: tuple[Operator, ...]
    """The one that leads, then its epilogue: what is added to its sums, and what its stores apply."""
    unit: Unit
    """What runs the leading operator."""
    note: str = ""
    """What a reader of the report should know."""
    result_bits: int = 8
    """Width of an element of the result as the group computes it; DRAM holds whole bytes. [bits]"""

    @property
    def name(self) -> str:
        """Name of the leading operator; no other group of the graph has it."""
        return self.lead.name

    @property
    def lead(self) -> Operator:
        """The operator that the group's unit runs."""
        return self.operators[0]

    @property
    def epilogue(self) -> tuple[Operator, ...]:
        """Operators without a program of their own: the loads and stores of the leading one carry them out."""
        return self.operators[1:]

    @property
    def activation(self) -> str:
        """Kernel that the accumulator's stores apply to the results."""
        return IDENTITY.name if self.unit == "host" else kernel_named(self.operators[-1].kind).activation

    @property
    def addend(self) -> Tensor | None:
        """Tensor that an addition in the epilogue adds to the leading operator's sums; None without one."""
        for op in self.epilogue:
            if isinstance(op, Add):
                (other,) = (tensor for tensor in op.inputs if tensor not in self.internal)
                return other
        return None

    @property
    def result(self) -> Tensor:
        """The tensor that the group writes to DRAM."""
        return self.operators[-1].output

    @property
    def internal(self) -> tuple[Tensor, ...]:
        """Tensors between the operators; they stay on the chip and have no place in DRAM."""
        return tuple(op.output for op in self.operators[:-1])

    @property
    def edges(self) -> tuple[InternalEdge, ...]:
        """Producers and consumers of the internal tensors, with the dimensions that they share."""
        return tuple(
            InternalEdge(producer, consumer)
            for number, producer in enumerate(self.operators)
            for consumer in self.operators[number + 1 :]
            if producer.output in consumer.inputs
        )

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Tensors that the group reads from DRAM, each once, in the order of use."""
        read = (tensor for op in self.operators for tensor in executed(op).inputs)
        return tuple(dict.fromkeys(tensor for tensor in read if tensor not in self.internal))


def writers_of_wide_inputs(group: FusionGroup, others: Iterable[FusionGroup]) -> tuple[FusionGroup, ...]:
    """Return those of some groups that leave an operand of this one in DRAM wider than its tensor says.

    A matmul leaves its sums of 32 bits for a softmax that streams them, in every cut in which it does not apply the
    softmax itself: what the reader costs alone depends on who wrote for it.
    """
    return tuple(one for one in others if one.result_bits != one.result.bits and one.result in group.inputs)


def executed(op: Operator) -> Operator:
    """Return the operator that really runs: of a convolution, the matmul on its im2col matrix."""
    return op.as_matmul() if isinstance(op, Conv2d) else op
