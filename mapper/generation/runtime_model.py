"""Time of a generation by its prompt length p and its output length o, as formulas.

    two terms    T = F(p) + g (o - 1)                                     a token costs the same whatever came before
    three terms  T = F(p) + g0 (o - 1) + g1 [(o - 1) p + o (o - 1) / 2]   its cost grows with the positions attended to

The two-term form and its fit are those of [1]_, whose GPUs hide the traffic of the cache behind launches. Where memory
bounds a step, as on a small array, the third term is the cache's share.

References
----------
.. [1] D. Narayanan et al., "Cheaply Estimating Inference Efficiency Metrics for Autoregressive Transformer Models",
   arXiv:2305.02440; the fit is that of the authors' code.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Timing(NamedTuple):
    """One measured generation."""

    prompt: int
    output: int
    seconds: float


def timings(prompts: Sequence[int], outputs: Sequence[int], seconds: Sequence[Sequence[float | None]]) -> list[Timing]:
    """Return the rows of a grid of measurements.

    Parameters
    ----------
    prompts, outputs
        Lengths, ascending, as the rows and the columns of the grid.
    seconds
        Times (prompts x outputs); None where nothing was measured.

    Raises
    ------
    ValueError
        For lengths that do not ascend from one on, and a grid of another shape.
    """
    for name, lengths in (("prompts", prompts), ("outputs", outputs)):
        if any(length < 1 for length in lengths[:1]) or any(low >= high for low, high in itertools.pairwise(lengths)):
            raise ValueError(f"{name}: {list(lengths)} must ascend, from at least 1 on")
    if len(seconds) != len(prompts) or any(len(row) != len(outputs) for row in seconds):
        raise ValueError(f"seconds: must have {len(prompts)} rows of {len(outputs)} times, as prompts and outputs say")
    return [
        Timing(prompt, output, time)
        for prompt, row in zip(prompts, seconds, strict=True)
        for output, time in zip(outputs, row, strict=True)
        if time is not None
    ]


@dataclass(frozen=True, slots=True)
class TwoTerms:
    """The idealised runtime of [1]_."""

    first: Mapping[int, float]
    """F: seconds until the first token, by prompt length."""
    step: float
    """g: seconds of each further token."""

    def seconds(self, prompt: int, output: int) -> float:
        """Return the time of a generation; between measured prompts F is interpolated linearly."""
        lengths = sorted(self.first)
        first = float(np.interp(prompt, lengths, [self.first[length] for length in lengths]))
        return first + self.step * (output - 1)


@dataclass(frozen=True, slots=True)
class ThreeTerms:
    """A prompt, and steps whose time grows with the positions that they attend to."""

    first: float
    fixed: float
    """g0."""
    per_position: float
    """g1."""

    def seconds(self, prompt: int, output: int) -> float:
        """Return the time of a generation behind a prompt of the length that ``first`` is of."""
        steps = output - 1
        return self.first + self.fixed * steps + self.per_position * (steps * prompt + output * steps / 2)


def fit(rows: Sequence[Timing], *, unit: float = 1e-3) -> TwoTerms:
    """Fit the two terms as the authors of [1]_ do.

    Per prompt length a line in the output length is fitted and its two numbers rounded to ``unit``; F is its value at
    one token, and never less than that of a shorter prompt's first line. g is the slope of one line through all that
    F leaves over, rounded alike.

    Raises
    ------
    ValueError
        For no rows, lengths below one, or a prompt length with a single output length.
    """
    if not rows:
        raise ValueError("rows: a fit needs measured generations, there are none")
    for row in rows:
        if row.prompt < 1 or row.output < 1:
            raise ValueError(f"rows: prompt={row.prompt}, output={row.output}: lengths are at least 1")
    first: dict[int, float] = {}
    for prompt in sorted({row.prompt for row in rows}):
        own = [row for row in rows if row.prompt == prompt]
        if len({row.output for row in own}) < 2:
            raise ValueError(f"rows: prompt={prompt} has one output length only; a line needs two")
        slope, start = _line([row.output for row in own], [row.seconds for row in own])
        value = _rounded(slope, unit) + _rounded(start, unit)
        first[prompt] = max(value, next(iter(first.values()), value))
    steps = [row.output - 1 for row in rows]
    slope, _ = _line(steps, [row.seconds - first[row.prompt] for row in rows])
    return TwoTerms(first, _rounded(slope, unit))


def through_steps(first: float, attended: Sequence[int], seconds: Sequence[float]) -> ThreeTerms:
    """Return the three terms from a prompt's time and the times of steps by the positions that they attend to."""
    if len(set(attended)) < 2:
        return ThreeTerms(first, seconds[0], 0.0)
    slope, start = _line(attended, seconds)
    return ThreeTerms(first, start, slope)


def _line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Return slope and start of the line with least squares."""
    slope, start = np.polyfit(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), 1)
    return float(slope), float(start)


def _rounded(value: float, unit: float) -> float:
    digits = max(0, round(-math.log10(unit)))
    return round(value, digits)
