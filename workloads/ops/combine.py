"""Results of the experts, weighted by the router and added up for each token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.iteration_space import IterationSpace, Operand
from workloads.ops.dispatch import sorted_rows
from workloads.ops.operator import Array, Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Combine(Operator):
    """Inputs are the choices (tokens, k), the router's weights (tokens, experts) and rows as `Dispatch` sorts them."""

    kind: ClassVar[str] = "combine"

    def __post_init__(self) -> None:
        choices, weights, *rows = self.inputs
        made = sum(tensor.shape[0] for tensor in rows)
        self.require(made == choices.elements, f"{made} rows for {choices.elements} choices")
        self.require(choices.shape[0] == weights.shape[0] == self.output.shape[0], "each token needs a row of each")

    @property
    def iteration_space(self) -> IterationSpace:
        choices, weights, *rows = self.inputs
        # rows that another operator sorted are other rows: their dimensions are this input's own
        named = [
            Operand.by_name(tensor, {"expert": f"expert{number}", "slot": f"slot{number}"})
            for number, tensor in enumerate(rows)
        ]
        # where a token's rows lie, the choices of all tokens tell
        everything = {dim: f"any_{dim}" for dim in Operand.by_name(choices).dims}
        operands = [Operand.by_name(choices, everything), Operand.by_name(weights), *named]
        return IterationSpace.of(self.name, operands, Operand.by_name(self.output))

    @property
    def dims(self) -> Mapping[str, int]:
        rows, cols = self.output.shape
        return {"rows": rows, "cols": cols, "chosen": self.inputs[0].shape[1]}

    @property
    def flops(self) -> int:
        """A product and a sum per row and channel."""
        return 2 * self.inputs[0].elements * self.output.shape[1]

    def reference(self, *arrays: Array) -> Array:
        choices, weights, *rows = arrays
        result = np.zeros(self.output.shape)
        shares = np.sort(choices, axis=None).astype(np.int64)
        for token, expert, row in zip(sorted_rows(choices), shares, np.concatenate(rows), strict=True):
            result[token] += weights[token, expert] * row
        return result
