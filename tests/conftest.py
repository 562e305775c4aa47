"""Options and fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from mapper.result import RunResult

# A busy computer takes seconds for what takes milliseconds: time is measured elsewhere, and on purpose.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite recorded outputs (the README's, and files under tests/golden) instead of comparing with them",
    )
    parser.addoption("--fuzz-inputs", type=int, default=66, help="damaged inputs of tests/fuzz; the note quotes 20000")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether recorded outputs are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def bert_of_8_tokens() -> RunResult:
    """One block of BERT-Base on gemmini_ibert with its timeline, for tests of what is drawn and told of a run."""
    from mapper import pipeline  # not for tests that run nothing

    return pipeline.run("bert-base", "gemmini_ibert", seq=8, finalists=0, spans=True)
