"""What softmax, LayerNorm and GELU take on the host, on units of their own, and behind a product in one group [1]_.

BERT-Base, 128 to 4,096 tokens. On the host an operator takes cycles per element that are estimates; a unit reads every
row in passes from the accumulator, where int32 sums are loaded first; in one group with its product the sums are there
already, and what the operator takes is what the group takes longer than the product alone on its best tile. GELU needs
no whole row: alone it streams through the accumulator, fused the stores of its product apply it.

.. [1] S. Kim et al., Full Stack Optimization of Transformer Inference: a Survey, arXiv 2302.14017, sections 2.1.1 and
   3.4.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import hwconfigs
from mapper import pipeline
from mapper.errors import MappingError
from mapper.settings import RunSettings
from mapper.studies.fusion import CHANNELS, HEAD_DIM, HEADS, HIDDEN
from workloads import OpGraph, Tensor, matmul
from workloads.ops import Gelu, LayerNorm, Softmax

LENGTHS = (128, 256, 512, 1024, 2048, 4096)
HOST, UNITS = "paper_baseline", "paper_codesign"

PAPER_SOFTMAX = 0.89
"""Cycles of a score at 512 tokens, derived: the softmax takes 3.55 times its product in the fusion study of [1]_, and
that 0.79 million cycles at the array's full rate."""


@dataclass(frozen=True, slots=True)
class Nonlinear:
    """A nonlinear operator behind its product, in one layer of BERT-Base."""

    name: str
    kernel: type[Softmax] | type[LayerNorm] | type[Gelu]
    k: int
    n: int | None
    """None: as many columns as there are tokens."""
    repeat: int

    def graph(self, tokens: int) -> OpGraph:
        """Return product and operator."""
        n = self.n or tokens
        product = matmul("product", tokens, self.k, n, b_axes=("n", "k") if self.n is None else ("k", "n"))
        out = Tensor("rows", product.output.shape, product.output.dims)
        operator = self.kernel(name="rows", inputs=(product.output,), output=out, rows=tokens, cols=n)
        return OpGraph(f"{self.name}, {tokens} tokens", [product, operator])


OPERATORS = (
    Nonlinear("softmax", Softmax, HEAD_DIM, None, HEADS),
    Nonlinear("LayerNorm", LayerNorm, CHANNELS, CHANNELS, 1),
    Nonlinear("GELU", Gelu, CHANNELS, HIDDEN, 1),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """An operator at one length [cycles]."""

    name: str
    tokens: int
    elements: int
    product: int
    host: int
    unit: int | None
    """None: no unit runs it without its product."""
    fused: int | None
    """What the group takes longer than the product alone; None: no tile holds whole rows."""
    refused: str = ""

    def per_element(self, cycles: int | None) -> float | None:
        """Return cycles of one element."""
        return None if cycles is None else cycles / self.elements


@dataclass(slots=True)
class NonlinearTimes:
    """What was simulated so far."""

    rows: list[Measured] = field(default_factory=list)


def run(found: NonlinearTimes, lengths: Sequence[int] = LENGTHS) -> Iterator[str]:
    """Simulate every operator at every length; yield the name of each step."""
    for tokens in lengths:
        for operator in OPERATORS:
            found.rows.append(_measured(operator, tokens))
            yield f"{operator.name}, {tokens} tokens"


def _measured(operator: Nonlinear, tokens: int) -> Measured:
    graph, settings = operator.graph(tokens), RunSettings(finalists=0)
    apart, together = (("product",), ("rows",)), (("product", "rows"),)
    units = hwconfigs.load(UNITS)
    on_host = pipeline.run_graph(graph, hwconfigs.load(HOST), settings, cut=apart).simulation.by_op[1]
    unfused = pipeline.run_graph(graph, units, settings, cut=apart)
    alone = OpGraph("product", [graph.operator("product")])
    product = pipeline.run_graph(alone, units, settings).simulation.cycles
    unit = None if unfused.group("rows").unit == "host" else unfused.simulation.by_op[1].cycles
    times, elements = operator.repeat, operator.repeat * graph.operator("rows").output.elements
    try:
        group = pipeline.run_graph(graph, units, settings, cut=together).simulation.cycles
    except MappingError as problem:
        fused, refused = None, " ".join(str(problem).split())
    else:
        fused, refused = times * (group - product), ""
    return Measured(
        operator.name, tokens, elements, times * product, times * on_host.cycles,
        None if unit is None else times * unit, fused, refused,
    )  # fmt: skip
