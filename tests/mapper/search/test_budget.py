"""Budgets as users write them."""

from __future__ import annotations

import pytest

from mapper.errors import MappingError
from mapper.search.budget import Budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [("20000", Budget(20_000)), ("1,000", Budget(1_000)), ("2s", Budget(None, 2.0)), ("5min", Budget(None, 300.0))],
)
def test_numbers_and_times(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["0", "-1", "9" * 5000, "9" * 50, "0s", "1e99s", "nan", "1e99", "abc", ""])
def test_senseless_budgets_are_refused(text: str) -> None:
    with pytest.raises(MappingError, match="^budget") as error:
        Budget.parse(text)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("values", "key"), [(("9",), "evaluations"), ((0.5,), "evaluations"), ((None, "2s"), "seconds")]
)
def test_values_of_wrong_types_are_refused(values: tuple[object, ...], key: str) -> None:
    with pytest.raises(MappingError, match=rf"^budget: {key}=.*: must be a"):
        Budget(*values)  # type: ignore[arg-type]
