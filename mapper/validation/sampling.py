"""Random mappings on which the estimate is held against the simulation: which matmuls, how many of each, how long.

A draw is uniform over the legal hardware-loop mappings of a matmul whose simulation is affordable, seeded, without
repetition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import hwconfigs
import workloads
from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost import counts
from mapper.cost.model import CostModel
from mapper.cost.sweep import REQUESTS
from mapper.graph.dram_layout import lay_out, matmul_problem
from mapper.graph.fusion_cuts import fusion_groups
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import ORDERS, Batch
from mapper.mapspace.hardware_loops import MapSpace
from simulator.arrays import Floats, Ints

SECONDS_PER_REQUEST, SECONDS_PER_LOOP = 2e-6, 5e-4
"""CPU time of a simulation (see `mapper.cost.simulation_limits`)."""


class Source(NamedTuple):
    """A model whose matmuls are drawn from."""

    model: str
    seq: int | None = None
    """Tokens per sequence of a prefill."""
    context: int | None = None
    """Tokens in the KV cache of a decode step."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """What is drawn, and how much of it."""

    sources: tuple[Source, ...] = (Source("bert-base", 512), Source("bert-base", 128), Source("gpt2", context=511))
    seed: int = 2026
    """Of the reported sample; the constants of `mapper.cost.latency.loop_pipeline` and
    `mapper.cost.latency.memory_system` were fitted to samples of other seeds."""
    fewest: int = 10
    most: int = 40
    """Mappings of each matmul on each machine: the shorter their simulations, the more."""
    seconds_per_matmul: float = 4.0
    """CPU time that decides between `fewest` and `most`."""
    most_seconds: float = 1.0
    """Mappings whose simulation would take longer are not drawn: the smallest tiles of large matmuls."""
    least_affordable: float = 0.1
    """A matmul is left out if less than this fraction of its mappings is affordable: the rest say little about all."""

    cases: int = 450
    """Random matmuls on random machines."""
    per_case: int = 8
    """Mappings of each of them, if as many are affordable."""

    def number(self, mean_seconds: float) -> int:
        """Mappings to draw where a simulation takes so long on average."""
        return min(self.most, max(self.fewest, int(self.seconds_per_matmul / max(mean_seconds, 1e-9))))


@dataclass(frozen=True, slots=True)
class PlacedMatmul:
    """A matmul on a machine, as a model's layout places it."""

    label: str
    problem: MatmulProblem
    spec: HardwareSpec
    energy: EnergyModel


@dataclass(frozen=True, slots=True)
class Drawn:
    """How many mappings a matmul has, and which were drawn."""

    matmul: PlacedMatmul
    legal: int
    affordable: int
    loops: tuple[HardwareLoop, ...]


def matmuls(machines: Sequence[str], sources: Sequence[Source]) -> Iterator[PlacedMatmul]:
    """Yield the matmuls of the models on each machine, equal ones once."""
    for machine in machines:
        spec = hwconfigs.load(machine)
        energy = hwconfigs.load_energy(spec.energy).bind(spec)
        signatures: set[MatmulProblem] = set()
        for source in sources:
            for problem in _problems(source, spec):
                signature = problem.signature(spec.dma.max_request_bytes)
                if signature not in signatures:
                    signatures.add(signature)
                    label = f"{machine} {problem.name} {problem.m}x{problem.k}x{problem.n}"
                    yield PlacedMatmul(label, problem, spec, energy)


def _problems(source: Source, spec: HardwareSpec) -> Iterator[MatmulProblem]:
    """Yield the first instance of every matmul of a model."""
    phase = "prefill" if source.context is None else "decode"
    graph = workloads.build(source.model, seq=source.seq, phase=phase, context=source.context)
    groups = fusion_groups(graph, spec)
    layout = lay_out(groups)
    for group in groups:
        if group.unit == "array":
            yield matmul_problem(group, layout, 0, spec.array.input_bits)


def draw(matmul: PlacedMatmul, sampling: Sampling) -> Drawn:
    """Draw mappings of a matmul, uniformly and each at most once, from the legal ones that are affordable."""
    space = MapSpace(matmul.problem, matmul.spec)
    batches = list(_batches(space))
    affordable: list[Ints] = []
    total_seconds = 0.0
    for batch in batches:
        seconds = _simulation_seconds(batch, matmul)
        rows = np.flatnonzero(seconds <= sampling.most_seconds)
        affordable.append(rows)
        total_seconds += float(seconds[rows].sum())
    sizes = np.array([len(rows) for rows in affordable])
    ends = np.cumsum(sizes)
    members = int(ends[-1])
    number = sampling.number(total_seconds / max(members, 1))
    # The label is part of the seed: what is drawn of one matmul does not depend on which others are sampled.
    rng = np.random.default_rng([sampling.seed, *matmul.label.encode()])
    chosen = np.sort(rng.choice(members, min(number, members), replace=False))
    owners = np.searchsorted(ends, chosen, side="right")
    loops = (
        space.holding(batches[owner].loop(int(affordable[owner][member - ends[owner] + sizes[owner]])))
        for owner, member in zip(owners.tolist(), chosen.tolist(), strict=True)
    )
    return Drawn(matmul, sum(map(len, batches)), members, tuple(loops))


def _batches(space: MapSpace) -> Iterator[Batch]:
    """Yield all legal mappings that hold nothing, by buffering and order."""
    for buffered in (True, False):
        tiles = space.tiles(buffered)
        for order in ORDERS:
            yield Batch(order, buffered, frozenset(), *tiles)


def _simulation_seconds(batch: Batch, matmul: PlacedMatmul) -> Floats:
    """CPU time that the simulation of each mapping takes, roughly [s]."""
    visits = counts.count_visits(batch, matmul.problem, matmul.spec)
    loads, stores = counts.dma_totals(batch, visits, CostModel.of(matmul.problem, matmul.spec, matmul.energy).traffic)
    requests = (loads + stores)[:, REQUESTS]
    return np.asarray(requests * SECONDS_PER_REQUEST + visits.loops * SECONDS_PER_LOOP)
