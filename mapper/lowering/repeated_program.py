"""Repeated programs: equal programs that run one after another and differ in their addresses alone.

The heads of an attention matmul are instances of one program, as are groups of rows of a softmax.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from simulator.program import Item, Mvin, Mvout, Program


@dataclass(frozen=True, slots=True)
class MatmulInstance:
    """The program of one matmul, with the problem and the mapping that it was lowered from."""

    program: Program
    problem: MatmulProblem
    loop: HardwareLoop


@dataclass(frozen=True, slots=True)
class CommandInstance:
    """A program of single commands and host work.

    A stream is long, and its programs are equal but for their addresses: one of them is made, the others say where they
    lie, and are made only for those who ask for their commands.
    """

    template: Program
    rows_below: int = 0
    """Rows of each matrix by which its commands lie below those of the template."""

    @property
    def program(self) -> Program:
        """The commands at their addresses."""
        if not self.rows_below:
            return self.template
        return replace(self.template, items=tuple(_moved(item, self.rows_below) for item in self.template.items))


def _moved(item: Item, rows: int) -> Item:
    match item:
        case Mvin(source):
            return replace(item, source=source.part(rows, 0))
        case Mvout(target):
            return replace(item, target=target.part(rows, 0))
    return item


@dataclass(frozen=True, slots=True)
class EstimatedInstance:
    """A matmul whose program is too long to be made."""

    problem: MatmulProblem
    loop: HardwareLoop
    reason: str


Instance: TypeAlias = MatmulInstance | CommandInstance
"""What can be put through the caches."""


@dataclass(frozen=True, slots=True)
class RepeatedProgram:
    """``count`` equal programs."""

    count: int
    instance: Callable[[int], Instance]
    """Makes instance number i, with its addresses."""
    estimated: EstimatedInstance | None = None
    """Stands for every instance where none can be made."""
