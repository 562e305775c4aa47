"""How much a difference of memory times can matter to a run.

A run is not faster if its memory is slower, and it is slower by no more than its memory is: commands begin at maxima of
times at which others end. So the differences of all works, added up, bound the difference of the run.
"""

from __future__ import annotations

import numpy as np

from simulator.arrays import Floats

QUARTERS = 4
"""Parts of a sequence of works within which chance differences cancel."""


def longer(difference: Floats) -> float:
    """Return by how much a run may take longer whose works' memory times (rows x works) are longer by this. [cycles]

    Chance differences, as which lines a random victim was, even out: longer and shorter times cancel within a quarter
    of the works, and within every second and every third work. The grouping that says most counts.
    """
    works = difference.shape[1]
    if works < QUARTERS:
        return float(np.maximum(difference, 0.0).sum())
    groups = [np.add.reduceat(difference, np.arange(QUARTERS) * works // QUARTERS, axis=1)]
    groups += [np.stack([difference[:, at::every].sum(axis=1) for at in range(every)]) for every in (2, 3)]
    return max(float(np.maximum(group, 0.0).sum()) for group in groups)
