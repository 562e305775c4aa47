"""Estimate against event simulation on random mappings: the two fidelities of one model.

A search ranks mappings by the estimate, so what counts is the error of single mappings and their order within a shape.

    shapes     the distinct matmuls of BERT-base (512 and 128 tokens) and of a GPT-2 decode step, as they lie in memory
    mappings   uniform over the legal hardware-loop mappings of a shape that are affordable to simulate, seeded
    caches     cold, or, for every second mapping, as a run of it left them; every loop simulated
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median

from mapper.cost.estimate import estimate
from mapper.cost.model import CostModel
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapspace.batch import batch_of
from mapper.reports.text import columns
from mapper.validation.gates import gate_table
from mapper.validation.ranks import spearman
from mapper.validation.sampling import PlacedMatmul, Sampling, draw, matmuls
from simulator.machine import count, simulate
from simulator.memory.request_stream import MemoryState

SCHEMA = "tilewright.agreement/1"
MACHINES = ("gemmini", "gemmini_ibert", "gemmini_chip")
SAMPLING = Sampling()
"""Of the reported sample."""

LEAST_SPEARMAN, MOST_MEDIAN = 0.95, 0.06

Progress = Callable[[int, int], object]
"""Called after each mapping with the number done and the number of all."""


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
class SampleScore:
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
class SampleGate:
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
    sampling: Sampling

    @property
    def shapes(self) -> tuple[SampleScore, ...]:
        """One score per shape and machine."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.shape, []).append(row)
        return tuple(_score(label, rows, _rank(rows)) for label, rows in groups.items())

    @property
    def overall(self) -> SampleScore:
        """The score of all rows."""
        return _score("all", self.rows, fmean(score.spearman for score in self.shapes))

    @property
    def gates(self) -> tuple[SampleGate, ...]:
        """Figures with a bound."""
        overall = self.overall
        return (
            SampleGate(
                "rank correlation within a shape, mean",
                f"{overall.spearman:.3f}",
                f">= {LEAST_SPEARMAN:g}",
                overall.spearman >= LEAST_SPEARMAN,
            ),
            SampleGate(
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
    machines: Sequence[str] = MACHINES, sampling: Sampling = SAMPLING, progress: Progress | None = None
) -> Agreement:
    """Estimate and simulate random mappings of BERT and decode matmuls.

    Parameters
    ----------
    machines
        Presets or files.
    sampling
        Models, number of mappings and seed.
    progress
        Called after each mapping.
    """
    every = [draw(matmul, sampling) for matmul in matmuls(machines, sampling.sources)]
    sampled = [drawn for drawn in every if drawn.affordable >= sampling.least_affordable * drawn.legal]
    left_out = tuple(drawn.matmul.label for drawn in every if drawn not in sampled)
    total = sum(len(drawn.loops) for drawn in sampled)
    rows: list[Row] = []
    for drawn in sampled:
        matmul = drawn.matmul
        model = CostModel.of(matmul.problem, matmul.spec, matmul.energy)
        for number, loop in enumerate(drawn.loops):
            rows.append(_row(matmul, loop, model, warm=number % 2 == 1))
            if progress is not None:
                progress(len(rows), total)
    legal, affordable = sum(drawn.legal for drawn in sampled), sum(drawn.affordable for drawn in sampled)
    return Agreement(tuple(rows), legal, affordable, left_out, sampling)


def _row(matmul: PlacedMatmul, loop: HardwareLoop, model: CostModel, warm: bool) -> Row:
    problem, spec = matmul.problem, matmul.spec
    program = lower_matmul(problem, loop, spec)
    memory = MemoryState(spec)
    if warm:
        count(program, spec, memory)
    measured = simulate(program, spec, memory=memory.copy(), exact=True)
    expected = estimate(loop, problem, spec, matmul.energy, memory, program, measured.counts)
    searched = float(model.costs(batch_of(loop)).cycles[0])
    return Row(matmul.label, loop, warm, expected.cycles, searched, measured.cycles)


def _rank(rows: Sequence[Row]) -> float:
    return spearman([row.simulated for row in rows], [row.estimated for row in rows])


def _score(label: str, rows: Sequence[Row], rank: float) -> SampleScore:
    errors = [row.error for row in rows]
    return SampleScore(
        label=label,
        rows=len(rows),
        median=median(map(abs, errors)),
        mean=fmean(map(abs, errors)),
        worst=max(errors, key=abs),
        bias=math.expm1(fmean(math.log(row.estimated / row.simulated) for row in rows)),
        spearman=rank,
    )


def text(agreement: Agreement) -> str:
    """The comparison as printed: a table by shape, the gates, and what was sampled."""
    table: list[Sequence[str]] = [("estimate against simulation", "rows", "median", "mean", "worst", "bias", "rank")]
    table += [_cells(score) for score in (*agreement.shapes, agreement.overall)]
    gates = [((gate.figure, gate.found, gate.bound), gate.holds) for gate in agreement.gates]
    sampling = agreement.sampling
    return "\n".join(
        [
            *columns(table, rules=(1, len(table) - 1), right=range(1, 7)),
            "",
            *gate_table(("gate", "found", "bound"), gates),
            "",
            f"{len(agreement.rows)} mappings, uniform over the {agreement.affordable:,} of {agreement.legal:,} legal "
            f"ones whose simulation takes about {sampling.most_seconds:g} CPU s",
            f"at most; caches cold and, for every second one, as a run of it left them; seed {sampling.seed}",
            "left out, because those are too few of theirs: " + (", ".join(agreement.left_out) or "none"),
        ]
    )


def as_dict(agreement: Agreement) -> dict[str, object]:
    """The comparison as plain data."""
    return {
        "schema": SCHEMA,
        "seed": agreement.sampling.seed,
        "legal": agreement.legal,
        "affordable": agreement.affordable,
        "left_out": list(agreement.left_out),
        "scores": [asdict(score) for score in (*agreement.shapes, agreement.overall)],
        "gates": [asdict(gate) for gate in agreement.gates],
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
            for row in agreement.rows
        ],
    }


def _cells(score: SampleScore) -> tuple[str, ...]:
    signed = (f"{100 * value:+.1f} %" for value in (score.worst, score.bias))
    return (
        score.label,
        str(score.rows),
        f"{100 * score.median:.1f} %",
        f"{100 * score.mean:.1f} %",
        *signed,
        f"{score.spearman:.3f}",
    )
