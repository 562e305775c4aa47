"""Fuse or not? A product and the normalisation behind it, as one group and as two [1]_.

The study of section 5.5.2 and Figs. 21 and 22 of [1]_: BERT-Base on a 16 x 16 Gemmini with 256 KiB of scratchpad. Its
unfused mapping is the tile of Gemmini's heuristic; its fused one forces the tile to whole rows and grows the rest by
the same heuristic. Beside them stands the best mapping of either that the search finds, settled by simulation.

The paper's latencies are Timeloop's and only differences are given; ours are simulated, on the machine's L2 and DRAM,
which the paper does not state. Scores are those of one head, twelve times.

.. [1] S. Kim et al., Full Stack Optimization of Transformer Inference: a Survey, arXiv 2302.14017.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import hwconfigs
from hwconfigs import EnergyModel, HardwareSpec
from mapper import pipeline
from mapper.errors import MappingError
from mapper.lowering.gemmini_library import auto_tiling
from mapper.mapping.hardware_loop import HardwareLoop, hardware_loop_of
from mapper.mapping.matmul_problem import MatmulProblem
from mapper.mapspace.hardware_loops import MapSpace, nothing_fits
from mapper.result import RunResult
from mapper.search.mapping_result import MappingResult
from mapper.search.strategies import FixedMapping, Strategy
from mapper.settings import RunSettings
from workloads import OpGraph, Tensor, matmul
from workloads.ops import LayerNorm, Softmax

HEADS, HEAD_DIM, CHANNELS, HIDDEN = 12, 64, 768, 3072
"""BERT-Base."""

LENGTHS = (512, 4096)
ACCUMULATORS = (64, 128, 256)
"""Capacities of the accumulator [KiB]."""

MACHINE = "paper_codesign"
SCRATCHPAD = "256 KiB"


@dataclass(frozen=True, slots=True)
class Pair:
    """A product and what normalises its rows."""

    name: str
    kernel: type[Softmax] | type[LayerNorm]
    k: int
    n: int | None
    """None: as many columns as the sequence has tokens."""
    b_axes: tuple[str, str]
    repeat: int
    published: dict[tuple[int, int], float]
    """Change of the pair's latency by fusing it, by tokens and KiB of accumulator [fraction]."""

    def graph(self, seq: int) -> OpGraph:
        """Return the two operators for a number of tokens."""
        n = self.n or seq
        product = matmul("product", seq, self.k, n, b_axes=self.b_axes)  # type: ignore[arg-type]
        out = Tensor("rows", product.output.shape, product.output.dims)
        normal = self.kernel(name="rows", inputs=(product.output,), output=out, rows=seq, cols=n)
        return OpGraph(f"{self.name}, {seq} tokens", [product, normal])


QK = Pair(
    "QK + Softmax", Softmax, HEAD_DIM, None, ("n", "k"), HEADS,
    {(512, 128): -0.78, (512, 256): -0.78, (4096, 256): -0.22},
)  # fmt: skip
W_OUT = Pair("W_out + LayerNorm", LayerNorm, CHANNELS, CHANNELS, ("k", "n"), 1, {(512, 128): +0.83, (512, 256): -0.04})
W_2 = Pair("W2 + LayerNorm", LayerNorm, HIDDEN, CHANNELS, ("k", "n"), 1, {(512, 256): +0.27, (4096, 256): +0.27})
PAIRS = (QK, W_OUT, W_2)

BOTH = "both MHA pairs"
PUBLISHED_BOTH = {(512, 128): -0.23, (512, 256): -0.52, (4096, 256): -0.21}
"""Section 5.5.2 and Figs. 21 and 22 of [1]_, as are the others."""


@dataclass(frozen=True, slots=True)
class Fused:
    """A pair as two operators and as one group [cycles]."""

    product: int
    kernel: int
    fused: int | None
    """None: no tile holds whole rows."""
    fused_tile: int | None = None
    """The product alone, on the tile of the fused group."""

    @property
    def unfused(self) -> int:
        """Both operators, one after the other."""
        return self.product + self.kernel

    @property
    def effect(self) -> float | None:
        """Change of the latency by fusing [fraction]."""
        return None if self.fused is None else self.fused / self.unfused - 1.0

    def __add__(self, other: Fused) -> Fused:
        whole = None if self.fused is None or other.fused is None else self.fused + other.fused
        tiles = None if self.fused_tile is None or other.fused_tile is None else self.fused_tile + other.fused_tile
        return Fused(self.product + other.product, self.kernel + other.kernel, whole, tiles)


@dataclass(frozen=True, slots=True)
class Entry:
    """One pair, or both of an attention layer, for one length and accumulator."""

    name: str
    seq: int
    accumulator_kib: int
    published: float | None
    heuristic: Fused
    """The tiles of the paper: the heuristic's, and forced to whole rows."""
    best: Fused
    """The best mapping of either that was found."""
    refused: str = ""
    """Why there is no fused group."""


def machine(accumulator_kib: int) -> HardwareSpec:
    """Return the machine of the study."""
    changes = {"scratchpad.capacity": SCRATCHPAD, "accumulator.capacity": f"{accumulator_kib} KiB"}
    return hwconfigs.load(MACHINE, changes)


def heuristic(problem: MatmulProblem, spec: HardwareSpec, prices: EnergyModel) -> MappingResult:
    """Return the tile of Gemmini's heuristic, of whole rows if the problem needs them: in halves, or if none of those
    holds a row of tiles, in the whole memories.

    Raises
    ------
    MappingError
        When neither fits.
    """
    del prices
    space = MapSpace(problem, spec)
    for whole in (False, True):
        tiling = auto_tiling(problem.m, problem.k, problem.n, spec, whole_rows=problem.whole_rows, whole_memory=whole)
        loop = space.holding(HardwareLoop(tiling.i, tiling.k, tiling.j, "mnk", not whole))
        if not space.violations(loop):
            return MappingResult(space.nest(loop), "the tile of Gemmini's heuristic")
    raise nothing_fits(space)


def run(lengths: Sequence[int] = LENGTHS, accumulators: Sequence[int] = ACCUMULATORS) -> Iterator[Entry]:
    """Yield every pair for every length and accumulator, each as soon as it is simulated."""
    for seq in lengths:
        for kib in accumulators:
            entries = []
            for pair in PAIRS:
                entries.append(entry(pair, seq, kib))
                yield entries[-1]
            scores, projection, _ = entries
            yield Entry(
                BOTH, seq, kib, PUBLISHED_BOTH.get((seq, kib)), scores.heuristic + projection.heuristic,
                scores.best + projection.best, scores.refused or projection.refused,
            )  # fmt: skip


def entry(pair: Pair, seq: int, kib: int) -> Entry:
    """Return one pair for a number of tokens and KiB of accumulator."""
    graph, spec = pair.graph(seq), machine(kib)
    published = pair.published.get((seq, kib))
    parts = [_compared(pair, graph, spec, strategy) for strategy in (heuristic, None)]
    (tiles, refused), (best, _) = parts
    return Entry(pair.name, seq, kib, published, tiles, best, refused)


def _compared(pair: Pair, graph: OpGraph, spec: HardwareSpec, strategy: Strategy | None) -> tuple[Fused, str]:
    """Return a pair both ways, and why it cannot be fused, with all mappings found by one strategy."""

    def run_cut(*groups: Sequence[str]) -> RunResult:
        return pipeline.run_graph(graph, spec, RunSettings(), strategy=strategy, cut=groups)

    product, kernel = run_cut(("product",), ("rows",)).simulation.by_op
    try:
        fused = run_cut(("product", "rows"))
    except MappingError as problem:
        return Fused(pair.repeat * product.cycles, pair.repeat * kernel.cycles, None), " ".join(str(problem).split())
    alone = _on_tile(graph, spec, hardware_loop_of(fused.mappings["product"]))
    return (
        Fused(
            pair.repeat * product.cycles,
            pair.repeat * kernel.cycles,
            pair.repeat * fused.simulation.cycles,
            pair.repeat * alone,
        ),
        "",
    )


def _on_tile(graph: OpGraph, spec: HardwareSpec, loop: HardwareLoop) -> int:
    """Cycles of the product alone, int8 results, on a given tile."""
    product = graph.operator("product")
    nest = loop.nest(("product",), product.dims, spec.name, spec.array.rows)
    alone = OpGraph("product", [product])
    return pipeline.run_graph(alone, spec, RunSettings(), strategy=FixedMapping(nest)).simulation.cycles
