"""xIELU, the nonlinearity of Apertus [1]_: quadratic for positive values, integrated ELU for others.

References
----------
.. [1] A. Huang and I. Schlag, "Deriving Activation Functions Using Integration", arXiv:2411.13010, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.ops.operator import Array
from workloads.ops.rowwise import RowwiseOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class Xielu(RowwiseOperator):
    """Element x becomes a x^2 + x / 2 if it is positive, else a (e^x - 1 - x) + x / 2, with a = 0.8 as at the start."""

    kind: ClassVar[str] = "xielu"
    flops_per_element: ClassVar[int] = 7
    """Compare, exponential, two subtractions, two products, add: one branch of the two is used."""

    def reference(self, *arrays: Array) -> Array:
        x = self.matrix(arrays[0]).astype(np.float64)
        negative = np.minimum(x, 0)
        result: Array = 0.8 * np.where(x > 0, x * x, np.expm1(negative) - negative) + x / 2
        return result.reshape(self.output.shape)
