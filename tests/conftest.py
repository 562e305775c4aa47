"""Options and fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A busy computer takes seconds for what takes milliseconds: time is measured elsewhere, and on purpose.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite recorded outputs (the README's, and files under tests/golden) instead of comparing with them",
    )
    parser.addoption("--fuzz-inputs", type=int, default=110, help="damaged inputs of tests/fuzz; the note quotes 20000")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether recorded outputs are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))
