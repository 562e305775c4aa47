"""Average over square windows; padding counts as zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from workloads.ops.operator import Array
from workloads.ops.pooling import Pooling


@dataclass(frozen=True, slots=True, kw_only=True)
class AvgPool(Pooling):
    """Mean of each window."""

    kind: ClassVar[str] = "avgpool"

    def reference(self, *arrays: Array) -> Array:
        mean: Array = self.windows(arrays[0], 0.0).mean(axis=(-1, -2))
        return mean
