"""Ways to divide a whole number: divisors, and the sizes at which the number of parts changes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from simulator.arrays import Ints


@lru_cache(maxsize=64)
def break_points(size: int) -> tuple[Ints, Ints]:
    """Return, for every s up to ``size``, the smallest t of each value of ceil(s / t), ascending.

    Returns
    -------
    (offsets, points)
        Those of s are ``points[offsets[s] : offsets[s + 1]]``; there are about 2 sqrt(s).
    """
    offsets, points = [0, 0], []
    every = np.arange(1, size + 1, dtype=np.int64)
    for s in range(1, size + 1):
        counts = -(-s // every[:s])
        first = np.ones(s, bool)
        first[1:] = counts[1:] < counts[:-1]
        smallest = every[:s][first]
        points.append(smallest)
        offsets.append(offsets[-1] + len(smallest))
    return np.array(offsets, np.int64), np.concatenate(points)


@lru_cache(maxsize=4096)
def divisors(size: int) -> tuple[int, ...]:
    """Return the divisors in ascending order."""
    small = [d for d in range(1, int(size**0.5) + 1) if size % d == 0]
    return tuple(sorted({*small, *(size // d for d in small)}))
