"""Maximum over square windows; padding never wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.ops.operator import Array
from workloads.ops.pooling import Pooling


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool(Pooling):
    """Largest value of each window."""

    kind: ClassVar[str] = "maxpool"

    def reference(self, *arrays: Array) -> Array:
        largest: Array = self.windows(arrays[0], -np.inf).max(axis=(-1, -2))
        return largest.astype(arrays[0].dtype)
