"""Rank correlation: would the simulator choose the mapping that was fastest in reality?"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from mapper.validation.measured.results import RowResult
from simulator.arrays import Floats

FEWEST = 8
"""Mappings of one shape below which a rank correlation says nothing."""


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation; equal values share their mean rank.

    All values of one sequence equal: 1 if those of the other are too, else 0.
    """
    ranked = [_ranks(np.asarray(values, dtype=float)) for values in (first, second)]
    spread = [float(np.ptp(ranks)) for ranks in ranked]
    if 0.0 in spread:
        return float(spread[0] == spread[1])
    return float(np.corrcoef(ranked[0], ranked[1])[0, 1])


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = ((last - counts + 1 + last) / 2)[inverse]
    return ranks


def within_groups(rows: Sequence[RowResult]) -> float | None:
    """Mean rank correlation over the groups of at least eight mappings of one shape; None without such a group."""
    groups: dict[str, list[RowResult]] = {}
    for row in rows:
        if row.group:
            groups.setdefault(row.group, []).append(row)
    correlations = [
        spearman([row.measured for row in group], [row.simulated for row in group])
        for group in groups.values()
        if len(group) >= FEWEST
    ]
    return fmean(correlations) if correlations else None
