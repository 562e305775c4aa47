"""Rows of a table, such as the embeddings of the tokens of a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from workloads.ops.operator import Array
from workloads.ops.rowwise import RowwiseOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(RowwiseOperator):
    """A copy of the rows that were looked up; the input stands for them, not for the whole table."""

    kind: ClassVar[str] = "lookup"
    flops_per_element: ClassVar[int] = 0

    def reference(self, *arrays: Array) -> Array:
        return self.matrix(arrays[0]).reshape(self.output.shape)
