"""Errors of estimates, expected from those of mappings that are alike."""

from __future__ import annotations

import numpy as np
import pytest

from mapper.mapping.hardware_loop import HardwareLoop
from mapper.search.estimate_errors import NOISE, EstimateErrors

LOOPS = (
    HardwareLoop(4, 4, 4),
    HardwareLoop(4, 5, 4),
    HardwareLoop(4, 8, 4),
    HardwareLoop(4, 8, 4, double_buffered=False),
    HardwareLoop(4, 8, 4, order="nmk"),
    HardwareLoop(4, 8, 4, order="mkn", double_buffered=False),
)
"""Less and less like the first."""


def errors_of(loops: tuple[HardwareLoop, ...] = LOOPS) -> EstimateErrors:
    """Return the errors of mappings of which none was told."""
    errors = EstimateErrors()
    errors.join(loops, np.full(len(loops), NOISE))
    return errors


def test_nothing_is_expected_before_anything_is_told() -> None:
    errors = errors_of()
    assert errors.factors(0.0).tolist() == [1.0] * len(LOOPS)
    assert len({float(factor) for factor in errors.factors(1.0)}) == 1
    assert errors.factors(1.0)[0] == pytest.approx(0.93, abs=0.01)


def test_the_more_alike_the_more_one_tells_of_another() -> None:
    errors = errors_of()
    errors.tell(0, 120.0, 100.0)
    expected = errors.factors(0.0).tolist()
    assert expected == sorted(expected, reverse=True)
    assert expected[0] == pytest.approx(1.2, abs=0.005)
    assert 1.05 < expected[-1] < expected[1] < expected[0]


def test_hope_is_small_beside_what_was_told() -> None:
    errors = errors_of()
    errors.tell(0, 104.0, 100.0)
    hopes = (errors.factors(1.0) / errors.factors(0.0)).tolist()
    assert hopes == sorted(hopes, reverse=True)
    assert 1.0 - hopes[0] < 2 * NOISE < 1.0 - hopes[-1]
    assert np.allclose(errors.factors(2.0) / errors.factors(0.0), np.array(hopes) ** 2)


def test_a_large_error_makes_the_others_doubtful() -> None:
    hopes = []
    for told in (102.0, 120.0):
        errors = errors_of()
        errors.tell(0, told, 100.0)
        hopes.append(errors.factors(1.0) / errors.factors(0.0))
    assert (hopes[1] < hopes[0]).all()


def test_more_that_is_told_counts_for_those_that_join_later() -> None:
    whole, later = errors_of(), errors_of(LOOPS[:3])
    for errors in (whole, later):
        errors.tell(0, 120.0, 100.0)
        errors.tell(2, 80.0, 100.0)
    later.join(LOOPS[3:], np.full(len(LOOPS) - 3, NOISE))
    assert later.factors(1.0).tolist() == whole.factors(1.0).tolist()
    assert whole.factors(0.0)[3] < 1.0 < whole.factors(0.0)[1]


def test_short_programs_are_less_certain() -> None:
    errors = EstimateErrors()
    errors.join(LOOPS, np.array([0.05, *[NOISE] * (len(LOOPS) - 1)]))
    errors.tell(1, 120.0, 100.0)
    hopes = errors.factors(1.0) / errors.factors(0.0)
    assert hopes[0] < 0.95 < hopes[1]
