"""What the units of the store pipeline compute, on integers: int32 sums of a known step in, real results out.

These are the polynomials of `hwconfigs.kernel_arithmetic` in the unit's own numbers: constants in whole steps, halvings
as shifts, a root cut to a whole number. A reciprocal and the scale of the result are float32, as the unit has them.
Whatever would leave 32 bits is refused, for it would wrap around and look plausible.

References
----------
.. [1] S. Kim et al., "I-BERT: Integer-only BERT Quantization", arXiv:2101.01321, sections 3.4 to 3.6.
.. [2] Normalizer of ucb-bar/gemmini: mean and variance are truncated, the root is an integer; a model of it in integers
   gives all of 12.4 million results of the RTL.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwconfigs.kernel_arithmetic import RealRows
from hwconfigs.kernel_arithmetic import layernorm as real_layernorm

IntRows: TypeAlias = NDArray[np.int64]
"""int32 sums (rows, cols)."""

LARGEST = 2**31 - 1
"""What a register of the unit holds."""

LN2 = 0.693147
"""One halving of the exponential; a step must not be longer."""

SHORTEST_EXPONENTIAL, SHORTEST_ERF = math.sqrt(0.344 / 0.3585 / LARGEST), math.sqrt(2.0 / 0.2888 / LARGEST)
"""Steps at which the constant of the exponential, and that of GELU's polynomial, fill a register."""


@dataclass(frozen=True, slots=True)
class IntegerKernel:
    """A kernel as the unit's integers compute it, beside what it means."""

    evaluate: Callable[[IntRows, float], RealRows]
    """int32 sums (rows, cols) and the real value of one step to real results."""
    definition: Callable[[RealRows], RealRows]
    """Real values (rows, cols) to what the kernel means."""
    error: Callable[[IntRows, float, RealRows], RealRows]
    """Sums, step and the largest result of each row, by the definition, to how far the unit's may be from it."""
    int8_per_unit: float
    """int8 steps of one real unit in which results are stored well."""


def softmax(sums: IntRows, step: float) -> RealRows:
    """Return the shares of each row by I-BERT's integer exponential [1]_ (3.5).

    Parameters
    ----------
    sums
        Scores in steps.
    step
        Real value of one step.

    Raises
    ------
    ValueError
        When a step is longer than ln 2, or exponentials of a row add up to more than a register holds.
    """
    require_step(step, LN2, SHORTEST_EXPONENTIAL)
    # I-BERT rounds the negative constant down, so that a halving is never shorter than ln 2.
    halving, shift, constant = math.ceil(LN2 / step), int(1.353 / step), int(0.344 / (0.3585 * step**2))
    below = sums - sums.max(axis=1, keepdims=True)
    halvings = -below // halving
    powers = ((below + halvings * halving + shift) ** 2 + constant) >> np.minimum(halvings, 62)
    total = powers.sum(axis=1, keepdims=True)
    _require_fits(int(total.max()), "exponentials of a row add up to", step)
    shares: RealRows = (powers * (np.float32(1.0) / total.astype(np.float32))).astype(np.float64)
    return shares


def gelu(sums: IntRows, step: float) -> RealRows:
    """Return GELU by I-BERT's integer polynomial [1]_ (3.4); errors as of `softmax`, for long steps none."""
    require_step(step, math.inf, SHORTEST_ERF)
    erf_step = step / math.sqrt(2.0)
    clip, one = int(1.769 / erf_step), int(1.0 / (0.2888 * erf_step**2))
    polynomial = one - (np.minimum(np.abs(sums), clip) - clip) ** 2
    product = sums * (one + np.sign(sums) * polynomial)
    _require_fits(int(np.abs(product).max()), "products reach", step)
    result: RealRows = product.astype(np.float64) * (step * 0.2888 * erf_step**2 / 2.0)
    return result


def layernorm(sums: IntRows, step: float) -> RealRows:
    """Return each row with mean 0 and variance 1 [2]_, for any step; a root of 0, as of a constant row, gives zeros.

    Raises
    ------
    ValueError
        When the squares of a row add up to more than a register holds.
    """
    require_step(step, math.inf)
    cols = sums.shape[1]
    total = sums.sum(axis=1, keepdims=True)
    centred = sums - np.sign(total) * (np.abs(total) // cols)
    squares = (centred**2).sum(axis=1, keepdims=True)
    _require_fits(int(squares.max()), "squares of a row add up to", step)
    root = np.floor(np.sqrt(squares // cols)).astype(np.int64)
    inverse = np.where(root == 0, np.float32(0.0), np.float32(1.0) / np.maximum(root, 1).astype(np.float32))
    result: RealRows = (centred * inverse).astype(np.float64)
    return result


def require_step(step: float, largest: float, shortest: float = 0.0) -> None:
    """Raise a `ValueError` for a step that is no positive number, longer than ``largest`` or below ``shortest``."""
    if not math.isfinite(step) or step <= 0.0:
        raise ValueError(f"a step of {step} is no positive number")
    if step > largest:
        raise ValueError(f"a step of {step:g} is longer than ln 2, one halving of the exponential: at most {largest:g}")
    if step < shortest:
        raise ValueError(f"a step of {step:g} is too short: from {shortest:.3g} on the unit's constants fit 32 bits")


def _require_fits(value: int, what: str, step: float) -> None:
    if value > LARGEST:
        raise ValueError(f"a step of {step:g} is too short: {what} {value:,}, and 32 bits hold {LARGEST:,}")


def _softmax_error(sums: IntRows, step: float, largest: RealRows) -> RealRows:
    """I-BERT's exponential is within 0.0022, and its halving as long as ln 2 to a step."""
    del sums
    return np.full(len(largest), 0.003 + step)


def _gelu_error(sums: IntRows, step: float, largest: RealRows) -> RealRows:
    """I-BERT's polynomial is within 0.0182."""
    del sums, step
    return np.full(len(largest), 0.02)


def _layernorm_error(sums: IntRows, step: float, largest: RealRows) -> RealRows:
    """Mean and root are cut to whole steps: results err by one of so many steps as a deviation has, and as its root."""
    del step
    error: RealRows = (1.0 + largest) / np.maximum(1.0, np.floor(sums.std(axis=1)))
    return error


def _exact_softmax(x: RealRows) -> RealRows:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    shares: RealRows = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _exact_gelu(x: RealRows) -> RealRows:
    values: RealRows = 0.5 * x * (1.0 + np.vectorize(math.erf)(x / math.sqrt(2.0)))
    return values


SOFTMAX = IntegerKernel(softmax, _exact_softmax, _softmax_error, 127.0)
GELU = IntegerKernel(gelu, _exact_gelu, _gelu_error, 4.0)
LAYERNORM = IntegerKernel(layernorm, real_layernorm, _layernorm_error, 16.0)
