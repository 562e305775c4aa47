"""Units: exact where the unit is clear, refused where it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwconfigs import quantity


@pytest.mark.parametrize(
    ("text", "expected"),
    [("256 KiB", 262144), ("0.5 KiB", 512), ("4MiB", 4194304), ("1e3 B", 1000), ("64", 64), ("1 GiB", 1 << 30)],
)
def test_size(text: str, expected: int) -> None:
    assert quantity.size_bytes(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("256 KB", "did you mean 'KiB'"),
        ("256 kb", "did you mean 'KiB'"),
        ("256 kib", "did you mean 'KiB'"),
        ("4 M", "did you mean 'MiB'"),
        ("1 GHz", "is not a size"),
        ("big", "is not a size"),
        ("", "is not a size"),
        ("0.3 B", "not a whole number"),
        ("1 2 KiB", "is not a size"),
    ],
)
def test_size_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        quantity.size_bytes(text)


def test_frequency_needs_its_unit() -> None:
    assert quantity.frequency_mhz("1 GHz") == 1000.0
    assert quantity.frequency_mhz("500 MHz") == 500.0
    assert quantity.frequency_mhz(750) == 750
    with pytest.raises(ValueError, match="no unit"):
        quantity.frequency_mhz("1000")


def test_times_become_whole_cycles_rounded_up() -> None:
    """40.1 ns at 1 GHz are 40.1 cycles, so 41; at 500 MHz they are 20.05, so 21."""
    assert quantity.duration_cycles("40 ns", 1000.0) == 40
    assert quantity.duration_cycles("40.1 ns", 1000.0) == 41
    assert quantity.duration_cycles("40.1 ns", 500.0) == 21
    assert quantity.duration_cycles("40 cycles", None) == 40
    assert quantity.duration_cycles(1e3, None) == 1000
    with pytest.raises(ValueError, match="needs a valid clock"):
        quantity.duration_cycles("40 ns", None)


def test_bandwidth_follows_the_clock() -> None:
    assert quantity.bandwidth_bytes_per_cycle("16 GB/s", 1000.0) == 16.0
    assert quantity.bandwidth_bytes_per_cycle("16 GB/s", 500.0) == 32.0
    assert quantity.bandwidth_bytes_per_cycle("8 B/cycle", None) == 8.0
    with pytest.raises(ValueError, match="is not a bandwidth"):
        quantity.bandwidth_bytes_per_cycle("16 GB", 1000.0)


def test_energy_and_width() -> None:
    assert quantity.energy_pj("300 fJ") == pytest.approx(0.3)
    assert quantity.energy_pj("0.2 nJ") == pytest.approx(200.0)
    assert quantity.width_bits("8 bits") == 8
    assert quantity.fractional_cycles("3.6 cycles") == 3.6


def test_counts_are_not_text() -> None:
    assert quantity.whole(1e3) == 1000
    with pytest.raises(ValueError, match="is text"):
        quantity.whole("16")


@given(st.integers(min_value=0, max_value=1 << 40), st.sampled_from([("B", 1), ("KiB", 1024), ("MiB", 1 << 20)]))
def test_sizes_are_exact(number: int, unit: tuple[str, int]) -> None:
    assert quantity.size_bytes(f"{number} {unit[0]}") == number * unit[1]
