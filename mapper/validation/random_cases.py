"""Random mappings of random matmuls on random machines, seeded: what an estimate or a short-cut is held against.

Half of the mappings are uniform over the tiles that fit, half favour small tiles: those at equal ratios of their size,
since a uniform choice hardly ever has a tile of one block along a dimension.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import hwconfigs
from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost import counts
from mapper.cost.dma_traffic import Traffic
from mapper.cost.sweep import REQUESTS
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import ORDERS, Batch
from mapper.mapspace.hardware_loops import MapSpace
from mapper.validation.random_machines import draw_machine, draw_matmul

ATTEMPTS = 10
"""Draws per mapping that is wanted: some take too long to simulate, or were drawn already."""

SECONDS_PER_REQUEST, SECONDS_PER_LOOP = 2e-6, 5e-4
"""CPU time of a simulation (see `mapper.cost.simulation_limits`)."""


@dataclass(frozen=True, slots=True)
class RandomCase:
    """A matmul on a machine and some of its mappings, all different."""

    number: int
    machine: str
    """Preset and overrides as on the command line."""
    problem: MatmulProblem
    spec: HardwareSpec
    energy: EnergyModel
    loops: tuple[HardwareLoop, ...]


def random_cases(cases: int, mappings: int, seed: int, most_seconds: float) -> Iterator[RandomCase]:
    """Yield cases with at most so many mappings each, whose simulations take ``most_seconds`` of CPU time at most.

    A case depends on seed and number alone: the first ten of fifty are those of ten.
    """
    for number in range(cases):
        rng = np.random.default_rng([seed, number])
        machine, problem = draw_machine(rng), draw_matmul(rng)
        loops = tuple(_loops(problem, machine.spec, mappings, most_seconds, rng))
        energy = hwconfigs.load_energy(machine.spec.energy).bind(machine.spec)
        yield RandomCase(number, machine.text, problem, machine.spec, energy, loops)


def _loops(
    problem: MatmulProblem, spec: HardwareSpec, mappings: int, most_seconds: float, rng: np.random.Generator
) -> Iterator[HardwareLoop]:
    space = MapSpace(problem, spec)
    tiles = {buffered: space.tiles(buffered) for buffered in (True, False)}
    drawn: set[HardwareLoop] = set()
    for _ in range(ATTEMPTS * mappings):
        if len(drawn) == mappings:
            return
        buffered = bool(rng.integers(2))
        volume = np.prod(tiles[buffered], axis=0, dtype=np.float64)
        weights = np.ones_like(volume) if rng.integers(2) else 1.0 / volume
        place = int(rng.choice(len(volume), p=weights / weights.sum()))
        columns = (column[place : place + 1] for column in tiles[buffered])
        batch = Batch(str(rng.choice(ORDERS)), buffered, frozenset(), *columns)
        loop = space.holding(batch.loop(0))
        if loop not in drawn and _seconds(batch, problem, spec) <= most_seconds:
            drawn.add(loop)
            yield loop


def _seconds(batch: Batch, problem: MatmulProblem, spec: HardwareSpec) -> float:
    """Return the CPU time that a simulation takes, roughly [s]."""
    visits = counts.count_visits(batch, problem, spec)
    loads, stores = counts.dma_totals(batch, visits, Traffic(problem, spec, batch.tile_k, batch.tile_n))
    return float((loads + stores)[0, REQUESTS] * SECONDS_PER_REQUEST + visits.loops[0] * SECONDS_PER_LOOP)
