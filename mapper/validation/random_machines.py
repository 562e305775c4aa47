"""Machines and matmuls drawn at random, for comparisons that must hold off the shipped machines too.

machine    a preset with its array, memories, L2 and DRAM drawn anew: capacities and widths at equal ratios
matmul     square, small, narrow, ragged or in powers of two; sometimes inside a wider tensor, with B transposed,
           with a bias or with an int32 result
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.mapping.matmul_problem import MatmulProblem, contiguous, page_aligned
from simulator.program import Matrix

PRESETS = ("gemmini", "gemmini_ibert", "gemmini_lean", "gemmini_chip")
ARRAYS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
WITHOUT_L2 = 0.25
"""Share of the machines."""

KIB = 1024
SCRATCHPAD = (1 * KIB, 4096 * KIB)
ACCUMULATOR = (256, 4096 * KIB)
L2 = (16 * KIB, 8192 * KIB)
LATENCY = (1, 400)
BANDWIDTHS = (1, 2, 4, 8, 16, 32, 64)
"""Of the DRAM [bytes per cycle]."""


@dataclass(frozen=True, slots=True)
class RandomMachine:
    """A machine, and how to ask for it again."""

    text: str
    """Preset and overrides as on the command line."""
    spec: HardwareSpec


@dataclass(frozen=True, slots=True)
class _Ratio:
    """Numbers at equal ratios."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> int:
        """Return a whole number within the bounds, both included."""
        return round(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))


def draw_machine(rng: np.random.Generator) -> RandomMachine:
    """Draw a machine."""
    preset = str(rng.choice(PRESETS))
    spec = hwconfigs.load(preset)
    side = int(rng.choice(ARRAYS))
    sums = side * spec.array.sum_bytes
    loops = spec.front_end.loops_in_flight
    changes: dict[str, object] = {
        "array.size": side,
        "scratchpad.capacity": _capacity(rng, SCRATCHPAD, 2 * loops * side * side, spec.scratchpad.banks * side),
        "accumulator.capacity": _capacity(rng, ACCUMULATOR, loops * side * sums, spec.accumulator.banks * sums),
        "dram.latency": _Ratio(*LATENCY).draw(rng),
        "dram.bytes_per_cycle": int(rng.choice(BANDWIDTHS)),
    }
    if rng.random() < WITHOUT_L2:
        # A last-level cache needs an L2 in front of it.
        changes |= {"l2": None, "llc": None}
    elif spec.l2 is not None:
        changes["l2.capacity"] = _capacity(rng, L2, 0, spec.l2.ways * spec.l2.line_bytes)
    asked = " ".join(f"--set {key}={'none' if value is None else value}" for key, value in changes.items())
    return RandomMachine(f"--hw {preset} {asked}", hwconfigs.override(spec, changes))


def _capacity(rng: np.random.Generator, bounds: tuple[int, int], least: int, step: int) -> int:
    """Return bytes: a power of two three times out of four, whole steps, at least ``least``."""
    size = _Ratio(max(bounds[0], least), max(bounds[1], least)).draw(rng)
    if rng.random() < 0.75:
        size = 1 << round(math.log2(size))
    return max(1, -(-least // step), size // step) * step


def draw_matmul(rng: np.random.Generator) -> MatmulProblem:
    """Draw a matmul that a simulation can afford."""
    m, k, n = _sizes(rng)
    transposed = rng.random() < 0.2
    problem = contiguous(
        m,
        k,
        n,
        name="x".join(map(str, (m, k, n))) + "t" * transposed,
        bias=rng.random() < 0.3,
        b_axes=("n", "k") if transposed else ("k", "n"),
        c_full=rng.random() < 0.15,
    )
    if rng.random() < 0.2:
        # Part of a wider tensor, as the head of an attention layer.
        behind = problem.partial.address + m * max(problem.partial.row_stride_bytes, problem.c.row_stride_bytes)
        a = Matrix(page_aligned(behind), k * int(rng.integers(2, 13)))
        problem = replace(problem, a=a)
    return problem


def _sizes(rng: np.random.Generator) -> tuple[int, int, int]:
    """Return m, k, n of one of five kinds, each as likely."""
    kind = int(rng.integers(5))
    free = _Ratio(8, 1024)
    if kind == 0:
        m, k, n = (free.draw(rng) for _ in range(3))
    elif kind == 1:
        m, k, n = (_Ratio(1, 64).draw(rng) for _ in range(3))
    elif kind == 2:
        sizes = [_Ratio(1, 16).draw(rng), _Ratio(16, 512).draw(rng), _Ratio(64, 32768).draw(rng)]
        m, k, n = (sizes[place] for place in rng.permutation(3))
    elif kind == 3:
        m, k, n = (16 * int(rng.integers(1, 40)) + int(rng.integers(-3, 4)) for _ in range(3))
    else:
        widths = [int(rng.integers(0, 9)), int(rng.integers(3, 11)), int(rng.integers(6, 16))]
        m, k, n = (1 << widths[place] for place in rng.permutation(3))
    return m, k, n
