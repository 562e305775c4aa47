"""The analytical cost of matmul mappings: counts, cycles, energy, for columns of candidates.

    counts    exact, `mapper.cost.counts` and `mapper.cost.dma_traffic`
    lines     what the caches in front of DRAM fetch, estimated from reuse distances: `mapper.cost.cache_reuse`
    cycles    classes of hardware loops: `mapper.cost.latency.loop_pipeline`
    energy    counts and lines times the prices of the machine, and what the die leaks in the cycles

A single mapping is a batch of one (`mapper.cost.estimate`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost import counts
from mapper.cost.cache_contents import COLD, Held
from mapper.cost.cache_reuse import CacheReuse, estimate_reuse
from mapper.cost.costs import Costs
from mapper.cost.counts import Visits
from mapper.cost.dma_traffic import Traffic
from mapper.cost.energy import UNPRICED
from mapper.cost.known_cycles import known_cycles
from mapper.cost.latency import loop_pipeline
from mapper.cost.latency.lower_bounds import rough_lower_bound
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import Batch
from mapper.mapspace.hardware_loops import MapSpace
from simulator.arrays import Floats, Ints
from simulator.report import Action
from simulator.tile_footprint import accumulator_blocks, scratchpad_blocks


@dataclass(frozen=True, slots=True)
class CostModel:
    """Everything about a problem on a machine that its mappings share."""

    problem: MatmulProblem
    spec: HardwareSpec
    energy: EnergyModel
    traffic: Traffic
    held: Held = COLD
    """What the caches hold when the matmul starts."""

    @classmethod
    def of(
        cls,
        problem: MatmulProblem,
        spec: HardwareSpec,
        energy: EnergyModel,
        batch: Batch | None = None,
        held: Held = COLD,
    ) -> CostModel:
        """Return the model for the candidates of a search, or for those of one batch."""
        # Tables of traffic are made for every tile width that will be asked for: for a search all that are tried.
        if batch is None:
            _, widths_k, widths_n = MapSpace(problem, spec).extents
        else:
            widths_k, widths_n = np.unique(batch.tile_k), np.unique(batch.tile_n)
        return cls(problem, spec, energy, Traffic(problem, spec, widths_k, widths_n), held)

    def costs(self, batch: Batch) -> Costs:
        """Return cycles, energy and footprint of every candidate."""
        visits, reuse = self._reuse(batch)
        cycles = self._column("cycles", batch, lambda: loop_pipeline.cycles(batch, visits, self.traffic, reuse).cycles)
        operands, results = occupied_bytes(batch, self.spec)
        return Costs(cycles, self.with_leakage(self._dynamic(batch, reuse), cycles), operands + results)

    def least_cycles(self, batch: Batch) -> Floats:
        """Return cycles that no candidate stays below, for a tenth of the effort."""

        def compute() -> Floats:
            visits, reuse = self._reuse(batch)
            return loop_pipeline.least_cycles(batch, visits, self.traffic, reuse)

        return self._column("least", batch, compute)

    def _column(self, what: str, batch: Batch, compute: Callable[[], Floats]) -> Floats:
        """Return cycles of a batch, which another search may have computed on the same cold caches."""
        known = known_cycles(self.problem, self.spec.dma.max_request_bytes) if self.held == COLD else None
        return compute() if known is None else known.column(what, batch, compute)

    def rough_cycles(self, batch: Batch) -> Floats:
        """Return cycles that `least_cycles` does not stay below, for a few operations."""
        return rough_lower_bound(batch, self.problem, self.spec) + self.spec.host.call_cycles

    def dynamic_pj(self, batch: Batch) -> Floats:
        """Return the energy of what every candidate does, the same as in its costs: all but the leakage."""
        return self._dynamic(batch, self._reuse(batch)[1])

    def with_leakage(self, dynamic_pj: Floats, cycles: Floats) -> Floats:
        """Return energies with what the die leaks in so many cycles; of bounds of both it is a bound [pJ]."""
        return dynamic_pj + self.energy.static_pj_per_cycle * cycles

    def _reuse(self, batch: Batch) -> tuple[Visits, CacheReuse | None]:
        visits = counts.count_visits(batch, self.problem, self.spec)
        return visits, estimate_reuse(batch, visits, self.traffic, self.held) if self.spec.l2 else None

    def _dynamic(self, batch: Batch, reuse: CacheReuse | None) -> Floats:
        numbers: dict[Action, Ints | Floats] = {**counts.count(batch, self.traffic)}
        # With an L2 the counts say how often it is accessed; what lies behind it follows from the lines it fetches.
        if reuse is not None:
            numbers.update(memory_actions(reuse, self.spec))
        pj = self.energy.pj
        energy = np.zeros(len(batch), dtype=np.float64)
        for action, number in numbers.items():
            if action not in UNPRICED:
                energy += number * pj[action]
        return energy


def occupied_bytes(batch: Batch, spec: HardwareSpec) -> tuple[Ints, Ints]:
    """Return the bytes of the scratchpad and of the accumulator that the tiles occupy, both copies if there are two."""
    copies = 2 if batch.double_buffered else 1
    operands = scratchpad_blocks(batch.tile_m, batch.tile_k, batch.tile_n)
    results = accumulator_blocks(batch.tile_m, batch.tile_n)
    rows = copies * spec.array.rows
    return operands * rows * spec.scratchpad.row_bytes, results * rows * spec.accumulator.row_bytes


def memory_actions(reuse: CacheReuse, spec: HardwareSpec) -> dict[Action, Floats]:
    """Return the actions behind the L2 for estimated line counts."""
    line = spec.line_bytes
    actions: dict[Action, Floats] = {
        ("l2", "fill"): reuse.fetched,
        ("dram", "read_byte"): reuse.fetched * reuse.from_dram * (line if spec.llc is None else spec.llc.line_bytes),
        ("dram", "write_byte"): reuse.written * line,
    }
    # Every fetch of the L2 reads the last-level cache, which fetches its own misses from DRAM.
    if spec.llc is not None:
        actions["llc", "read"], actions["llc", "fill"] = reuse.fetched, reuse.fetched * reuse.from_dram
    return actions
