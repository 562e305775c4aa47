"""Periods of a sequence, against looking at every position."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.fast_forward.periods import Period, periods


def runs(numbers: list[int], length: int) -> tuple[list[int], list[int]]:
    """Elements before and from each position on that equal the one ``length`` before them."""
    same = [i >= length and numbers[i] == numbers[i - length] for i in range(len(numbers))]
    behind, ahead = [], []
    for position in range(len(numbers) + 1):
        back = 0
        while back < position and same[position - 1 - back]:
            back += 1
        forth = 0
        while position + forth < len(numbers) and same[position + forth]:
            forth += 1
        behind.append(back)
        ahead.append(forth)
    return behind, ahead


@given(st.lists(st.integers(0, 2), max_size=40))
def test_runs_are_those_of_every_position(numbers: list[int]) -> None:
    for period in periods(numbers):
        behind, ahead = runs(numbers, period.length)
        assert period.behind.tolist() == behind
        assert period.ahead.tolist() == ahead


def lengths(chosen: list[Period]) -> list[int]:
    return [period.length for period in chosen]


def test_tiles_of_equal_loops_have_an_inner_and_an_outer_period() -> None:
    tile = [0] * 7 + [1]
    assert lengths(periods(tile * 5)) == [1, 8]


def test_a_constant_sequence_has_one_period() -> None:
    assert lengths(periods([3] * 100)) == [1]


def test_ragged_rows_of_tiles_nest() -> None:
    """Two rows of five equal tiles and a narrow one: within a row, and from row to row."""
    row = [0] * 5 + [1]
    assert lengths(periods(row * 4)) == [1, 6]


def test_nothing_repeats() -> None:
    assert periods([]) == []
    assert all(period.behind.max() == 0 for period in periods(list(range(10))))
