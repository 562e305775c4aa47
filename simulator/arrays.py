"""Names for the arrays that all packages compute with; the last axis is the one that grows, unless told otherwise."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Bytes: TypeAlias = NDArray[np.uint8]
Numbers: TypeAlias = NDArray[Any]
"""Integers or floats."""

Rows: TypeAlias = NDArray[np.int64]
"""Candidates of a mapspace, one a row of integers (candidates x genes)."""
