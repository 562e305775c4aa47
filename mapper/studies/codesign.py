"""From host kernels to a co-designed accelerator, rung by rung: the case study of [1]_, section 3.4.

BERT-Base with 512 tokens. The baseline leaves softmax, LayerNorm and GELU to the host core; then units for them are
added, the same SRAM is split anew between scratchpad and accumulator, products are fused with what normalises their
rows, and the search of this project takes the place of Gemmini's library. Beside the ladder stands the utilisation of
the matrix products for nine splits of the memories (Fig. 13), with the library's tile and with the best one found.

The paper measured RTL whose L2, DRAM and core it does not tell; those here are the ones of the default Gemmini build.

.. [1] S. Kim et al., Full Stack Optimization of Transformer Inference: a Survey, arXiv 2302.14017.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import hwconfigs
import workloads
from hwconfigs import EnergyModel, HardwareSpec
from mapper import pipeline
from mapper.settings import BEST_CUT, LIBRARY_CUT, UNFUSED, RunSettings
from simulator.report import Report
from workloads import OpGraph
from workloads.ops import Add, Gelu, LayerNorm, Matmul, Softmax

MODEL, TOKENS = "bert-base", 512
BASELINE, CODESIGN = "paper_baseline", "paper_codesign"
LIBRARY_TILE, SEARCHED = "gemmini_auto", "optimal"
CAPACITIES = (64, 128, 256)
"""Of scratchpad and accumulator [KiB]."""

PUBLISHED_SPEEDUP = 39.6
"""End to end, of the design with units, new split and fusion over the baseline."""

PUBLISHED_GRID = {
    (64, 64): 0.66, (128, 64): 0.71, (256, 64): 0.69,
    (64, 128): 0.91, (128, 128): 0.91, (256, 128): 0.88,
    (64, 256): 0.91, (128, 256): 0.91, (256, 256): 0.90,
}  # fmt: skip
"""Fig. 13: utilisation of the matrix products, by KiB of scratchpad and of accumulator."""

KINDS = (Matmul.kind, Softmax.kind, LayerNorm.kind, Gelu.kind, Add.kind)
"""Kinds of operators in the shares; what is fused into a product counts as product."""

PUBLISHED_SHARES = {
    "baseline": {Matmul.kind: 0.01, Softmax.kind: 0.19, LayerNorm.kind: 0.04, Gelu.kind: 0.10, Add.kind: 0.11},
    "+ fusion": {Matmul.kind: 0.87, Softmax.kind: 0.03, LayerNorm.kind: 0.07, Add.kind: 0.04},
}
"""Fig. 14 at 512 tokens. Of the baseline, 49 % more are dequantisation and quantisation, which ours has in each
kernel; which of 1, 4 and 11 % belongs to what is uncertain in the print."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One design of the ladder."""

    name: str
    machine: str
    fusion: str
    search: str
    changes: Mapping[str, str] = field(default_factory=dict)


LADDER = (
    Rung("baseline", BASELINE, UNFUSED, LIBRARY_TILE),
    Rung(
        "+ units", CODESIGN, UNFUSED, LIBRARY_TILE,
        {"scratchpad.capacity": "256 KiB", "accumulator.capacity": "64 KiB"},
    ),
    Rung("+ re-split", CODESIGN, UNFUSED, LIBRARY_TILE),
    Rung("+ fusion", CODESIGN, LIBRARY_CUT, LIBRARY_TILE),
    Rung("+ our mapper", CODESIGN, BEST_CUT, SEARCHED),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Design:
    """A rung as it was simulated."""

    name: str
    report: Report
    area_mm2: float | None
    kinds: Mapping[str, str]
    """Kind of each operator by its name."""

    @property
    def matmul_utilisation(self) -> float:
        """Of the operators that multiply, with what is fused into them."""
        return utilisation(self.report)

    @property
    def shares(self) -> dict[str, float]:
        """Share of the cycles by kind."""
        cycles = dict.fromkeys(KINDS, 0)
        for part in self.report.by_op:
            cycles[self.kinds[part.name]] += part.cycles
        return {kind: number / sum(cycles.values()) for kind, number in cycles.items()}

    @property
    def outside_matmul(self) -> float:
        """Share of the cycles outside matrix products."""
        return 1.0 - self.shares["matmul"]

    @property
    def vector_share(self) -> float:
        """Share of the energy that the units for nonlinear operators take."""
        return self.report.energy_pj_by_unit.get("vector", 0.0) / self.report.energy_pj


@dataclass(frozen=True, slots=True)
class Split:
    """The matrix products on one split of the memories."""

    scratchpad_kib: int
    accumulator_kib: int
    library: Report
    best: Report

    @property
    def published(self) -> float | None:
        """Utilisation of Fig. 13."""
        return PUBLISHED_GRID.get((self.scratchpad_kib, self.accumulator_kib))


@dataclass(frozen=True, slots=True)
class SlowMemory:
    """The products with half of the DRAM's bandwidth, `CAPACITIES[0]` KiB of scratchpad and the library's tile."""

    accumulator_kib: int
    library: Report


@dataclass(slots=True)
class Findings:
    """What was simulated so far."""

    tokens: int
    steps: list[Design] = field(default_factory=list)
    cells: list[Split] = field(default_factory=list)
    slow: list[SlowMemory] = field(default_factory=list)

    def step(self, name: str) -> Design | None:
        """Return a rung by name; None if it was not reached."""
        return next((step for step in self.steps if step.name == name), None)

    def cell(self, scratchpad_kib: int, accumulator_kib: int) -> Split | None:
        """Return a cell of the grid; None if it was not reached."""
        sizes = scratchpad_kib, accumulator_kib
        return next((cell for cell in self.cells if (cell.scratchpad_kib, cell.accumulator_kib) == sizes), None)


def utilisation(report: Report) -> float:
    """Return MACs over those possible while operators that multiply run."""
    products = [part for part in report.by_op if part.macs]
    cycles = sum(part.cycles for part in products)
    return sum(part.macs for part in products) / (report.peak_macs_per_cycle * cycles) if cycles else 0.0


def run(
    found: Findings,
    rungs: Sequence[Rung] = LADDER,
    capacities: Sequence[int] = CAPACITIES,
    *,
    finalists: int | None = None,
    model: str | Mapping[str, object] = MODEL,
) -> Iterator[str]:
    """Simulate the ladder, then the grid; yield the name of each point behind which ``found`` has grown.

    ``finalists`` is that of `RunSettings` for the last rung; in the grid the estimate alone decides.
    """
    graph = workloads.build(model, seq=found.tokens)
    for rung in rungs:
        found.steps.append(_climbed(rung, graph, finalists))
        yield rung.name
    products = OpGraph("products", [op for op in graph.operators if op.macs])
    for accumulator in capacities:
        for scratchpad in capacities:
            found.cells.append(_cell(products, scratchpad, accumulator))
            yield f"{scratchpad} + {accumulator} KiB"
        found.slow.append(SlowMemory(accumulator, _library(products, CAPACITIES[0], accumulator, share=0.5)))
        yield f"slow memory, {accumulator} KiB"


def _climbed(rung: Rung, graph: OpGraph, finalists: int | None) -> Design:
    spec = hwconfigs.load(rung.machine, dict(rung.changes))
    ranked = finalists if rung.search == SEARCHED else None
    settings = RunSettings(search=rung.search, fusion=rung.fusion, finalists=ranked)
    report = pipeline.run_graph(graph, spec, settings).simulation
    kinds = {op.name: "matmul" if op.macs else op.kind for op in graph.operators}
    return Design(rung.name, report, _area(spec), kinds)


def _area(spec: HardwareSpec) -> float | None:
    prices: EnergyModel = hwconfigs.load_energy(spec.energy).bind(spec)
    return None if prices.silicon is None else prices.silicon.area_mm2


def _cell(products: OpGraph, scratchpad: int, accumulator: int) -> Split:
    library = _library(products, scratchpad, accumulator)
    best = pipeline.run_graph(products, _split(scratchpad, accumulator), RunSettings(finalists=0)).simulation
    return Split(scratchpad, accumulator, library, best)


def _library(products: OpGraph, scratchpad: int, accumulator: int, share: float = 1.0) -> Report:
    """Return the products on the library's tiles, with a share of the DRAM's bandwidth."""
    spec = _split(scratchpad, accumulator)
    slower = hwconfigs.override(spec, {"dram.bytes_per_cycle": share * spec.dram.bytes_per_cycle})
    return pipeline.run_graph(products, slower, RunSettings(search=LIBRARY_TILE)).simulation


def _split(scratchpad: int, accumulator: int) -> HardwareSpec:
    changes = {"scratchpad.capacity": f"{scratchpad} KiB", "accumulator.capacity": f"{accumulator} KiB"}
    return hwconfigs.load(BASELINE, changes)
