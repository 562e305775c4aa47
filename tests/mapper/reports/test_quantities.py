"""Numbers in units for people."""

from __future__ import annotations

import pytest

from mapper.reports.quantities import energy, in_one_unit, quantity, rate, size, totals


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (14.639, "14.64 s"),
        (0.2387207, "238.7 ms"),
        (1.2e-9, "1.2 ns"),
        (0.99996, "1 s"),
        (999.96, "1 ks"),
        (0.0, "0 s"),
        (1e-20, "0.01 as"),
        (123456.7, "123.5 ks"),
    ],
)
def test_no_exponents(value: float, shown: str) -> None:
    assert quantity(value, "s") == shown


def test_columns_to_compare_share_a_unit() -> None:
    assert in_one_unit([472.2e-6, 537.7e-6, 9e-9], "J") == ["472.20 µJ", "537.70 µJ", "0.01 µJ"]
    assert in_one_unit([], "J") == []


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1024**2 - 1, "1.0 MiB"), (5 * 1024**3, "5.0 GiB")],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(("pj", "shown"), [(0.0, "0 pJ"), (999.96, "1.0 nJ"), (1e6, "1.0 µJ"), (2.5e12, "2.5 J")])
def test_energies(pj: float, shown: str) -> None:
    assert energy(pj) == shown


def test_bandwidths_and_totals() -> None:
    assert rate(8, 1000) == "8 GB/s"
    assert totals(14.639, 1000, 2.344e12, 34.32) == "latency 14.64 s at 1 GHz, energy 2.344 J, EDP 34.32 J s"
    assert totals(1e-3, 500, 4e6, 4e-9) == "latency 1 ms at 500 MHz, energy 4 µJ, EDP 4 nJ s"
