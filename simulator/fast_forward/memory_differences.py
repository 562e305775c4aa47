"""How much a difference of memory times can matter to a run.

A run is not faster if its memory is slower, and it is slower by no more than its memory is: commands begin at maxima of
times at which others end. So the differences of all works, added up, bound the difference of the run.
"""

from __future__ import annotations

import numpy as np

from simulator.arrays import Floats

QUARTERS = 4
"""Parts of a sequence of works within which chance differences cancel."""


def longer(differences: Floats) -> Floats:
    """Return by how much runs may take longer whose works' memory times are longer by this. [cycles]

    Chance differences, as which lines a random victim was, even out: longer and shorter times cancel within a quarter
    of the works, and within every second and every third work. The grouping that says most counts.

    Parameters
    ----------
    differences
        Of each run, by row of memory times and work (runs x rows x works) [cycles].
    """
    works = differences.shape[2]
    if works < QUARTERS:
        return _excess(differences)
    quarters = np.add.reduceat(differences, np.arange(QUARTERS) * works // QUARTERS, axis=2)
    groups = [_excess(quarters)]
    for every in (2, 3):
        sums = [differences[:, :, at::every].sum(axis=2) for at in range(every)]
        groups.append(_excess(np.stack(sums, axis=2)))
    most: Floats = np.maximum.reduce(groups)
    return most


def _excess(differences: Floats) -> Floats:
    """What is longer, summed, of each run."""
    total: Floats = np.maximum(differences, 0.0).sum(axis=(1, 2))
    return total


def conflicts_that_matter(conflicts: float, waited: float, pauses: float) -> float:
    """Return by how much a run may take longer or shorter for its bank conflicts. [cycles]

    Which rows meet in a bank depends on single cycles. Where one load follows the other without a pause, they set the
    pace: fewer conflicts do not make a run faster, and more do not make it slower while the array waits for loads.

    Parameters
    ----------
    conflicts
        How long rows that are written keep rows from being read [cycles].
    waited
        How long the array waits for loads [cycles].
    pauses
        How long no load is under way [cycles].
    """
    return max(min(conflicts, pauses), conflicts - waited)
