"""The best few columns of each row: the experts that a router chooses for a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.iteration_space import IterationSpace, Operand
from workloads.ops.operator import Array, Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class TopK(Operator):
    """Row r becomes the column numbers of its largest values, the largest first."""

    kind: ClassVar[str] = "topk"

    def __post_init__(self) -> None:
        (rows, cols), (out_rows, chosen) = self.inputs[0].shape, self.output.shape
        self.require(rows == out_rows and chosen <= cols, f"cannot choose {chosen} of {cols} columns")

    @property
    def iteration_space(self) -> IterationSpace:
        return IterationSpace.of(self.name, [Operand.by_name(self.inputs[0])], Operand.by_name(self.output))

    @property
    def dims(self) -> Mapping[str, int]:
        rows, cols = self.inputs[0].shape
        return {"rows": rows, "cols": cols, "chosen": self.output.shape[1]}

    @property
    def flops(self) -> int:
        """One comparison per value and choice, as a selection without a sorted store takes."""
        return self.inputs[0].elements * self.output.shape[1]

    def reference(self, *arrays: Array) -> Array:
        best = np.argsort(-arrays[0].astype(np.float64), axis=1, kind="stable")
        return best[:, : self.output.shape[1]]
