"""Series: equal programs that run one after another.

Heads of an attention matmul, or groups of rows of a softmax, differ only in their addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from simulator.program import Program


@dataclass(frozen=True, slots=True)
class Piece:
    """One program, and for a matmul what it was lowered from."""

    program: Program
    problem: MatmulProblem | None = None
    loop: HardwareLoop | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """``count`` equal pieces."""

    count: int
    make: Callable[[int], Piece]
    """Piece number i, with its addresses."""
