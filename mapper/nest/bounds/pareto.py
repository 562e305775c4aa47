"""Dominance filters on columns: of rows that are no better anywhere, only the first stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulator.arrays import Bools, Ints, Numbers

EXACT_ROWS = 4_000
"""Up to this many rows, every pair is compared."""


def thinned(columns: Sequence[Numbers]) -> Ints:
    """Return a superset of the Pareto-minimal rows, ascending; equal rows are kept once.

    Every column is to be small. Staircases over two columns at equal values of the others remove most of what is
    dominated in O(n log n); what is left is filtered exactly if it is short.

    Parameters
    ----------
    columns
        Equally long; at least one.
    """
    rows = np.arange(len(columns[0]))
    # A constant column decides nothing, and every pair of columns costs a sort.
    varying = [column for column in columns if len(column) and (column != column[0]).any()]
    if not varying:
        return rows[:1]
    ranks = [_ranks(column) for column in varying]
    # Every pair of columns once: a row dominated by one that differs in two columns only is on no staircase of theirs.
    for last in range(len(ranks)):
        for before in range(last):
            rows = rows[_stairs([rank[rows] for rank in ranks], before, last)]
            if len(rows) <= 64:  # the exact filter is faster than one more sort
                break
    if len(rows) <= EXACT_ROWS:
        rows = rows[minimal(np.stack([rank[rows] for rank in ranks], axis=1))]
    return np.sort(rows)


def _ranks(column: Numbers) -> Ints:
    """Position of each value among the distinct ones."""
    return np.unique(column, return_inverse=True)[1].astype(np.int64)


def _stairs(ranks: Sequence[Ints], x: int, y: int) -> Ints:
    """Rows on the lower-left staircase of columns x and y among rows that agree in all others."""
    # The other ranks as the digits of one number; ranked again before it could overflow.
    group = np.zeros(len(ranks[x]), np.int64)
    for index, rank in enumerate(ranks):
        if index not in (x, y):
            group = group * (int(rank.max()) + 1) + rank
            if group.max() > 2**40:
                group = _ranks(group)
    order = np.lexsort((ranks[y], ranks[x], group))
    height = int(ranks[y].max()) + 1
    group = _ranks(group)[order]
    # Later groups lie lower than all earlier ones, so that one running minimum serves all groups.
    falling = ranks[y][order] + (int(group[-1]) - group) * height
    return np.sort(order[_below_all_before(falling)])


def staircase(first: Numbers, second: Numbers, *ties: Numbers) -> Ints:
    """Return the rows that no other one beats in two columns at once, by ascending ``first``; both are to be small.

    Of rows that are equal in both, the one that is least in ``ties`` is kept, the most important of them first.
    """
    order = np.lexsort((*reversed(ties), second, first))
    return order[_below_all_before(second[order])]


def _below_all_before(values: Numbers) -> Bools:
    """Whether each value is smaller than every one in front of it; the first one is."""
    lower = np.ones(len(values), bool)
    lower[1:] = values[1:] < np.minimum.accumulate(values)[:-1]
    return lower


def minimal(points: Numbers) -> Ints:
    """Return the Pareto-minimal rows of ``points`` (rows, columns), equal ones once, ascending."""
    order = np.lexsort(points.T[::-1])
    # By sums: a row is dominated only by rows with a smaller sum, or by its first equal. What is kept stays kept.
    order = order[np.argsort(points[order].sum(axis=1), kind="stable")]
    values = points[order]
    front = np.zeros((0, points.shape[1]), points.dtype)
    kept: list[Ints] = []
    step = 128
    for start in range(0, len(values), step):
        block = values[start : start + step]
        index = order[start : start + step]
        if len(front):
            free = ~beaten(block, front)
            block, index = block[free], index[free]
        inner = (block[None, :, :] <= block[:, None, :]).all(axis=2)
        earlier = np.tril(inner, -1).any(axis=1)  # a row with a smaller or equal sum comes first
        block, index = block[~earlier], index[~earlier]
        front = np.concatenate([front, block])
        kept.append(index)
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64)


def beaten(rows: Numbers, front: Numbers) -> Bools:
    """Return whether each row is no better than some row of ``front``; both (rows, columns)."""
    result = np.zeros(len(rows), bool)
    if not len(front):
        return result
    step = max(1, 4_000_000 // len(front))  # cells of the comparison at once: a few megabytes
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        worse: Bools = np.ones((len(block), len(front)), bool)
        for column in range(rows.shape[1]):
            worse &= front[None, :, column] <= block[:, None, column]
        result[start : start + step] = worse.any(axis=1)
    return result
