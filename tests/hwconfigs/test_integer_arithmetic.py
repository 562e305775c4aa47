"""Kernels on integers: near the float polynomials where steps are short, refused where 32 bits do not hold them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwconfigs import kernel_arithmetic as real
from hwconfigs.integer_arithmetic import gelu, layernorm, softmax


def sums(spread: float, rows: int = 32, cols: int = 200) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(1).normal(0.0, spread, (rows, cols)).round().astype(np.int64)


@pytest.mark.parametrize(
    ("kernel", "definition", "bound"),
    [(softmax, real.softmax, 0.01), (gelu, real.gelu, 0.002), (layernorm, real.layernorm, 0.03)],
)
def test_short_steps_come_near_the_polynomials(kernel, definition, bound) -> None:  # type: ignore[no-untyped-def]
    scores, step = sums(300.0), 0.005
    assert np.abs(kernel(scores, step) - definition(scores * step)).max() < bound


def test_shares_add_up_and_keep_their_order() -> None:
    scores = sums(300.0)
    shares = softmax(scores, 0.005)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-6)
    assert (shares.argmax(axis=1) == scores.argmax(axis=1)).all()
    np.testing.assert_allclose(softmax(np.array([[5, 5, 5, 5]]), 0.1), [[0.25] * 4], rtol=1e-6)


def test_a_masked_key_gets_nothing() -> None:
    kept, masked = softmax(np.array([[0, -(2**30)]]), 0.01)[0]
    assert (kept, masked) == (pytest.approx(1.0), 0.0)


def test_a_halving_is_as_long_as_ln_2_to_a_step() -> None:
    """Steps of 0.05: 14 of them are a halving, so that a score 14 steps below has half the share."""
    low, high = softmax(np.array([[0, 14]]), 0.05)[0]
    assert high == pytest.approx(2 * low)


def test_layernorm_cuts_mean_and_root_to_whole_numbers() -> None:
    """Mean 7/3 is cut to 2; the squares 1, 0 and 4 have the mean 5/3, cut to 1."""
    assert layernorm(np.array([[1, 2, 4]]), 1.0).tolist() == [[-1.0, 0.0, 2.0]]
    assert layernorm(np.array([[-1, -2, -4]]), 1.0).tolist() == [[1.0, 0.0, -2.0]]
    assert layernorm(np.full((1, 5), 9), 1.0).tolist() == [[0.0] * 5]


@pytest.mark.parametrize("step", [math.nan, math.inf, 0.0, -0.1])
@pytest.mark.parametrize("kernel", [softmax, gelu, layernorm])
def test_a_step_is_a_positive_number(kernel, step: float) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="is no positive number"):
        kernel(sums(10.0), step)


def test_what_leaves_32_bits_is_refused() -> None:
    """Equal keys: n of them fit while n (1.353 + 0.96 / 1.353)^2 is below 2^31 steps squared."""
    with pytest.raises(ValueError, match="longer than ln 2"):
        softmax(sums(10.0), 0.7)
    equal = np.zeros((1, 512), dtype=np.int64)
    softmax(equal, 8.3e-4)
    with pytest.raises(ValueError, match="exponentials of a row add up to"):
        softmax(equal, 8.0e-4)
    with pytest.raises(ValueError, match="products reach"):
        gelu(np.array([[40_000]]), 1e-4)
    with pytest.raises(ValueError, match="squares of a row add up to"):
        layernorm(np.array([[50_000, -50_000]]), 1.0)
