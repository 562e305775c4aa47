"""Words moved, cycles and energy of a batch of mappings.

Everything is linear in the words that move between two neighbouring copies of a tensor: `Coefficients` hold that map
for one choice of keep sets and spatial loops, `evaluate` applies it to columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapper.mapping import SpatialLoop
from mapper.nest.accounting import Accounting
from mapper.nest.hierarchy import Hierarchy
from mapper.nest.nest import NestBatch
from mapper.nest.problem import NestProblem


@dataclass(frozen=True, slots=True)
class Move:
    """A quantity the costs are linear in: words of ``tensor`` that cross between two copies, or its distinct elements.

    words = (elements of the tensor, with halo overlaps of the tiles) x product of c(irrelevant dimension), where c
    counts the temporal loops outside the hoisting position and the spatial loops outside level ``spread``.
    """

    tensor: str
    parent: int | None
    """Level of the outer copy; None for ``distinct`` moves."""
    child: int
    """Level of the inner copy; the number of levels stands for the multipliers, which store nothing: every temporal
    loop counts."""
    spread: int
    """Spatial loops of irrelevant dimensions listed at levels below this one count (a copy each); those inside are
    multicast or reduced on the way. Equals ``parent`` for what the parent sees, ``child`` for what arrives."""
    distinct: bool = False
    """No temporal loop of an irrelevant dimension counts: elements held at ``child``, once per copy."""


@dataclass(frozen=True, slots=True)
class Port:
    """One bandwidth limit of one instance."""

    level: int
    kind: str
    """read, write or shared; "serial" adds to computing time."""
    rate: float


@dataclass(frozen=True, slots=True)
class Coefficients:
    """energy_pj = e0 + sum over moves e[move] * words[move]; cycles of a port likewise.

    For plain axes words[move] = elements * visits[move], so per visit the coefficient is ``e[move] * elements``.
    """

    moves: tuple[Move, ...]
    ports: tuple[Port, ...]
    energy_constant_pj: float
    """MACs and what is elided."""
    energy_pj: tuple[float, ...]
    """Per word of each move."""
    load_constant: tuple[float, ...]
    """Cycles per port."""
    load: tuple[tuple[float, ...], ...]
    """[port][move]: cycles per word."""

    @classmethod
    def of(
        cls,
        problem: NestProblem,
        hierarchy: Hierarchy,
        kept: tuple[frozenset[str], ...],
        spatial: tuple[tuple[SpatialLoop, ...], ...],
        accounting: Accounting,
    ) -> Coefficients:
        """Coefficients for one choice of keep sets and spatial loops, per level outermost first."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class NestCosts:
    """Costs of a batch, one entry per mapping."""

    cycles: NDArray[np.int64]
    energy_pj: NDArray[np.float64]
    footprint: Mapping[str, NDArray[np.float64]]
    """Words in one instance of each bounded memory."""
    valid: NDArray[np.bool_]
    """Whether every tile fits (and divides, if the accounting wants perfect factors)."""

    @property
    def edp(self) -> NDArray[np.float64]:
        """Energy times delay [pJ cycles]."""
        return self.energy_pj * self.cycles

    def __len__(self) -> int:
        return len(self.cycles)


def evaluate(batch: NestBatch, accounting: Accounting) -> NestCosts:
    """Costs of every mapping of ``batch``."""
    raise NotImplementedError
