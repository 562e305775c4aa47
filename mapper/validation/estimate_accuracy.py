"""Estimate against event simulation on random mappings: the two fidelities of one model.

A search ranks mappings by the estimate, so what counts is the error of single mappings and their order within a shape.

    shapes     the distinct matmuls of BERT-base (512 and 128 tokens) and of a GPT-2 decode step, as they lie in memory
    mappings   uniform over the legal hardware-loop mappings of a shape that are affordable to simulate, seeded
    caches     cold, or, for every second mapping, as a run of it left them; every loop simulated
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median

import numpy as np

import hwconfigs
import workloads
from hwconfigs import EnergyModel, HardwareSpec
from mapper.cost import counts
from mapper.cost.dma_traffic import REQUESTS
from mapper.cost.estimate import estimate
from mapper.cost.model import CostModel
from mapper.graph.dram_layout import lay_out, matmul_problem
from mapper.graph.fusion_cuts import fusion_groups
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import ORDERS, Batch, batch_of
from mapper.mapspace.hardware_loops import MapSpace
from mapper.reports.text import columns
from mapper.validation.ranks import spearman
from simulator.arrays import Ints
from simulator.machine import count, simulate
from simulator.memory.request_stream import MemoryState

SCHEMA = "tilewright.agreement/1"
MACHINES = ("gemmini", "gemmini_ibert", "gemmini_chip")
MODELS: tuple[tuple[str, int | None, int | None], ...] = (
    ("bert-base", 512, None),
    ("bert-base", 128, None),
    ("gpt2", None, 511),
)
"""Model, tokens per sequence, or tokens in the KV cache of a decode step."""
FEWEST, MOST = 10, 40
"""Mappings of each shape on each machine: the more, the shorter their simulations."""
SECONDS_PER_SHAPE = 4.0
LEAST_AFFORDABLE = 0.1
"""A shape of which less is affordable is left out: what is left of it says little about the others."""
SEED = 2026
"""Of the reported sample; the constants of `mapper.cost.latency.loop_pipeline` and
`mapper.cost.latency.memory_system` were fitted to samples of other seeds."""

SECONDS_PER_REQUEST, SECONDS_PER_LOOP = 2e-6, 5e-4
"""CPU time of a simulation (see `mapper.cost.simulation_limits`)."""
MOST_SECONDS = 1.0
"""Mappings whose simulation would take longer are not drawn: the smallest tiles of large shapes."""

LEAST_SPEARMAN, MOST_MEDIAN = 0.95, 0.06

Progress = Callable[[int, int], object]
"""Called after each mapping with the number done and the number of all."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A matmul on a machine, as a model's layout places it."""

    label: str
    problem: MatmulProblem
    spec: HardwareSpec
    energy: EnergyModel


@dataclass(frozen=True, slots=True)
class Drawn:
    """How many mappings a shape has, and which were drawn."""

    shape: Shape
    legal: int
    affordable: int
    loops: tuple[HardwareLoop, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One mapping, estimated and simulated [cycles]."""

    shape: str
    loop: HardwareLoop
    warm: bool
    """The caches are as a run of the mapping left them, dirty lines included; else cold."""
    estimated: int
    searched: float
    """What a search takes it to cost: it knows the caches by reuse distances only, and takes them to be cold."""
    simulated: int

    @property
    def error(self) -> float:
        """Signed error of the estimate [fraction]."""
        return self.estimated / self.simulated - 1.0


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of some rows; errors as fractions."""

    label: str
    rows: int
    median: float
    mean: float
    worst: float
    """Signed."""
    bias: float
    """Geometric mean of estimated / simulated, less one."""
    spearman: float
    """Rank correlation; of several shapes the mean of theirs."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A figure that has a bound."""

    figure: str
    found: str
    bound: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Agreement:
    """All rows of a comparison, and of how many mappings they are a sample."""

    rows: tuple[Row, ...]
    legal: int
    affordable: int
    left_out: tuple[str, ...]
    """Shapes that are too large to sample."""
    seed: int

    @property
    def shapes(self) -> tuple[Score, ...]:
        """One score per shape and machine."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.shape, []).append(row)
        return tuple(_score(label, rows, _rank(rows)) for label, rows in groups.items())

    @property
    def overall(self) -> Score:
        """The score of all rows."""
        return _score("all", self.rows, fmean(score.spearman for score in self.shapes))

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Figures with a bound."""
        overall = self.overall
        return (
            Gate(
                "rank correlation within a shape, mean",
                f"{overall.spearman:.3f}",
                f">= {LEAST_SPEARMAN:g}",
                overall.spearman >= LEAST_SPEARMAN,
            ),
            Gate(
                "median absolute error",
                f"{100 * overall.median:.1f} %",
                f"<= {100 * MOST_MEDIAN:g} %",
                overall.median <= MOST_MEDIAN,
            ),
        )

    @property
    def holds(self) -> bool:
        """Whether all gates hold."""
        return all(gate.holds for gate in self.gates)


def compare(
    machines: Sequence[str] = MACHINES,
    per_shape: int | None = None,
    seed: int = SEED,
    progress: Progress | None = None,
) -> Agreement:
    """Estimate and simulate random mappings of BERT and decode matmuls.

    Parameters
    ----------
    machines
        Presets or files.
    per_shape
        Mappings of each shape on each machine; None: `FEWEST` to `MOST`, as many as take about `SECONDS_PER_SHAPE`.
    seed
        Of the sample.
    progress
        Told after each mapping.
    """
    every = [draw(shape, per_shape, seed) for shape in shapes(machines)]
    drawn = [one for one in every if one.affordable >= LEAST_AFFORDABLE * one.legal]
    left_out = tuple(one.shape.label for one in every if one not in drawn)
    total = sum(len(one.loops) for one in drawn)
    rows: list[Row] = []
    for one in drawn:
        model = CostModel.of(one.shape.problem, one.shape.spec, one.shape.energy)
        for number, loop in enumerate(one.loops):
            rows.append(_row(one.shape, loop, model, warm=number % 2 == 1))
            if progress is not None:
                progress(len(rows), total)
    legal, affordable = sum(one.legal for one in drawn), sum(one.affordable for one in drawn)
    return Agreement(tuple(rows), legal, affordable, left_out, seed)


def shapes(machines: Sequence[str]) -> Iterator[Shape]:
    """Yield the distinct matmuls of the models on each machine."""
    for machine in machines:
        spec = hwconfigs.load(machine)
        energy = hwconfigs.load_energy(spec.energy).bind(spec)
        seen: set[MatmulProblem] = set()
        for model, seq, context in MODELS:
            phase = "prefill" if context is None else "decode"
            groups = fusion_groups(workloads.build(model, seq=seq, phase=phase, context=context), spec)
            layout = lay_out(groups)
            for group in groups:
                if group.unit != "array":
                    continue
                problem = matmul_problem(group, layout, 0, spec.array.input_bits)
                signature = problem.signature(spec.dma.max_request_bytes)
                if signature not in seen:
                    seen.add(signature)
                    label = f"{machine} {problem.name} {problem.m}x{problem.k}x{problem.n}"
                    yield Shape(label, problem, spec, energy)


def draw(shape: Shape, number: int | None, seed: int) -> Drawn:
    """Draw mappings of a shape, uniformly and each at most once, from the legal ones that are affordable.

    ``number`` as of `compare`.
    """
    space = MapSpace(shape.problem, shape.spec)
    traffic = CostModel.of(shape.problem, shape.spec, shape.energy).traffic
    batches: list[Batch] = []
    affordable: list[Ints] = []
    spent = 0.0
    for buffered in (True, False):
        tiles = space.tiles(buffered)
        for order in ORDERS:
            batch = Batch(order, buffered, frozenset(), *tiles)
            seen = counts.visits(batch, shape.problem, shape.spec)
            loads, stores = counts.dma(batch, seen, traffic)
            requests = (loads + stores)[:, REQUESTS]
            seconds = requests * SECONDS_PER_REQUEST + seen.loops * SECONDS_PER_LOOP
            batches.append(batch)
            affordable.append(np.flatnonzero(seconds <= MOST_SECONDS))
            spent += float(seconds[affordable[-1]].sum())
    sizes = np.array([len(rows) for rows in affordable])
    ends = np.cumsum(sizes)
    if number is None:
        mean = spent / max(int(ends[-1]), 1)
        number = min(MOST, max(FEWEST, int(SECONDS_PER_SHAPE / max(mean, 1e-9))))
    rng = np.random.default_rng([seed, *shape.label.encode()])
    chosen = np.sort(rng.choice(int(ends[-1]), min(number, int(ends[-1])), replace=False))
    of = np.searchsorted(ends, chosen, side="right")
    loops = (
        space.holding(batches[at].loop(int(affordable[at][row - ends[at] + sizes[at]])))
        for at, row in zip(of.tolist(), chosen.tolist(), strict=True)
    )
    return Drawn(shape, sum(len(batch) for batch in batches), int(ends[-1]), tuple(loops))


def _row(shape: Shape, loop: HardwareLoop, model: CostModel, warm: bool) -> Row:
    problem, spec = shape.problem, shape.spec
    program = lower_matmul(problem, loop, spec)
    memory = MemoryState(spec)
    if warm:
        count(program, spec, memory)
    measured = simulate(program, spec, memory=memory.copy(), exact=True)
    expected = estimate(loop, problem, spec, shape.energy, memory, program, measured.counts)
    searched = float(model.costs(batch_of(loop)).cycles[0])
    return Row(shape.label, loop, warm, expected.cycles, searched, measured.cycles)


def _rank(rows: Sequence[Row]) -> float:
    return spearman([row.simulated for row in rows], [row.estimated for row in rows])


def _score(label: str, rows: Sequence[Row], rank: float) -> Score:
    errors = [row.error for row in rows]
    return Score(
        label=label,
        rows=len(rows),
        median=median(map(abs, errors)),
        mean=fmean(map(abs, errors)),
        worst=max(errors, key=abs),
        bias=math.expm1(fmean(math.log(row.estimated / row.simulated) for row in rows)),
        spearman=rank,
    )


def text(found: Agreement) -> str:
    """The comparison as printed: a table by shape, the gates, and what was sampled."""
    table: list[Sequence[str]] = [("estimate against simulation", "rows", "median", "mean", "worst", "bias", "rank")]
    table += [_cells(score) for score in (*found.shapes, found.overall)]
    gates: list[Sequence[str]] = [("gate", "found", "bound", "")]
    for gate in found.gates:
        gates.append((gate.figure, gate.found, gate.bound, "pass" if gate.holds else "FAIL"))
    failed = sum(not gate.holds for gate in found.gates)
    return "\n".join(
        [
            *columns(table, rules=(1, len(table) - 1), right=range(1, 7)),
            "",
            *columns(gates, rules=(1,), right=(1,)),
            f"{len(found.gates)} gates: " + (f"{failed} FAIL" if failed else "all hold"),
            "",
            f"{len(found.rows)} mappings, uniform over the {found.affordable:,} of {found.legal:,} legal ones whose "
            f"simulation takes about {MOST_SECONDS:g} CPU s",
            f"at most; caches cold and, for every second one, as a run of it left them; seed {found.seed}",
            "left out, because that are too few of theirs: " + (", ".join(found.left_out) or "none"),
        ]
    )


def as_dict(found: Agreement) -> dict[str, object]:
    """The comparison as plain data."""
    return {
        "schema": SCHEMA,
        "seed": found.seed,
        "legal": found.legal,
        "affordable": found.affordable,
        "left_out": list(found.left_out),
        "scores": [asdict(score) for score in (*found.shapes, found.overall)],
        "gates": [asdict(gate) for gate in found.gates],
        "rows": [
            {
                "shape": row.shape,
                "tile_blocks": list(row.loop.tiles),
                "order": row.loop.order,
                "double_buffered": row.loop.double_buffered,
                "held": sorted(row.loop.held),
                "warm": row.warm,
                "estimated_cycles": row.estimated,
                "searched_cycles": row.searched,
                "simulated_cycles": row.simulated,
            }
            for row in found.rows
        ],
    }


def _cells(score: Score) -> tuple[str, ...]:
    signed = (f"{100 * value:+.1f} %" for value in (score.worst, score.bias))
    return (
        score.label,
        str(score.rows),
        f"{100 * score.median:.1f} %",
        f"{100 * score.mean:.1f} %",
        *signed,
        f"{score.spearman:.3f}",
    )
