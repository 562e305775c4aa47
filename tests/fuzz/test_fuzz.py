"""Damaged input of every kind is refused in clear lines, soon, or is an input. Longer: ``--fuzz-inputs 20000``."""

from __future__ import annotations

import pytest

from tests.fuzz.cases import KINDS
from tests.fuzz.run import run


@pytest.mark.parametrize("kind", KINDS)
def test_no_input_breaks_a_promise(kind: str, request: pytest.FixtureRequest) -> None:
    """No traceback, nothing beyond 10 CPU seconds or 1 GiB, no result that is no number."""
    inputs = int(request.config.getoption("--fuzz-inputs"))
    answers = list(run(kind, 0, -(-inputs // len(KINDS)), 36_000.0))
    assert [answer for answer in answers if answer.wrong] == []
    assert len(answers) == -(-inputs // len(KINDS))
