"""An edge inside a fusion group: the dimensions along which a producer and its consumer can be tiled together.

    scores   (batch, head, query_head, query, attended)  reduced over head_dim
       | shared: batch, head, query_head, query, and attended, which the softmax needs complete
    softmax  (batch, head, query_head, query, attended)

Tiles of both run in one loop nest if the loops above them cut shared dimensions only, and none that must be complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workloads import Operator, Tensor


@dataclass(frozen=True, slots=True)
class SharedDim:
    """A dimension of the tensor between two operators that indexes it in both of them."""

    name: str
    """The tensor's own name for it."""
    extent: int
    producer: str
    """The producer's name for it."""
    consumer: str
    """The consumer's name for it."""
    complete: bool
    """Whether the consumer needs all of it before its first result: no loop around both operators may cut it."""


@dataclass(frozen=True, slots=True)
class InternalEdge:
    """A producer and a consumer of its result, in one group."""

    producer: Operator
    consumer: Operator

    @property
    def tensor(self) -> Tensor:
        """The tensor between them, which stays on the chip."""
        return self.producer.output

    @property
    def shared(self) -> tuple[SharedDim, ...]:
        """Shared dimensions in the order of the tensor's axes.

        An axis that a window slides along, or that the two operators cut in different factors, has none.
        """
        return tuple(self._shared())

    def _shared(self) -> Iterator[SharedDim]:
        space, reads = self.producer.iteration_space, self.consumer.iteration_space
        written, read = space.output, reads.inputs[self.consumer.inputs.index(self.tensor)]
        made, needed = written.named_extents(space.sizes), read.named_extents(reads.sizes)
        for number, axis in enumerate(made):
            if axis is None or axis != needed[number]:
                continue
            dims = zip(axis, written.axes[number].dims, read.axes[number].dims, strict=True)
            for (name, extent), producer, consumer in dims:
                yield SharedDim(name, extent, producer, consumer, consumer in reads.complete)
