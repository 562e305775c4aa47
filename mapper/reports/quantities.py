"""Numbers with units for people: ``14.64 s``, ``2.344 J``, ``28.33 mJ s``, ``1.5 MiB``, ``8 GB/s``.

Everything printed takes its units from here. JSON and Python keep one unit for each key and say it in the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

_PREFIXES = ("a", "f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P")
"""SI prefixes from 10^-18 on, a factor of 1,000 apart."""

_ONE = _PREFIXES.index("")
_PICO = 1e-12


def quantity(value: float, unit: str, digits: int = 4) -> str:
    """Return a number with the prefix that leaves 1 to 999 before the point: ``14.64 s``.

    Parameters
    ----------
    value
        In ``unit``, without prefix.
    unit
        ``"s"``, ``"J"``, ``"J s"``, ``"B/s"``, ...
    digits
        Significant digits; zeros at the end are left out.
    """
    rounded = float(f"{value:.{digits - 1}e}")
    place = _place(rounded)
    return f"{_plain(rounded * 1000.0 ** (_ONE - place), digits)} {_PREFIXES[place]}{unit}"


def in_one_unit(values: Sequence[float], unit: str, decimals: int = 2) -> list[str]:
    """Return numbers that are to be compared with one prefix, that of the largest: ``537.70 µJ``, ``472.20 µJ``."""
    place = _place(max(values, default=0.0))
    return [f"{value * 1000.0 ** (_ONE - place):,.{decimals}f} {_PREFIXES[place]}{unit}" for value in values]


def size(count: float) -> str:
    """Return bytes: ``1.5 MiB``."""
    return _scaled(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def energy(pj: float) -> str:
    """Return an energy in picojoule for a narrow column: ``3.2 µJ``."""
    return _scaled(pj, 1000, ("pJ", "nJ", "µJ", "mJ", "J", "kJ"))


def area(um2: float) -> str:
    """Return an area: ``1.029 mm²``."""
    return f"{um2 * 1e-6:.3f} mm²"


def rate(bytes_per_cycle: float, clock_mhz: float) -> str:
    """Return a bandwidth: ``8 GB/s``."""
    return quantity(bytes_per_cycle * clock_mhz * 1e6, "B/s")


def percent(part: float, whole: float) -> str:
    """Return ``part`` of ``whole`` in percent; ``-`` of nothing."""
    return f"{100 * part / whole:.1f}%" if whole else "-"


def totals(latency_s: float, clock_mhz: float, energy_pj: float, edp_js: float) -> str:
    """Return latency, energy and their product in one line."""
    clock = quantity(clock_mhz * 1e6, "Hz")
    joules = quantity(energy_pj * _PICO, "J")
    return f"latency {quantity(latency_s, 's')} at {clock}, energy {joules}, EDP {quantity(edp_js, 'J s')}"


def _place(value: float) -> int:
    """Return the place of the prefix that fits a number."""
    if not value:
        return _ONE
    exponent = Decimal(abs(value)).adjusted()
    return min(max(_ONE + exponent // 3, 0), len(_PREFIXES) - 1)


def _plain(value: float, digits: int) -> str:
    """Return a number with so many significant digits, never with an exponent."""
    number = Decimal(value)
    decimals = max(0, digits - 1 - number.adjusted()) if number else 0
    text = f"{number.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scaled(value: float, step: int, units: Sequence[str]) -> str:
    for unit in units[:-1]:
        # 999.95 would round to a fourth digit, so the next unit starts a little below the step.
        if value < step - 0.05:
            return f"{value:.0f} {unit}" if unit == units[0] else f"{value:.1f} {unit}"
        value /= step
    return f"{value:.1f} {units[-1]}"
