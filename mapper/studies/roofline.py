"""Arithmetic intensities and the analytic latencies of [1]_: Table 5 and Fig. 32, by its section 3.3 and appendix A.5.

The paper's analytic machine moves int8 operands over two links, 64 bytes per cycle between DRAM and L2 and 16 between
L2 and the local memories; an operator takes the longer of its products and its traffic, nothing is fused, and what
stands in front of a nonlinear operator has 32 bits. Its tiles read operands more than once; the factors of Table 5 are
data here, for the paper does not state the rule that they follow.

Beside them stands what this simulator moves over the DRAM port of a machine with the same memories.

.. [1] S. Kim et al., Full Stack Optimization of Transformer Inference: a Survey, arXiv 2302.14017.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import hwconfigs
import workloads
from hwconfigs import HardwareSpec
from mapper import pipeline
from mapper.settings import RunSettings
from workloads import Operator, OpGraph

LENGTHS = (128, 512, 4096)
"""Of Table 5 [tokens]."""

FIGURE_LENGTHS = (128, 256, 512, 1024, 2048, 4096)
"""Of Fig. 32 [tokens]."""

SIMULATED = (128, 512)

MACHINE = "paper_baseline"
MEMORIES = {
    "scratchpad.capacity": "256 KiB", "accumulator.capacity": "128 KiB", "l2.capacity": "2 MiB",
    "dram.bytes_per_cycle": 64,
}  # fmt: skip
"""Fig. 11 of the paper; what it does not tell is that of `MACHINE`."""

PEAK_FLOPS = 512
"""A 16 x 16 array, per cycle."""

DRAM_LINK, LOCAL_LINK = 64, 16
"""Fig. 11 [bytes/cycle]."""

IN_SERIES = 1.0 / (1.0 / DRAM_LINK + 1.0 / LOCAL_LINK)
"""Bytes per cycle if every byte passes one link after the other, which the latencies of Fig. 32 follow; the overlap
that the text claims would be 16."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One operator of Table 5."""

    name: str
    operator: str
    """Its name in the graph of a block."""
    published: Mapping[int, float]
    """FLOP per byte by number of tokens."""
    first_reads: Mapping[int, int]
    """How often the first operand is read, by number of tokens."""
    result_bytes: int
    """Of an element."""


def _always(factor: int) -> dict[int, int]:
    return dict.fromkeys(LENGTHS, factor)


TABLE = (
    TableRow("WQ, WK, WV", "q", {128: 170.670, 512: 341.333, 4096: 409.6}, _always(2), 1),
    TableRow("QK", "scores", {128: 25.400, 512: 29.882, 4096: 30.788}, {128: 1, 512: 1, 4096: 4}, 4),
    TableRow("score-V", "context", {128: 63.750, 512: 102.300, 4096: 118.710}, _always(1), 1),
    TableRow("W_out", "out", {128: 128.000, 512: 204.800, 4096: 227.556}, _always(2), 4),
    TableRow("W1", "ffn1", {128: 130.723, 512: 211.862, 4096: 236.308}, _always(7), 4),
    TableRow("W2", "ffn2", {128: 186.182, 512: 409.6, 4096: 512.000}, _always(2), 1),
)
"""W2 has one byte for each result, against the text, which has 32 bits in front of LayerNorm."""

SECOND_READS = {128: 1, 512: 1, 4096: 4}
"""How often weights, or the second operand, are read: as if the tokens were cut into tiles of 1,024."""

PUBLISHED_TOTALS = {128: 106.110, 512: 111.122, 4096: 47.067}

FIGURE_32 = {
    "bert-base": (1, 2, 5, 11, 28, 80),
    "gpt2": (18, 37, 75, 159, 352, 840),
    "bert-large": (3, 7, 14, 33, 82, 229),
}
"""Latencies in units of BERT-Base with 128 tokens, as printed."""

FITTING_D_FFN = 3584
"""Width of BERT-Large with which the FLOPs of the paper's Figs. 4 to 6 are met; its Table 1 says 4096."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """An operator, or a block, at one length [FLOP/byte]."""

    name: str
    tokens: int
    published: float
    ours: float

    @property
    def error(self) -> float:
        """(ours - published) / published."""
        return self.ours / self.published - 1.0


@dataclass(frozen=True, slots=True)
class Latency:
    """A model at one length, in units of BERT-Base with 128 tokens."""

    model: str
    tokens: int
    published: int
    ours: float

    @property
    def is_printed(self) -> bool:
        """Whether ours would be printed like the paper's."""
        return abs(self.ours - self.published) <= 0.5

    @property
    def error(self) -> float:
        """(ours - published) / published."""
        return self.ours / self.published - 1.0


@dataclass(frozen=True, slots=True)
class SimulatedProduct:
    """What one operator of a block does over the DRAM port of the simulated machine."""

    name: str
    tokens: int
    flops: int
    dram_bytes: int
    cycles: int

    @property
    def intensity(self) -> float:
        """FLOP per byte of DRAM traffic; infinite if all comes from the caches."""
        return self.flops / self.dram_bytes if self.dram_bytes else math.inf

    @property
    def flops_per_cycle(self) -> float:
        """What the array reached."""
        return self.flops / self.cycles


@dataclass(slots=True)
class Roofs:
    """What was computed so far."""

    intensities: list[Intensity] = field(default_factory=list)
    totals: list[Intensity] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    simulated: list[SimulatedProduct] = field(default_factory=list)


def run(found: Roofs, simulated: Sequence[int] = SIMULATED) -> Iterator[str]:
    """Compute Table 5 and Fig. 32, then simulate a block for each length; yield the name of each step."""
    for tokens in LENGTHS:
        graph = workloads.build("bert-base", seq=tokens)
        found.intensities += [_intensity(row, graph, tokens) for row in TABLE]
        found.totals.append(_total(graph, tokens))
    yield "Table 5"
    unit = encoder_cycles("bert-base", FIGURE_LENGTHS[0])
    for model, printed in FIGURE_32.items():
        for tokens, value in zip(FIGURE_LENGTHS, printed, strict=True):
            cycles = decoder_cycles(model, tokens) if model == "gpt2" else encoder_cycles(model, tokens)
            found.latencies.append(Latency(model, tokens, value, cycles / unit))
    yield "Fig. 32"
    for tokens in simulated:
        found.simulated += _simulated(tokens, hwconfigs.load(MACHINE, dict(MEMORIES)))
        yield f"simulated, {tokens} tokens"


def _intensity(row: TableRow, graph: OpGraph, tokens: int) -> Intensity:
    op = graph.operator(row.operator)
    return Intensity(row.name, tokens, row.published[tokens], paper_flops(op) / _moved(row, op, tokens))


def paper_flops(op: Operator) -> int:
    """Return the operations of one product as the paper counts: 2 k per result for weights, 2 k - 1 for activations."""
    m, k, n = (op.dims[dim] for dim in "mkn")
    return m * n * (2 * k - (op.inputs[1].role != "weight"))


def _moved(row: TableRow, op: Operator, tokens: int) -> int:
    m, k, n = (op.dims[dim] for dim in "mkn")
    return row.first_reads[tokens] * m * k + SECOND_READS[tokens] * k * n + row.result_bytes * m * n


def _total(graph: OpGraph, tokens: int) -> Intensity:
    """Return the intensity of a whole block, with what is no product."""
    counts = {"q": 3}
    ops = [(row, graph.operator(row.operator)) for row in TABLE]
    flops = sum(counts.get(op.name, op.repeat) * paper_flops(op) for _, op in ops)
    moved = sum(counts.get(op.name, op.repeat) * _moved(row, op, tokens) for row, op in ops)
    heads, width = graph.operator("scores").repeat, graph.operator("q").dims["k"]
    flops += 4 * heads * tokens**2 + 58 * width * tokens
    return Intensity("block", tokens, PUBLISHED_TOTALS[tokens], flops / (moved + _other_bytes(heads, width, tokens)))


def _other_bytes(heads: int, width: int, tokens: int) -> int:
    """Bytes of softmax, LayerNorm, GELU and residuals: 4 read and 1 written, the residuals 6 in all per channel."""
    return 5 * heads * tokens**2 + 36 * width * tokens


def encoder_cycles(model: str, tokens: int, **changes: int) -> float:
    """Return the analytic latency of an encoder [cycles]; each operand is read once."""
    graph = workloads.build(model, seq=tokens, overrides=changes or None)
    products = [op for op in graph.operators if op.macs]
    cycles = sum(op.repeat * max(_array_cycles(op), _ideal_bytes(op) / IN_SERIES) for op in products)
    heads, width = graph.operator("scores").repeat, graph.operator("q").dims["k"]
    return graph.repeat * (cycles + _other_bytes(heads, width, tokens) / IN_SERIES)


WIDE = ("scores", "out", "ffn1", "ffn2")
"""Products in front of a nonlinear operator, whose results have four bytes."""


def _array_cycles(op: Operator) -> int:
    side = 16
    return math.prod(-(-op.dims[dim] // side) for dim in "mkn") * side


def _ideal_bytes(op: Operator) -> int:
    m, k, n = (op.dims[dim] for dim in "mkn")
    return m * k + k * n + (4 if op.name in WIDE else 1) * m * n


def decoder_cycles(model: str, tokens: int) -> float:
    """Return the analytic latency of generating some tokens one by one [cycles]: the memory bounds every operator."""
    ideal = workloads.generation_totals(model, tokens=tokens, convention="paper")
    graph = workloads.build(model, seq=1)
    heads, width = graph.operator("scores").repeat, graph.operator("q").dims["k"]
    hidden = graph.operator("ffn1").dims["n"]
    wide = 3 * (heads * tokens**2 // 2 + (2 * width + hidden) * tokens)
    other = 5 * heads * tokens**2 // 2 + 36 * width * tokens
    products = ideal["total"].bytes - ideal["other"].bytes
    return (products + graph.repeat * (wide + other)) / IN_SERIES


def _simulated(tokens: int, spec: HardwareSpec) -> list[SimulatedProduct]:
    """Run the products of a block one after another and return what each moved."""
    graph = workloads.build("bert-base", seq=tokens)
    products = OpGraph("products", [op for op in graph.operators if op.macs])
    report = pipeline.run_graph(products, spec, RunSettings(finalists=0)).simulation
    names = {row.operator: row.name for row in TABLE}
    return [
        SimulatedProduct(names[part.name], tokens, 2 * part.macs, part.dram_bytes, part.cycles)
        for part in report.by_op
        if part.name in names
    ]
