"""Rows sorted by the expert that each token chose, so that every expert finds its tokens one after another."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.iteration_space import IterationSpace, Operand
from workloads.ops.operator import Array, Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch(Operator):
    """Copies of the rows of x, one per choice, in order of the expert; inputs are x and the choices of its rows."""

    kind: ClassVar[str] = "dispatch"

    first: int = 0
    """Choices, in order of the expert, that lie before the first row of the result: another operator copies them."""

    def __post_init__(self) -> None:
        x, choices = self.inputs
        made, known = self.first + self.output.shape[0], choices.elements
        self.require(made <= known, f"{made} rows are more than the {known} choices")
        self.require(x.shape[0] == choices.shape[0], "x and the choices must have as many rows")

    @property
    def iteration_space(self) -> IterationSpace:
        operands = [Operand.by_name(tensor) for tensor in self.inputs]
        return IterationSpace.of(self.name, operands, Operand.by_name(self.output))

    @property
    def dims(self) -> Mapping[str, int]:
        rows, cols = self.output.shape
        return {"rows": rows, "cols": cols}

    @property
    def flops(self) -> int:
        """None: rows are copied."""
        return 0

    @property
    def details(self) -> tuple[Hashable, ...]:
        return (self.first,)

    def reference(self, *arrays: Array) -> Array:
        x, choices = arrays
        return x[sorted_rows(choices)[self.first : self.first + self.output.shape[0]]]


def sorted_rows(choices: Array) -> Array:
    """Return the token of each choice, in order of the expert chosen and then of the token."""
    order = np.argsort(choices, axis=None, kind="stable")
    return np.asarray(order // choices.shape[1])
