"""A Transformer cut over several chips: closed forms of time and volume, no simulation [1]_.

A pass takes the longer of its products and its memory, then its collectives, then a latency for each layer. Links have
one bandwidth and no congestion; pipelines, experts and overlap are left out. What the volume alone says is far too
little in decode, where the latency of each collective rules: without `Chip.layer_s` it is off by three to four times.

.. [1] R. Pope et al., Efficiently Scaling Transformer Inference, arXiv 2211.05102.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Chip:
    """What one chip does in a second."""

    flops: float
    memory_bytes_per_s: float
    link_bytes_per_s: float
    memory_bytes: float
    layer_s: float = 0.0
    """Latency of a layer's collectives, whatever they move."""


TPU_V4 = Chip(275e12, 1200e9, 270e9, 32 * 2**30)
A100 = Chip(312e12, 2039e9, 300e9, 80e9, layer_s=0.17e-3)
"""Memory and products of the data sheet; the latency was fitted to the rows of `STEPS_20B`, which it meets in 3 %."""


@dataclass(frozen=True, slots=True)
class PalmNetwork:
    """A decoder with parallel attention and feed-forward layers, and one head of keys and values (multiquery)."""

    name: str
    layers: int
    width: int
    hidden: int
    heads: int
    head_dim: int = 256
    vocabulary: int = 256_000

    @property
    def parameters(self) -> int:
        """Weights: gated feed-forward layers, queries and output of all heads, one key and value; one embedding."""
        block = 3 * self.width * self.hidden + 2 * self.width * self.heads * self.head_dim
        return self.layers * (block + 2 * self.width * self.head_dim) + self.vocabulary * self.width


PALM = (
    PalmNetwork("PaLM 8B", 32, 4096, 16384, 16),
    PalmNetwork("PaLM 62B", 64, 8192, 32768, 32),
    PalmNetwork("PaLM 540B", 118, 18432, 73728, 48),
    PalmNetwork("PaLM 540B, 64 heads", 118, 18432, 73728, 64),
)
PUBLISHED_BILLIONS = {"PaLM 8B": 8.63, "PaLM 62B": 62.50, "PaLM 540B": 540.35, "PaLM 540B, 64 heads": 558.17}


def gather_seconds(volume_bytes: float, ring: int, link: float) -> float:
    """Return the time of an all-gather that leaves, or a reduce-scatter that takes, so many bytes on each chip."""
    return volume_bytes / link * (ring - 1) / ring


def elements_1d(tokens: int, width: int) -> float:
    """Return what the feed-forward layers of one layer move with weights cut along one axis, per chip [elements]."""
    return 2.0 * tokens * width


def elements_2d(tokens: int, width: int, hidden: int, x: int, yz: int) -> float:
    """Return the same with weights cut along both of their axes [elements]."""
    return 2.0 * tokens * (width / x + hidden / yz)


def elements_gathered(tokens: int, width: int, hidden: int, chips: int, over: int) -> float:
    """Return the same with weights gathered over some of the chips [elements]."""
    return 2.0 * width * hidden * over / chips + 2.0 * tokens * width / over


def best_over(tokens: int, hidden: int, chips: int) -> float:
    """Return how many chips weights are best gathered over."""
    return math.sqrt(tokens * chips / hidden)


def best_x(chips: int) -> float:
    """Return the best cut of the width for ``hidden = 4 width``; the other axis takes 2 sqrt(chips)."""
    return 0.5 * math.sqrt(chips)


def crossovers(width: int, hidden: int, x: int, y: int, z: int) -> tuple[float, float, float]:
    """Return the tokens from which gathering over X beats the 2-D cut, over XY that, and over XYZ that."""
    chips = x * y * z
    groups = (x, x * y, chips)

    def equal(first: int, second: int) -> float:
        """Tokens at which two ways to gather move as much."""
        return hidden * (second - first) / chips / (1 / first - 1 / second)

    gathered = 2.0 * width * hidden * x / chips
    saved = 2.0 * (width / x + hidden / (y * z)) - 2.0 * width / x
    return gathered / saved, equal(groups[0], groups[1]), equal(groups[1], groups[2])


@dataclass(frozen=True, slots=True)
class Utilised:
    """A published run: latency and model FLOPs utilisation."""

    billions: int
    chips: int
    tokens: int
    latency_s: float
    published: float
    name: str

    @property
    def ours(self) -> float:
        """Two FLOPs for each weight and token, over what the chips could have done."""
        return 2e9 * self.billions * self.tokens / (self.latency_s * self.chips * TPU_V4.flops)


RUNS = (
    Utilised(540, 64, 2048, 0.29, 0.43, "prefill, batch 1, int8"),
    Utilised(540, 64, 64 * 64, 1.82, 0.14, "decode 64, batch 64, int8"),
    Utilised(540, 64, 512 * 2048, 85.2, 0.76, "prefill, batch 512, bf16"),
    Utilised(540, 64, 512 * 64, 6.0, 0.33, "decode 64, batch 512, bf16"),
    Utilised(62, 16, 2048, 0.16, 0.36, "prefill, batch 1, int8"),
    Utilised(62, 16, 32 * 64, 0.73, 0.08, "decode 64, batch 32, int8"),
    Utilised(62, 32, 512 * 2048, 20.2, 0.73, "prefill, batch 512, bf16"),
    Utilised(62, 8, 512 * 64, 5.1, 0.37, "decode 64, batch 512, bf16"),
)
"""Tables 2 and 3, as printed."""

MAX_CONTEXT = {
    ("multihead", 128): 1320, ("multihead", 512): 330, ("multiquery over heads", 128): 660,
    ("multiquery over heads", 512): 165, ("multiquery over batch", 128): 43_000, ("multiquery over batch", 512): 10_700,
}  # fmt: skip
"""Longest context with 30 % of the memory of 64 chips for keys and values; Table 1."""


def max_context(attention: str, batch: int, chips: int = 64, share: float = 0.3) -> float:
    """Return the longest context of the 540B model with 64 heads, bf16 [tokens]."""
    network = PALM[3]
    # Multihead attention has heads of 128, to have as many weights; one head of keys and values lies on every chip
    # unless the batch is cut.
    heads, size, copies = {
        "multihead": (network.heads, 128, 1),
        "multiquery over heads": (1, network.head_dim, chips),
        "multiquery over batch": (1, network.head_dim, max(1, chips // min(chips, batch))),
    }[attention]
    each = 2 * network.layers * heads * size * batch * 2 * copies
    return share * chips * TPU_V4.memory_bytes / each


STEPS_20B = {1: 28.05, 2: 17.63, 8: 10.23}
"""Measured ms of a decode step of GPT 20B (44 layers, batch 1, fp16) by GPUs; NVIDIA's FasterTransformer guide."""


def step_seconds(weight_bytes: float, layers: int, chips: int, chip: Chip = A100) -> float:
    """Return the time of a decode step whose weights are cut over some chips, at batch 1."""
    return weight_bytes / (chips * chip.memory_bytes_per_s) + layers * chip.layer_s


WEIGHTS_20B, LAYERS_20B = 40.5e9, 44


@dataclass(frozen=True, slots=True)
class Compared:
    """A published value and ours."""

    table: str
    name: str
    published: float
    ours: float

    @property
    def error(self) -> float:
        """(ours - published) / published."""
        return self.ours / self.published - 1.0


@dataclass(slots=True)
class Partitions:
    """What was computed so far."""

    chips: tuple[int, int, int]
    values: list[Compared] = field(default_factory=list)
    volumes: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    """Tokens, and elements that one layer of the 540B model moves by layout."""


CROSSOVERS = {"2-D to X": 18_432, "X to XY": 73_728, "XY to XYZ": 1_179_648}
"""Of PaLM 540B with X = Y = Z = 4 [tokens]; by the formulas. The paper's measurements switch at about 100,000."""


def run(found: Partitions) -> Iterator[str]:
    """Compare every published value, then the layouts of the chosen chips; yield the name of each step."""
    for network in PALM:
        billions = PUBLISHED_BILLIONS[network.name]
        found.values.append(Compared("10^9 weights", network.name, billions, network.parameters / 1e9))
    for one in RUNS:
        found.values.append(Compared("MFU", f"{one.billions}B, {one.name}", one.published, one.ours))
    for (attention, batch), context in MAX_CONTEXT.items():
        found.values.append(Compared("context", f"{attention}, {batch}", context, max_context(attention, batch)))
    for chips, measured in STEPS_20B.items():
        step = 1e3 * step_seconds(WEIGHTS_20B, LAYERS_20B, chips)
        found.values.append(Compared("ms per step", f"20B, {chips} GPUs", measured, step))
    big = PALM[2]
    switches = crossovers(big.width, big.hidden, 4, 4, 4)
    for (name, tokens), ours in zip(CROSSOVERS.items(), switches, strict=True):
        found.values.append(Compared("crossover, tokens", name, tokens, ours))
    yield "published values"
    x, y, z = found.chips
    for tokens in (64, 1024, 16_384, 131_072, 1_048_576):
        volumes = {"1-D": elements_1d(tokens, big.width), "2-D": elements_2d(tokens, big.width, big.hidden, x, y * z)}
        for name, over in (("X", x), ("XY", x * y), ("XYZ", x * y * z)):
            volumes[name] = elements_gathered(tokens, big.width, big.hidden, x * y * z, over)
        found.volumes.append((tokens, volumes))
    yield "layouts"
