"""How good is a mapping drawn at random? EDP of uniformly drawn legal loop nests, relative to the best of them [1]_.

The study of section 5.5.1 of [1]_: Transformer matmuls against convolutions of ResNet-50, 100,000 random valid
mappings each, by Timeloop's model of a Gemmini. The paper does not say how its sampler was constrained, and what
decides is how much of the array a mapping may leave idle. So three samplers are run: the rows fully used, any part of
the array, and the largest part only.

.. [1] S. Kim et al., Full Stack Optimization of Transformer Inference: a Survey, arXiv 2302.14017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.errors import MappingError
from mapper.nest.mapspace.constraints import Constraints, fixed
from mapper.nest.mapspace.divisions import divisors
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model.accounting import TIMELOOP
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem, conv2d, matmul
from simulator.arrays import Floats

SAMPLES = 100_000
MOST_SAMPLES = 10_000_000
QUANTILES = (0.001, 0.01, 0.1, 0.5, 0.9)
NEAR = 3.0
"""Mappings under this multiple of the least EDP count as near the best [1]_."""

CHUNK = 20_000
"""Mappings drawn and priced at once."""

Sampler: TypeAlias = Literal["rows", "free", "full"]
SAMPLERS: dict[Sampler, str] = {
    "rows": "rows of the array full, any part of its columns",
    "free": "any part of the array",
    "full": "the largest part of the array only",
}

METHOD = (
    "every legal nest has the same probability, by exact counts and without rejection: perfect factors, all orders of "
    "all loops at every level; reduction over the rows, output channels over the columns; convolutions as nests of "
    "seven loops; Timeloop's accounting; DRAM, scratchpad, accumulator and registers of gemmini"
)


@dataclass(frozen=True, slots=True)
class Published:
    """What the paper says of an operator."""

    percentile_10: float
    under_3x: float
    """Share of mappings."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator of the study."""

    name: str
    family: str
    """MHA, FFN or conv."""
    problem: NestProblem
    published: Published | None = None


LAYERS = (
    Layer("base-qkv", "MHA", matmul(512, 768, 768, "base-qkv"), Published(9.42, 0.0170)),
    Layer("base-w1", "FFN", matmul(512, 768, 3072, "base-w1")),
    Layer("large-qkv", "MHA", matmul(512, 1024, 1024, "large-qkv")),
    Layer("large-w1", "FFN", matmul(512, 1024, 4096, "large-w1"), Published(9.84, 0.0148)),
    Layer("conv1-7x7", "conv", conv2d(1, 64, 3, 112, 112, 7, 7, 2, name="conv1-7x7")),
    Layer("conv-3x3-512", "conv", conv2d(1, 512, 512, 7, 7, 3, 3, name="conv-3x3-512"), Published(7.44, 0.0158)),
    Layer("conv-1x1-512", "conv", conv2d(1, 512, 2048, 7, 7, 1, 1, name="conv-1x1-512")),
    Layer("conv-1x1-2048", "conv", conv2d(1, 2048, 512, 7, 7, 1, 1, name="conv-1x1-2048"), Published(12.06, 0.0262)),
)
"""BERT-Base and -Large at 512 tokens, and ResNet-50 at 224 pixels. Published values: [1]_ section 5.5.1; its figure
shows Base for MHA and Large for FFN."""

ISO_LAYERS = (
    Layer("iso-qkv", "MHA", matmul(512, 240, 240, "iso-qkv")),
    Layer("iso-w1", "FFN", matmul(512, 120, 480, "iso-w1")),
    Layer("iso-conv1", "conv", conv2d(1, 64, 3, 56, 56, 7, 7, 2, name="iso-conv1")),
)
"""The paper's operators of equal size: 29,491,200 MACs of the matmuls equal conv1 with 56 x 56 outputs (29,503,488),
a quarter of the usual one."""


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Relative EDP of legal mappings of one operator."""

    layer: Layer
    sampler: Sampler
    size: int
    """Mappings of the space, whether or not they fit."""
    legal: int
    """Those that fit; both are exact."""
    relative: Floats
    """EDP over the least EDP of the samples, ascending."""
    best_edp: float
    """[pJ cycles]"""

    def quantile(self, share: float) -> float:
        """Relative EDP that a share of the mappings does not exceed."""
        return float(np.quantile(self.relative, share, method="inverted_cdf"))

    @property
    def under_3x(self) -> float:
        """Share of mappings under `NEAR` times the best."""
        return float((self.relative < NEAR).mean())

    @property
    def spread(self) -> float:
        """The worst mapping over the best."""
        return float(self.relative[-1])


def machine(hw: str | HardwareSpec = "gemmini") -> Hierarchy:
    """Return the levels of the study: DRAM, scratchpad, accumulator, registers; the paper has no L2."""
    spec = hwconfigs.load(hw) if isinstance(hw, str) else hw
    if spec.l2 is not None:
        spec = hwconfigs.override(spec, {"l2": None})
    return Hierarchy.of(spec, hwconfigs.load_energy(spec.energy).bind(spec))


def chosen(names: str | None, iso_macs: bool) -> tuple[Layer, ...]:
    """Return the layers asked for; None: all.

    Raises
    ------
    MappingError
        An unknown name.
    """
    layers = ISO_LAYERS if iso_macs else LAYERS
    if names is None:
        return layers
    known = {layer.name: layer for layer in layers}
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise MappingError(f"unknown layers {', '.join(map(repr, unknown))}; use {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(wanted))


def space_of(layer: Layer, hierarchy: Hierarchy, sampler: Sampler) -> NestSpace:
    """Return the mapspace that a sampler draws from."""
    constraints = None
    if sampler == "rows":
        dim = "c" if "c" in layer.problem.names else "k"
        most = max(part for part in divisors(layer.problem.size(dim)) if part <= hierarchy.rows)
        constraints = Constraints(spatial={"rows": {dim: fixed(most)}})
    return NestSpace(layer.problem, hierarchy, TIMELOOP, constraints, spatial="full" if sampler == "full" else "free")


def sample(layer: Layer, hierarchy: Hierarchy, sampler: Sampler, samples: int = SAMPLES, seed: int = 0) -> Distribution:
    """Draw legal mappings of one operator. Each operator has random numbers of its own, whatever others are drawn.

    Raises
    ------
    MappingError
        When ``samples`` or ``seed`` make no sense.
    """
    if not 2 <= samples <= MOST_SAMPLES:
        raise MappingError(f"samples={samples}: must be 2 to {MOST_SAMPLES:,}")
    if seed < 0:
        raise MappingError(f"seed={seed}: must not be negative")
    space = space_of(layer, hierarchy, sampler)
    random = np.random.default_rng([seed, *sampler.encode(), *layer.name.encode()])
    parts = []
    for start in range(0, samples, CHUNK):
        parts.append(space.costs(space.sample(min(CHUNK, samples - start), random)).edp)
    edp = np.sort(np.concatenate(parts))
    legal = space.valid()
    assert legal is not None, "no partial sums are wider than a word in Timeloop's accounting"
    return Distribution(layer, sampler, space.total, legal, edp / edp[0], float(edp[0]))


def run(
    layers: Sequence[Layer],
    samplers: Sequence[Sampler] = tuple(SAMPLERS),
    samples: int = SAMPLES,
    seed: int = 0,
    *,
    hierarchy: Hierarchy | None = None,
    progress: Callable[[Distribution], object] | None = None,
) -> list[Distribution]:
    """Sample every operator with every sampler; ``progress`` is called with each distribution."""
    levels = hierarchy or machine()
    distributions = []
    for sampler in samplers:
        for layer in layers:
            distributions.append(sample(layer, levels, sampler, samples, seed))
            if progress is not None:
                progress(distributions[-1])
    return distributions
