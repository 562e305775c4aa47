"""Plain text: quantities in units for people."""

from __future__ import annotations

import pytest

from mapper.reports.text import energy, size


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1024**2 - 1, "1.0 MiB"), (5 * 1024**3, "5.0 GiB")],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(("pj", "shown"), [(0.0, "0 pJ"), (999.96, "1.0 nJ"), (1e6, "1.0 µJ"), (2.5e12, "2.5 J")])
def test_energies(pj: float, shown: str) -> None:
    assert energy(pj) == shown
