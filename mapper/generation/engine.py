"""A prompt and the steps behind it: simulated at a few lengths of the cache, interpolated between them.

A step of the decode phase with c cached tokens costs more than one with fewer: what the cache adds is read and
multiplied on top. So between two simulated lengths every step costs at least what the shorter one does and at most what
the longer one does, and the sum lies between the two sums; half their distance is the bound that a report states. The
widest gap is halved until the bound is small.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hwconfigs import HardwareSpec
from mapper import pipeline
from mapper.errors import MappingError
from mapper.pipeline import RunProgress
from mapper.reports.roofline import Roofline, roofline
from mapper.result import RunResult
from mapper.settings import RunSettings

TOLERANCE = 0.005
"""Bound of the sum over all steps, as a share of it, at which no further step is simulated."""

MOST_STEPS = 9
"""Steps that are simulated at most; a cache ten times as long as the prompt needs about so many."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A prompt or a step: what it costs, and what it needs at least."""

    cycles: int
    energy_pj: float
    macs: int
    kv_bytes: int
    """Keys and values that it reads, its own included. [bytes]"""
    weight_bytes: int
    """Weights that it reads. [bytes]"""
    floors: Roofline
    host_cycles: int
    """Cycles that the host takes."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A prompt of ``prompt`` tokens and ``tokens`` tokens behind it, the first of which the prompt's pass makes."""

    name: str
    spec: HardwareSpec
    prompt: int
    tokens: int
    batch: int
    first: Pass
    steps: Mapping[int, Pass]
    """Simulated steps, by the tokens cached before each."""
    parameters: int

    def summed(self, of: Callable[[Pass], float]) -> float:
        """Return the sum over all steps, those between two simulated ones on the line through them."""
        return sum(self._between(of, context) for context in self.contexts)

    @property
    def contexts(self) -> range:
        """Tokens cached before each step."""
        return range(self.prompt, self.prompt + self.tokens - 1)

    def _between(self, of: Callable[[Pass], float], context: int) -> float:
        known = sorted(self.steps)
        place = bisect.bisect_left(known, context)
        if known[place] == context:
            return of(self.steps[context])
        low, high = known[place - 1], known[place]
        share = (context - low) / (high - low)
        return (1 - share) * of(self.steps[low]) + share * of(self.steps[high])

    def step_at(self, context: int) -> float:
        """Return the cycles of the step behind ``context`` tokens, one of `contexts`."""
        return self._between(lambda step: step.cycles, context)

    @property
    def step_cycles(self) -> float:
        """Cycles of all steps."""
        return self.summed(lambda step: step.cycles)

    @property
    def bound(self) -> float:
        """Largest relative error of `step_cycles` if no step is faster than one with a shorter cache."""
        return _bound(self.steps) / self.step_cycles if self.steps else 0.0

    @property
    def cycles(self) -> float:
        """Cycles of the whole generation."""
        return self.first.cycles + self.step_cycles

    @property
    def energy_j(self) -> float:
        """Energy of the whole generation. [J]"""
        return (self.first.energy_pj + self.summed(lambda step: step.energy_pj)) * 1e-12

    def seconds(self, cycles: float) -> float:
        """Return the time that some cycles take. [s]"""
        return cycles / (self.spec.clock_mhz * 1e6)

    @property
    def peak_kv_bytes(self) -> int:
        """Keys and values that lie in memory at the end."""
        return max((step.kv_bytes for step in self.steps.values()), default=self.first.kv_bytes)


def generate(
    model: str | Path | Mapping[str, object],
    hw: str | Path | HardwareSpec,
    *,
    prompt: int,
    tokens: int,
    batch: int = 1,
    settings: RunSettings | None = None,
    progress: RunProgress | None = None,
) -> Generation:
    """Simulate a generation.

    Parameters
    ----------
    model, hw, progress
        As for `mapper.pipeline.run`.
    prompt
        Tokens of the prompt, processed in one pass.
    tokens
        Tokens that are made, the first by that pass.
    batch
        Sequences side by side.
    settings
        How to map and simulate; what says which pass to build is replaced. Embedding, final norm and LM head are part
        of every pass where ``lm_head`` is set.

    Raises
    ------
    MappingError, SettingsError, SpecError, GraphError
        For lengths below one, and as `mapper.pipeline.run` does.
    """
    for name, value in (("prompt", prompt), ("tokens", tokens), ("batch", batch)):
        if value < 1:
            raise MappingError(f"{name}={value}: must be at least 1")
    chosen = replace(settings or RunSettings(), batch=batch)
    spec = pipeline.load(hw, chosen.overrides)
    chosen = replace(chosen, overrides=None)

    def run(**asked: object) -> RunResult:
        return pipeline.run(model, spec, replace(chosen, **asked), progress=progress)  # type: ignore[arg-type]

    whole = run(phase="prefill", seq=prompt, context=None)
    steps: dict[int, Pass] = {}
    for context in _ends(prompt, tokens):
        steps[context] = _pass(run(phase="decode", seq=None, context=context))
    while (context_between := _next(steps)) is not None:
        steps[context_between] = _pass(run(phase="decode", seq=None, context=context_between))
    name = str(whole.graph.config.get("model", whole.graph.name))
    return Generation(name, spec, prompt, tokens, batch, _pass(whole), steps, whole.graph.parameters)


def _ends(prompt: int, tokens: int) -> tuple[int, ...]:
    """Return the shortest and the longest cache before a step."""
    return tuple(dict.fromkeys((prompt, prompt + tokens - 2))) if tokens > 1 else ()


def _pass(result: RunResult) -> Pass:
    graph, simulation = result.graph, result.simulation
    host = simulation.units.get("host")
    return Pass(
        simulation.cycles, simulation.energy_pj, simulation.macs, graph.bytes_of("kv_cache"), graph.bytes_of("weight"),
        roofline(graph, result.spec), host.busy_cycles if host is not None else 0,
    )  # fmt: skip


def _bound(steps: Mapping[int, Pass]) -> float:
    """Return half the distance of the sums of the shorter and of the longer neighbours. [cycles]"""
    return sum(_gaps(steps).values())


def _gaps(steps: Mapping[int, Pass]) -> dict[tuple[int, int], float]:
    """Return for neighbours what the steps between them may be off together. [cycles]"""
    known = sorted(steps)
    pairs = itertools.pairwise(known)
    return {
        (low, high): abs(steps[high].cycles - steps[low].cycles) / 2 * (high - low - 1) for low, high in pairs
    }  # fmt: skip


def _next(steps: Mapping[int, Pass]) -> int | None:
    """Return the length of the cache to simulate next; None if the bound is small or enough are known."""
    gaps = _gaps(steps)
    if not gaps or len(steps) >= MOST_STEPS:
        return None
    span = max(steps) - min(steps) + 1
    mean = sum(step.cycles for step in steps.values()) / len(steps)
    low, high = max(gaps, key=lambda pair: gaps[pair])
    if sum(gaps.values()) <= TOLERANCE * mean * span or high - low < 2:
        return None
    return (low + high) // 2
