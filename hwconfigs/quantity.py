"""Text with a unit becomes a number here and nowhere else: ``"256 KiB"``, ``"1 GHz"``, ``"16 GB/s"``, ``"40 ns"``.

Arithmetic is exact (fractions), so ``"0.5 KiB"`` is 512 and ``"0.3 B"`` is refused. A value that is not text passes
through unchanged: the type check behind it decides. Capacities need binary units; ``KB`` means 1000 to some and 1024 to
others, so it is refused instead of guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from math import ceil

_QUANTITY = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2})?)\s*(\S.*)?")

_LARGEST = 10**24
"""No machine has more of anything; keeps every conversion to float finite."""

_LOST = Fraction(1, 10**9)

_SIZES: Mapping[str, Fraction] = {
    "B": Fraction(1),
    "KiB": Fraction(1024),
    "MiB": Fraction(1024**2),
    "GiB": Fraction(1024**3),
}
_FREQUENCIES: Mapping[str, Fraction] = {
    "Hz": Fraction(1, 10**6),
    "kHz": Fraction(1, 1000),
    "MHz": Fraction(1),
    "GHz": Fraction(1000),
}
_CYCLES: Mapping[str, Fraction] = {"cycle": Fraction(1), "cycles": Fraction(1)}
_SECONDS: Mapping[str, Fraction] = {
    "ps": Fraction(1, 10**12),
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
}
_BYTES_PER_CYCLE: Mapping[str, Fraction] = {"B/cycle": Fraction(1)}
_BYTES_PER_SECOND: Mapping[str, Fraction] = {
    "MB/s": Fraction(10**6),
    "GB/s": Fraction(10**9),
    "MiB/s": Fraction(1024**2),
    "GiB/s": Fraction(1024**3),
}
_BITS: Mapping[str, Fraction] = {"bit": Fraction(1), "bits": Fraction(1), "b": Fraction(1)}


def _split(text: str, kind: str, units: Mapping[str, Fraction], example: str) -> tuple[Fraction, str]:
    """Number and unit of ``text``; a bare number has the unit ``""``."""
    match = _QUANTITY.fullmatch(text.strip())
    unit = (match.group(2) or "").strip() if match else ""
    if match is None or (unit and unit not in units):
        hint = next((f"; did you mean '{u}'?" for u in units if u.lower() == unit.lower()), "")
        if not hint and unit.lower() in ("k", "kb", "mb", "gb", "m", "g") and "KiB" in units:
            hint = f"; did you mean '{unit[0].upper()}iB'? (1024-based)"
        raise ValueError(f"{text!r} is not {kind}; write e.g. '{example}' (units: {', '.join(units)}){hint}")
    number = Fraction(match.group(1))
    if abs(number) > _LARGEST:
        raise ValueError(f"{text[:40]!r} is too large for {kind}")
    return number, unit


def _whole(value: Fraction, text: str, unit: str) -> int:
    if value.denominator != 1:
        raise ValueError(f"{text!r} is {float(value):g} {unit}, not a whole number of them")
    return int(value)


def whole(value: object) -> object:
    """An integral float (``1e3`` in YAML) as the integer it is; text is refused."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        raise ValueError(f"{value!r} is text, not a whole number")
    return value


def size_bytes(value: object) -> object:
    """``"256 KiB"`` as 262144. [bytes]"""
    if not isinstance(value, str):
        return whole(value)
    number, unit = _split(value, "a size", _SIZES, "256 KiB")
    return _whole(number * _SIZES.get(unit, Fraction(1)), value, "bytes")


def width_bits(value: object) -> object:
    """``"8 bits"`` as 8. [bits]"""
    if not isinstance(value, str):
        return whole(value)
    return _whole(_split(value, "a width", _BITS, "8 bits")[0], value, "bits")


def frequency_mhz(value: object) -> object:
    """``"1 GHz"`` as 1000.0; text must carry its unit. [MHz]"""
    if not isinstance(value, str):
        return value
    number, unit = _split(value, "a frequency", _FREQUENCIES, "1 GHz")
    if not unit:
        raise ValueError(f"{value!r} has no unit; write e.g. '{value.strip()} MHz'")
    return float(number * _FREQUENCIES[unit])


def duration_cycles(value: object, clock_mhz: float | None) -> object:
    """``"40 ns"`` as cycles of the clock, rounded up to whole ones; ``"40 cycles"`` and plain numbers as they are."""
    if not isinstance(value, str):
        return whole(value)
    cycles, unit = _duration(value, clock_mhz)
    # Seconds that were cycles of the same clock are as many again, whatever they lost as a decimal number.
    return ceil(cycles - _LOST) if unit in _SECONDS else _whole(cycles, value, "cycles")


def exact_duration_cycles(value: object, clock_mhz: float | None) -> object:
    """``"13.75 ns"`` as cycles of the clock, parts of cycles included: times of a device with a clock of its own."""
    return float(_duration(value, clock_mhz)[0]) if isinstance(value, str) else value


def _duration(text: str, clock_mhz: float | None) -> tuple[Fraction, str]:
    """Cycles of the clock, and the unit in which they were given."""
    number, unit = _split(text, "a duration", {**_CYCLES, **_SECONDS}, "40 cycles")
    return (number * _SECONDS[unit] * _cycles_per_second(text, clock_mhz) if unit in _SECONDS else number), unit


def fractional_cycles(value: object) -> object:
    """``"3.6 cycles"`` as 3.6; for rates that are not whole numbers. [cycles]"""
    if not isinstance(value, str):
        return value
    return float(_split(value, "a number of cycles", _CYCLES, "3.6 cycles")[0])


def bandwidth_bytes_per_cycle(value: object, clock_mhz: float | None) -> object:
    """``"16 GB/s"`` or ``"8 B/cycle"`` as bytes per cycle of the clock."""
    if not isinstance(value, str):
        return value
    number, unit = _split(value, "a bandwidth", {**_BYTES_PER_CYCLE, **_BYTES_PER_SECOND}, "8 B/cycle")
    if unit not in _BYTES_PER_SECOND:
        return float(number)
    return float(number * _BYTES_PER_SECOND[unit] / _cycles_per_second(value, clock_mhz))


def node_nm(value: object) -> object:
    """``"22 nm"`` as 22.0. [nm]"""
    return _of_units(value, "a process node", {"nm": Fraction(1)}, "22 nm")


def voltage_v(value: object) -> object:
    """``"0.8 V"`` as 0.8. [V]"""
    return _of_units(value, "a voltage", {"V": Fraction(1), "mV": Fraction(1, 1000)}, "0.8 V")


def area_um2(value: object) -> object:
    """``"0.5 mm2"`` as 500000.0. [um2]"""
    return _of_units(value, "an area", {"um2": Fraction(1), "mm2": Fraction(10**6)}, "453 um2")


def power_uw(value: object) -> object:
    """``"2.4 uW"`` as 2.4. [uW]"""
    units = {"uW": Fraction(1), "nW": Fraction(1, 1000), "mW": Fraction(1000)}
    return _of_units(value, "a power", units, "2.4 uW")


def _of_units(value: object, kind: str, units: Mapping[str, Fraction], example: str) -> object:
    """Text as a number of the first of some units; what is no text passes through."""
    return in_units(value, kind, units, example) if isinstance(value, str) else value


def in_units(text: str, kind: str, units: Mapping[str, Fraction], example: str) -> float:
    """Return the number of a text, in the first of some units.

    Raises
    ------
    ValueError
        When it has another unit, or is no number.
    """
    number, unit = _split(text, kind, units, example)
    return float(number * units.get(unit, Fraction(1)))


def energy_pj(value: object) -> object:
    """``"0.3 pJ"`` as 0.3. [pJ]"""
    return _of_units(value, "an energy", {"pJ": Fraction(1), "fJ": Fraction(1, 1000), "nJ": Fraction(1000)}, "0.3 pJ")


def _cycles_per_second(text: str, clock_mhz: float | None) -> Fraction:
    if clock_mhz is None:
        raise ValueError(f"{text!r} is in seconds, which needs a valid clock; give it in cycles")
    return Fraction(str(clock_mhz)) * 10**6
