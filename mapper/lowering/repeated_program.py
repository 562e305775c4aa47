"""Repeated programs: equal programs that run one after another and differ in their addresses alone.

The heads of an attention matmul are instances of one program, as are groups of rows of a softmax.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from simulator.program import Program


@dataclass(frozen=True, slots=True)
class MatmulInstance:
    """The program of one matmul, with the problem and the mapping that it was lowered from."""

    program: Program
    problem: MatmulProblem
    loop: HardwareLoop


@dataclass(frozen=True, slots=True)
class CommandInstance:
    """A program of single commands and host work."""

    program: Program


Instance: TypeAlias = MatmulInstance | CommandInstance


@dataclass(frozen=True, slots=True)
class RepeatedProgram:
    """``count`` equal programs."""

    count: int
    instance: Callable[[int], Instance]
    """Makes instance number i, with its addresses."""
