"""Least rows and Pareto fronts of cost columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from mapper.cost.costs import Costs
from mapper.nest.bounds.pareto import staircase
from simulator.arrays import Floats, Ints


def least(columns: Sequence[Ints | Floats]) -> int:
    """Return the first row that is lexicographically least, without sorting."""
    rows = np.arange(len(columns[0]))
    for column in columns:
        values = column[rows]
        rows = rows[values == values.min()]
        if len(rows) == 1:
            break
    return int(rows[0])


@dataclass(frozen=True, slots=True, eq=False)
class ParetoFront:
    """Candidates that no other one beats in cycles and energy at once, fewest cycles first."""

    rows: Ints = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    cycles: Floats = field(default_factory=lambda: np.empty(0))
    energy_pj: Floats = field(default_factory=lambda: np.empty(0))
    footprint_bytes: Floats = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.cycles)

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], float, float]]:
        """Yield (row, cycles, energy)."""
        for row, cycles, energy in zip(self.rows, self.cycles, self.energy_pj, strict=True):
            yield tuple(int(gene) for gene in row), float(cycles), float(energy)

    def joined(self, rows: Ints, costs: Costs) -> ParetoFront:
        """Return the front of these candidates and more; of equals the smaller footprint, then the smaller row."""
        if len(self):
            rows = np.concatenate([self.rows, rows])
        cycles = np.concatenate([self.cycles, costs.cycles])
        energy = np.concatenate([self.energy_pj, costs.energy_pj])
        footprint = np.concatenate([self.footprint_bytes, costs.footprint_bytes])
        kept = staircase(cycles, energy, footprint, *rows.T)
        return ParetoFront(rows[kept], cycles[kept], energy[kept], footprint[kept])
