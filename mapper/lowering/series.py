"""Series: equal programs that run one after another, of which a few stand for all.

Heads of an attention matmul, or groups of rows of a softmax, differ only in their addresses. The first of them meets
a cache as the operator before left it, the later ones as their own predecessor left it: so the first two are
simulated, and the second stands for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mapper.mapping import Mapping
from mapper.problem import MatmulProblem
from simulator.program import Program


@dataclass(frozen=True, slots=True)
class Piece:
    """One program, and for a matmul what it was lowered from."""

    program: Program
    problem: MatmulProblem | None = None
    mapping: Mapping | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """``count`` equal pieces."""

    count: int
    make: Callable[[int], Piece]
    """Piece number i, with its addresses."""

    def representatives(self, exact: bool) -> Iterator[tuple[Piece, int]]:
        """Yield (piece, how many it stands for); ``exact`` yields every piece for itself."""
        if exact:
            yield from ((self.make(index), 1) for index in range(self.count))
        elif self.count:
            yield self.make(0), 1
            if self.count > 1:
                yield self.make(1), self.count - 1
