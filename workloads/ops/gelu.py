"""Gaussian error linear unit, x Phi(x), in its exact form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.ops.operator import Array
from workloads.ops.rowwise import RowwiseOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class Gelu(RowwiseOperator):
    """Element x becomes x (1 + erf(x / sqrt 2)) / 2."""

    kind: ClassVar[str] = "gelu"
    flops_per_element: ClassVar[int] = 8
    """Scale, five for a second-order erf polynomial with sign and clip (I-BERT's form), add one, multiply."""

    def reference(self, *arrays: Array) -> Array:
        x = self.matrix(arrays[0]).astype(np.float64)
        result: Array = x * (1 + _erf(x / math.sqrt(2))) / 2
        return result.reshape(self.output.shape)


_erf = np.vectorize(math.erf, otypes=[np.float64])
