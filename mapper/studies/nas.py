"""Networks between BERT and nothing: a space of encoders and what each costs, from a table of operators [1]_.

The space of section 6.4 of [1]_: up to six layers, a width for all of them, heads and hidden channels of each layer on
their own. A head has 64 channels whatever the width, for 672 channels cannot be cut into 10 heads. Any of the 3.7e12
networks is a sum over 284 operators, each simulated once, alone on cold caches, on the mapping that the estimate
proves the best.

.. [1] S. Kim et al., Full Stack Optimization of Transformer Inference: a Survey, arXiv 2302.14017.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import hwconfigs
import workloads
from hwconfigs import HardwareSpec
from mapper.compiler import Compiler
from mapper.evaluation.evaluate import Evaluator
from mapper.graph.dram_layout import lay_out
from mapper.graph.fusion_cuts import fusion_groups
from mapper.graph.fusion_group import FusionGroup, writers_of_wide_inputs
from mapper.search.options import SearchOptions
from mapper.search.strategies import SearchStrategy
from simulator.memory.request_stream import MemoryState
from workloads import OpGraph

LAYERS = (3, 4, 5, 6)
HEADS = (4, 6, 8, 10, 12)
WIDTHS = tuple(range(384, 769, 96))
HIDDEN = tuple(range(768, 3073, 128))
HEAD_DIM, TOKENS = 64, 512
MACHINE = "paper_codesign"
"""64 KiB of scratchpad and 256 KiB of accumulator, with units for softmax, LayerNorm and GELU."""


@dataclass(frozen=True, slots=True)
class EncoderLayer:
    """What a layer may choose."""

    heads: int
    hidden: int


@dataclass(frozen=True, slots=True)
class Encoder:
    """One point of the space."""

    width: int
    layers: tuple[EncoderLayer, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one pass over `TOKENS` tokens."""
        return sum(
            TOKENS * (4 * self.width * HEAD_DIM * layer.heads + 2 * self.width * layer.hidden)
            + 2 * layer.heads * HEAD_DIM * TOKENS**2
            for layer in self.layers
        )

    @property
    def parameters(self) -> int:
        """Weights of its products."""
        return sum(self.width * (4 * HEAD_DIM * layer.heads + 2 * layer.hidden) for layer in self.layers)

    @property
    def choices(self) -> tuple[str, ...]:
        """What was chosen, as an objective file names it."""
        chosen = [f"layers={len(self.layers)}", f"width={self.width}"]
        for layer in self.layers:
            chosen += [f"heads={layer.heads}", f"hidden={layer.hidden}"]
        return tuple(chosen)

    def describe(self) -> str:
        """Return heads and hidden channels of each layer behind the width: ``672: 12x1280 6x1280``."""
        return f"{self.width}: " + " ".join(f"{layer.heads}x{layer.hidden}" for layer in self.layers)


BASELINE = Encoder(768, (EncoderLayer(12, 3072),) * 6)
EXAMPLE = Encoder(
    672,
    tuple(map(EncoderLayer, (12, 6, 12, 8, 10, 6), (1280, 1280, 2560, 768, 2048, 1024))),
)
"""The network of least EDP that loses at most 0.1 of perplexity; Table 9 of [1]_."""

Key: TypeAlias = tuple[str, ...]
"""An operator of the table: its role and the sizes that decide its cost, as texts."""


@dataclass(frozen=True, slots=True)
class Price:
    """What an operator, or a network, costs."""

    cycles: int
    energy_pj: float
    estimated_cycles: int
    estimated_pj: float

    def __add__(self, other: Price) -> Price:
        return Price(
            self.cycles + other.cycles, self.energy_pj + other.energy_pj,
            self.estimated_cycles + other.estimated_cycles, self.estimated_pj + other.estimated_pj,
        )  # fmt: skip

    @property
    def edp(self) -> float:
        """Energy-delay product [pJ cycles]."""
        return self.energy_pj * self.cycles


FREE = Price(0, 0.0, 0, 0.0)

BY_HEADS, BY_WIDTH, BY_HIDDEN = ("scores", "context", "softmax"), ("attention_add", "attention_norm"), ("gelu",)
BY_WIDTH_AND_HEADS, BY_WIDTH_AND_HIDDEN = ("qkv", "out"), ("ffn1", "ffn2")
"""Roles by what decides their cost. ``qkv`` are three products, ``ffn1`` has its GELU in the stores."""


def operators() -> tuple[Key, ...]:
    """Return every operator of the table."""
    found: list[Key] = []
    found += [(role, f"heads={heads}") for role in BY_HEADS for heads in HEADS]
    found += [(role, f"width={width}") for role in BY_WIDTH for width in WIDTHS]
    found += [(role, f"hidden={hidden}") for role in BY_HIDDEN for hidden in HIDDEN]
    pairs = [(role, width, f"heads={heads}") for role in BY_WIDTH_AND_HEADS for width in WIDTHS for heads in HEADS]
    pairs += [(role, width, f"hidden={hid}") for role in BY_WIDTH_AND_HIDDEN for width in WIDTHS for hid in HIDDEN]
    return (*found, *((role, f"width={width}", other) for role, width, other in pairs))


def of_network(network: Encoder) -> Iterator[tuple[Key, int]]:
    """Yield the operators of a network and how often each runs."""
    width = f"width={network.width}"
    for layer in network.layers:
        heads, hidden = f"heads={layer.heads}", f"hidden={layer.hidden}"
        yield from (((role, heads), 1) for role in BY_HEADS)
        yield from (((role, width), 2) for role in BY_WIDTH)
        yield from (((role, hidden), 1) for role in BY_HIDDEN)
        yield from (((role, width, heads), 1) for role in BY_WIDTH_AND_HEADS)
        yield from (((role, width, hidden), 1) for role in BY_WIDTH_AND_HIDDEN)


def cost(network: Encoder, table: Mapping[Key, Price]) -> Price:
    """Return what a network costs by the table.

    Raises
    ------
    KeyError
        For an operator that the table has not.
    """
    total = FREE
    for key, times in of_network(network):
        for _ in range(times):
            total += table[key]
    return total


def block(width: int, heads: int, hidden: int) -> OpGraph:
    """Return the graph of one layer."""
    sizes = {"d_model": width, "heads": heads, "head_dim": HEAD_DIM, "d_ffn": hidden, "layers": 1}
    return workloads.build("bert-base", seq=TOKENS, overrides=sizes)


class ColdCosts:
    """Prices groups of operators one by one, each alone on cold caches.

    Parameters
    ----------
    spec
        The machine.
    """

    def __init__(self, spec: HardwareSpec | None = None) -> None:
        self.spec = hwconfigs.load(MACHINE) if spec is None else spec
        self._prices = hwconfigs.load_energy(self.spec.energy).bind(self.spec)
        strategy = SearchStrategy(options=SearchOptions(finalists=0))
        self._compiler = Compiler(self.spec, self._prices, lay_out(()), strategy)

    def layer(self, width: int, heads: int, hidden: int) -> Price:
        """Return the sum over all groups of a layer's graph."""
        total = FREE
        groups = fusion_groups(block(width, heads, hidden), self.spec)
        for group in groups:
            total += self.group(group, groups)
        return total

    def entry(self, key: Key) -> Price:
        """Return one entry of the table."""
        role, sizes = key[0], dict(size.split("=") for size in key[1:])
        if role in BY_HIDDEN:
            return FREE
        graph = block(
            int(sizes.get("width", WIDTHS[0])), int(sizes.get("heads", HEADS[0])), int(sizes.get("hidden", HIDDEN[0]))
        )
        name = "q" if role == "qkv" else role
        groups = fusion_groups(graph, self.spec)
        (group,) = (group for group in groups if group.name == name)
        price = self.group(group, groups)
        return price + price + price if role == "qkv" else price

    def group(self, group: FusionGroup, others: Sequence[FusionGroup]) -> Price:
        """Return what one of some groups costs, estimated and simulated."""
        alone = self._compiler.laid_out([*writers_of_wide_inputs(group, others), group])
        alone.search([group])
        evaluator = Evaluator(self.spec, self._prices, spans=False, exact=False, memory=MemoryState(self.spec))
        alone.settle(group, evaluator)
        found = evaluator.run(group, alone.lower(group))
        measured, expected = found.simulation, found.estimate
        return Price(measured.cycles, measured.energy_pj, expected.cycles, expected.energy_pj)
