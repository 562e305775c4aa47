"""Estimate against event simulation on random mappings: the two fidelities of one model.

A search ranks mappings by the estimate, so what counts is the error of single mappings and their order within a shape.

    shapes     the distinct matmuls of BERT-base (512 and 128 tokens) and of a GPT-2 decode step, as they lie in memory,
               on shipped machines; then random matmuls on random machines (`mapper.validation.random_cases`)
    mappings   random legal hardware-loop mappings of a shape that are affordable to simulate, seeded
    caches     cold, or, for every second mapping, as a run of it left them; every loop simulated
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, median

import numpy as np

from mapper.cost.cache_contents import held_in
from mapper.cost.estimate import estimate
from mapper.cost.model import CostModel
from mapper.cost.pace import Pace
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.batch import batch_of
from mapper.reports.text import columns
from mapper.validation.gates import gate_table
from mapper.validation.random_cases import random_cases
from mapper.validation.ranks import spearman
from mapper.validation.sampling import PlacedMatmul, Sampling, draw, matmuls
from simulator.machine import count, prepare
from simulator.memory.request_stream import MemoryState

SCHEMA = "tilewright.agreement/2"
MACHINES = ("gemmini", "gemmini_ibert", "gemmini_chip")
SAMPLING = Sampling()
"""Of the reported sample."""

LEAST_SPEARMAN, MOST_MEDIAN, MOST_HIGH, MOST_WORST = 0.98, 0.03, 0.10, 0.25
"""Gates: mean rank correlation within a shape, and median, 95th percentile and largest of the absolute errors."""

WORST_SHOWN = 10

RANDOM_SECONDS = 0.1
"""CPU time of the simulation of a mapping on a random machine, at most."""

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
    """What a search takes it to cost that knows which shares of the matrices are in the caches, and fetches by reuse
    distances only."""
    simulated: int
    bounds: str
    """What bounds it by the simulation and, if that differs, by the estimate."""
    machine: str = ""
    """Of a random one: how to ask for it."""

    @property
    def group(self) -> str:
        """Whose figures it is printed with."""
        return f"random machines, caches {'warm' if self.warm else 'cold'}" if self.machine else self.shape

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
    high: float
    """95th percentile."""
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
    def ranks(self) -> dict[str, float]:
        """Rank correlation within each shape and machine of several mappings."""
        shapes = {shape: rows for shape, rows in _grouped(self.rows, lambda row: row.shape).items() if len(rows) > 1}
        return {shape: _rank(rows) for shape, rows in shapes.items()}

    @property
    def shapes(self) -> tuple[SampleScore, ...]:
        """One score per shape and shipped machine, and those of all random machines."""
        ranks = self.ranks

        def rank(rows: Sequence[Row]) -> float:
            return fmean(ranks.get(shape, 1.0) for shape in {row.shape for row in rows})

        groups = _grouped(self.rows, lambda row: row.group)
        return tuple(_score(label, rows, rank(rows)) for label, rows in groups.items())

    @property
    def overall(self) -> SampleScore:
        """The score of all rows."""
        return _score("all", self.rows, fmean(self.ranks.values()))

    @property
    def searched(self) -> SampleScore:
        """The score of what a search ranks by: closed forms, which know no pace and no replay."""
        rows = tuple(replace(row, estimated=round(row.searched)) for row in self.rows)
        return replace(replace(self, rows=rows).overall, label="all, by closed forms")

    @property
    def gates(self) -> tuple[SampleGate, ...]:
        """Figures with a bound."""
        overall = self.overall
        errors = (
            ("median absolute error", overall.median, MOST_MEDIAN),
            ("95th percentile of the absolute errors", overall.high, MOST_HIGH),
            ("worst error", abs(overall.worst), MOST_WORST),
        )
        return (
            SampleGate(
                "rank correlation within a shape, mean",
                f"{overall.spearman:.3f}",
                f">= {LEAST_SPEARMAN:g}",
                overall.spearman >= LEAST_SPEARMAN,
            ),
            *(
                SampleGate(figure, f"{100 * found:.1f} %", f"<= {100 * bound:g} %", found <= bound)
                for figure, found, bound in errors
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
    cases = list(random_cases(sampling.cases, sampling.per_case, sampling.seed, RANDOM_SECONDS))
    total = sum(len(drawn.loops) for drawn in sampled) + sum(len(case.loops) for case in cases)
    rows: list[Row] = []

    def add(matmul: PlacedMatmul, loops: Sequence[HardwareLoop], machine: str = "") -> None:
        for number, loop in enumerate(loops):
            rows.append(_row(matmul, loop, warm=number % 2 == 1, machine=machine))
            if progress is not None:
                progress(len(rows), total)

    for drawn in sampled:
        add(drawn.matmul, drawn.loops)
    for case in cases:
        add(PlacedMatmul(f"case {case.number}", case.problem, case.spec, case.energy), case.loops, case.machine)
    legal, affordable = sum(drawn.legal for drawn in sampled), sum(drawn.affordable for drawn in sampled)
    return Agreement(tuple(rows), legal, affordable, left_out, sampling)


def _row(matmul: PlacedMatmul, loop: HardwareLoop, warm: bool, machine: str) -> Row:
    problem, spec = matmul.problem, matmul.spec
    program, batch = lower_matmul(problem, loop, spec), batch_of(loop)
    memory = MemoryState(spec)
    if warm:
        count(program, spec, memory)
    prepared = prepare(program, spec, memory.copy())
    measured = prepared.simulate(exact=True)
    expected = estimate(loop, problem, spec, matmul.energy, memory, prepared, Pace())
    model = CostModel.of(problem, spec, matmul.energy, batch, held_in(memory, problem))
    return Row(
        shape=matmul.label,
        loop=loop,
        warm=warm,
        estimated=expected.cycles,
        searched=float(model.costs(batch).cycles[0]),
        simulated=measured.cycles,
        bounds=" / ".join(dict.fromkeys((measured.bound, expected.bound))),
        machine=f"{_problem_text(problem)} on {machine}" if machine else "",
    )


def _problem_text(problem: MatmulProblem) -> str:
    """Return what sets a random matmul apart, in words."""
    told = [problem.name]
    if problem.bias_address is not None:
        told.append("with bias")
    if problem.c_full:
        told.append("int32")
    if problem.a.row_stride_bytes != problem.k:
        told.append(f"rows of A {problem.a.row_stride_bytes} bytes apart")
    return " ".join(told)


def _grouped(rows: Sequence[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Return rows by a key, in the order of its first appearance."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _rank(rows: Sequence[Row]) -> float:
    return spearman([row.simulated for row in rows], [row.estimated for row in rows])


def _score(label: str, rows: Sequence[Row], rank: float) -> SampleScore:
    errors = [row.error for row in rows]
    return SampleScore(
        label=label,
        rows=len(rows),
        median=median(map(abs, errors)),
        mean=fmean(map(abs, errors)),
        high=float(np.quantile(np.abs(errors), 0.95)),
        worst=max(errors, key=abs),
        bias=math.expm1(fmean(math.log(row.estimated / row.simulated) for row in rows)),
        spearman=rank,
    )


def text(agreement: Agreement) -> str:
    """The comparison as printed: a table by shape, the gates, and what was sampled."""
    table: list[Sequence[str]] = [
        ("estimate against simulation", "rows", "median", "mean", "95 %", "worst", "bias", "rank")
    ]
    table += [_cells(score) for score in (*agreement.shapes, agreement.overall, agreement.searched)]
    gates = [((gate.figure, gate.found, gate.bound), gate.holds) for gate in agreement.gates]
    sampling, known = agreement.sampling, sum(not row.machine for row in agreement.rows)
    return "\n".join(
        [
            *columns(table, rules=(1, len(table) - 2), right=range(1, 8)),
            "",
            *gate_table(("gate", "found", "bound"), gates),
            "",
            "the worst of them:",
            *(line for row in _worst(agreement.rows) for line in _told(row)),
            "",
            f"{known} mappings of models, uniform over the {agreement.affordable:,} of {agreement.legal:,} legal "
            f"ones whose simulation takes about {sampling.most_seconds:g} CPU s",
            f"at most, and {len(agreement.rows) - known} of random matmuls on random machines; caches cold and, for "
            f"every second one, as a run of it left them; seed {sampling.seed}",
            "left out, because those are too few of theirs: " + (", ".join(agreement.left_out) or "none"),
        ]
    )


def _worst(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: -abs(row.error))[:WORST_SHOWN]


def _told(row: Row) -> list[str]:
    """Return a row as lines: its error, what bounds it, and how to ask for it."""
    loop = row.loop
    tile = "x".join(map(str, loop.tiles))
    caches, memories = "warm" if row.warm else "cold", "in halves" if loop.double_buffered else "in whole memories"
    return [
        f"{100 * row.error:+.1f} %  {row.estimated:,} against {row.simulated:,}, {row.shape}, tile of {tile} blocks "
        f"{memories}, {loop.order}, {caches}, bound by {row.bounds}",
        *([f"    {row.machine}"] if row.machine else []),
    ]


def as_dict(agreement: Agreement) -> dict[str, object]:
    """The comparison as plain data."""
    return {
        "schema": SCHEMA,
        "seed": agreement.sampling.seed,
        "legal": agreement.legal,
        "affordable": agreement.affordable,
        "left_out": list(agreement.left_out),
        "scores": [asdict(score) for score in (*agreement.shapes, agreement.overall, agreement.searched)],
        "gates": [asdict(gate) for gate in agreement.gates],
        "rows": [
            {
                "shape": row.shape,
                "tile_blocks": list(row.loop.tiles),
                "order": row.loop.order,
                "double_buffered": row.loop.double_buffered,
                "held": sorted(row.loop.held),
                "warm": row.warm,
                "machine": row.machine,
                "bound": row.bounds,
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
        f"{100 * score.high:.1f} %",
        *signed,
        f"{score.spearman:.3f}",
    )
