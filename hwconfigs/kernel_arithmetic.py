"""What the units of the store pipeline compute: real rows in, real rows out, with the polynomials of I-BERT.

The unit works on integers with a scale; here the same polynomials are evaluated in floating point, between the scale
of the inputs and that of the results (`simulator.functional.Scaling`).

References
----------
.. [1] S. Kim et al., "I-BERT: Integer-only BERT Quantization", arXiv:2101.01321, sections 3.4 and 3.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RealRows = NDArray[np.float64]
"""Real values (rows, cols)."""


def identity(x: RealRows) -> RealRows:
    """Return the values as they are."""
    return x


def relu(x: RealRows) -> RealRows:
    """Return the positive part of each value."""
    result: RealRows = np.maximum(x, 0.0)
    return result


def gelu(x: RealRows) -> RealRows:
    """Return GELU with I-BERT's polynomial for erf [1]_ (3.4): a = -0.2888, b = -1.769; error below 0.02."""
    scaled = x / np.sqrt(2.0)
    erf = np.sign(scaled) * (-0.2888 * (np.minimum(np.abs(scaled), 1.769) - 1.769) ** 2 + 1.0)
    result: RealRows = 0.5 * x * (1.0 + erf)
    return result


def exponential(x: RealRows) -> RealRows:
    """Return exp of non-positive numbers: halvings times a polynomial on (-ln 2, 0].

    The polynomial is I-BERT's [1]_ (3.5), 0.3585 (p + 1.353)^2 + 0.344, with an error below 0.0022.
    """
    halvings = np.floor(-x / np.log(2.0))
    rest = x + halvings * np.log(2.0)
    powers: RealRows = np.ldexp(0.3585 * (rest + 1.353) ** 2 + 0.344, -np.minimum(halvings, 60).astype(np.int64))
    return powers


def softmax(x: RealRows) -> RealRows:
    """Return the softmax of each row."""
    powers = exponential(x - x.max(axis=1, keepdims=True))
    shares: RealRows = powers / powers.sum(axis=1, keepdims=True)
    return shares


def layernorm(x: RealRows) -> RealRows:
    """Return each row with mean 0 and variance 1, without weight and bias; a constant row gives zeros."""
    centred = x - x.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    normalised: RealRows = centred / np.where(deviation == 0.0, 1.0, deviation)
    return normalised


def rmsnorm(x: RealRows) -> RealRows:
    """Return each row with mean square 1, without weight; a row of zeros stays one."""
    root = np.sqrt((x**2).mean(axis=1, keepdims=True))
    normalised: RealRows = x / np.where(root == 0.0, 1.0, root)
    return normalised


def silu(x: RealRows) -> RealRows:
    """Return x / (1 + exp(-x)) by the exponential of softmax, taken of non-positive numbers only."""
    decay = exponential(-np.abs(x))
    result: RealRows = x * np.where(x >= 0.0, 1.0, decay) / (1.0 + decay)
    return result


def product(x: RealRows) -> RealRows:
    """Return the product of two operands that stand side by side (rows, 2 cols)."""
    half = x.shape[1] // 2
    result: RealRows = x[:, :half] * x[:, half:]
    return result
