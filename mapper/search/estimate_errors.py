"""How far the estimate of a mapping is off, told from those that were simulated: the more alike, the more they tell.

The logarithm of simulated by estimated is taken for a Student process over the mappings. Its covariance is that of a
shared offset (the machine and the shape) and of a part that fades with the distance of two mappings: tiles by factors
of two, order, buffering, held operands. So the error of a mapping has an expected value and a deviation, which is small
beside simulated neighbours and `SPREAD` far from all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.loop_nest import DIMS
from mapper.mapspace.batch import ORDERS
from simulator.arrays import Floats

OFFSET, SPREAD = 0.055, 0.045
"""Deviations of the error: of all mappings of a matmul together, and of one of them from unlike ones."""

NOISE, NOISE_CYCLES = 0.008, 25.0
"""Deviations that no likeness tells: relative, and absolute ones of cycles, which matter in short programs.

These and the weights below are fitted to 23,000 pairs of simulated mappings of the same matmul (14 random matmuls and
machines, 640 mappings). Their errors differ by (root mean square, pairs whose fading is about that):

    fading      0.03   0.09   0.18   0.35   0.7    1.5    3
    measured    1.3 %  1.6    1.9    2.7    4.5    5.4    7.0
    model       1.6 %  2.2    2.8    3.7    4.7    5.7    6.3

Of energies they differ by 0.5 to 3.5 % up to 0.7, and wildly where partial sums spill: those are replayed anyway."""

FREEDOM, LEAST_SIZE = 4.0, 0.5
"""Degrees of freedom of the errors' size, which is not that of all matmuls and machines (1 to 9 % in the above), and
the least one: mappings that are alike say little of the others [times the variance]."""

PER_DOUBLING = (0.24, 0.28, 0.16)
"""Fading of the likeness per factor of two in the tile along m, k, n."""

OTHER_ORDER, OTHER_INNERMOST, OTHER_BUFFERING, OTHER_HELD = 0.4, 2.0, 0.4, 0.4
"""Fading of the likeness for other choices; the innermost loop decides what is loaded again."""


def _features(loop: HardwareLoop) -> list[float]:
    """Coordinates of a mapping whose distances, added up, are the fading of the likeness."""
    tiles = [weight * float(np.log2(tile)) for weight, tile in zip(PER_DOUBLING, loop.tiles, strict=True)]
    # Two different choices differ in two places.
    orders = [0.5 * OTHER_ORDER * (loop.order == order) for order in ORDERS]
    innermost = [0.5 * OTHER_INNERMOST * (loop.order[-1] == dim) for dim in DIMS]
    held = [OTHER_HELD * (operand in loop.held) for operand in ("input", "weight")]
    return [*tiles, *orders, *innermost, OTHER_BUFFERING * loop.double_buffered, *held]


class EstimateErrors:
    """Expects errors of estimates from those that were told."""

    def __init__(self) -> None:
        self._features = np.empty((0, len(_features(HardwareLoop(1, 1, 1)))))
        self._noise = np.empty(0)
        """Variance of each mapping's own error."""
        self._told: list[int] = []
        self._errors: list[float] = []
        self._known: list[Floats] = []
        """Covariance of every mapping with each of those told."""

    def join(self, loops: Sequence[HardwareLoop], noise: Floats) -> None:
        """Add mappings, numbered on, and the deviation of each one's own error [fraction]."""
        self._noise = np.concatenate([self._noise, noise**2])
        features = np.array([_features(loop) for loop in loops]).reshape(len(loops), self._features.shape[1])
        self._features = np.concatenate([self._features, features])
        self._known = [self._covariance(row) for row in self._told]

    def _covariance(self, row: int) -> Floats:
        fading = np.abs(self._features - self._features[row]).sum(axis=1)
        covariance: Floats = OFFSET**2 + SPREAD**2 * np.exp(-fading)
        return covariance

    def tell(self, row: int, told: float, estimated: float) -> None:
        """Hear what a mapping really costs, and what the estimate said; what was told of it before is forgotten."""
        error = float(np.log(told / estimated))
        if row in self._told:
            self._errors[self._told.index(row)] = error
            return
        self._told.append(row)
        self._errors.append(error)
        self._known.append(self._covariance(row))

    @property
    def size(self) -> float:
        """Variance of the errors that were told, relative to that of usual ones."""
        if not self._told:
            return 1.0
        errors = np.array(self._errors)
        usual = float(errors @ np.linalg.solve(self._among_told(), errors))
        return max(LEAST_SIZE, (FREEDOM + usual) / (FREEDOM + len(errors)))

    def _among_told(self) -> Floats:
        covariance: Floats = np.array(self._known)[:, self._told] + np.diag(self._noise[self._told])
        return covariance

    def factors(self, hope: float) -> Floats:
        """Return by what factor to take each mapping's estimate, so many deviations better than expected."""
        prior = OFFSET**2 + SPREAD**2 + self._noise
        if not self._told:
            return np.exp(-hope * np.sqrt(prior))
        known = np.array(self._known)
        weights = np.linalg.solve(self._among_told(), known)
        # Of a Student process: errors larger than usual say that the others are, too.
        variance = np.maximum(prior - (weights * known).sum(axis=0), 0.0) * self.size
        factors: Floats = np.exp(np.array(self._errors) @ weights - hope * np.sqrt(variance))
        return factors
