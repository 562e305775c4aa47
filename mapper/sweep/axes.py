"""Axes: the values that a sweep gives to one name, or to several names at once."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from hwconfigs.errors import suggestion
from mapper.errors import SweepError

MOST_VALUES = 100_000
"""Values of one axis."""

MOST_BITS = 100_000
"""Binary digits that the last value of a range may need: some thousand factors such as 1.001."""

_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2})?)(\s*\S.*)?")

MOST_CHARACTERS = 40
"""Of a number in a range, with its unit: no quantity of a machine is longer."""

_RANGE_KEYS = ("from", "to", "step", "factor")


@dataclass(frozen=True, slots=True)
class Axis:
    """Names that change together, and what they are at each place of the axis."""

    names: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    """One value for each name."""


def single_axis(name: str, values: object) -> Axis:
    """Return the axis of one name.

    Parameters
    ----------
    name
        For messages.
    values
        A list of values, or a range: ``{"from": 8, "to": 64, "factor": 2}``, with ``step`` in place of ``factor`` for
        equal distances. Both ends belong to it; text has its unit, as in ``"64 KiB"``.

    Raises
    ------
    SweepError
        For an empty axis, a value given twice, or a range that makes no sense.
    """
    listed = _listed(name, values)
    if not listed:
        raise SweepError(f"axes: {name}: is empty; give at least one value")
    if len(listed) > MOST_VALUES:
        raise SweepError(f"axes: {name}: has {len(listed):,} values; at most {MOST_VALUES:,}")
    seen: set[str] = set()
    for value in listed:
        text = canonical(name, value)
        if text in seen:
            raise SweepError(f"axes: {name}: the value {text} is given twice")
        seen.add(text)
    return Axis((name,), tuple((value,) for value in listed))


def linked_axis(values: Mapping[str, object]) -> Axis:
    """Return the axis of names whose values go together, first with first.

    Raises
    ------
    SweepError
        As `single_axis`, and for lists of different lengths.
    """
    columns = [[canonical_value(row) for row in _listed(name, column)] for name, column in values.items()]
    lengths = {name: len(column) for name, column in zip(values, columns, strict=True)}
    if len(lengths) < 2:
        raise SweepError(f"linked: {', '.join(lengths) or 'an entry'}: name at least two axes, or write it under axes")
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise SweepError(f"linked: axes must have equally many values: {shown}")
    rows = tuple(zip(*columns, strict=True))
    if not rows:
        raise SweepError(f"linked: {', '.join(lengths)}: is empty; give at least one value")
    texts = [canonical(", ".join(values), list(row)) for row in rows]
    twice = next((text for text, count in Counter(texts).items() if count > 1), None)
    if twice is not None:
        raise SweepError(f"linked: {', '.join(lengths)}: the values {twice} are given twice")
    return Axis(tuple(values), rows)


def canonical(name: str, value: object) -> str:
    """Return one text for equal values.

    Raises
    ------
    SweepError
        For a value that JSON cannot hold.
    """
    try:
        return json.dumps(canonical_value(value), sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        raise SweepError(f"axes: {name}: {value!r} must be a number, text, true, false, null or a list") from None


def canonical_value(value: object) -> object:
    """Return plain data: numpy's numbers as Python's, whole floats as the integers that they are."""
    item = getattr(value, "item", None)
    plain = item() if callable(item) else value
    if isinstance(plain, float) and plain.is_integer():
        return int(plain)
    return [canonical_value(part) for part in plain] if isinstance(plain, list | tuple) else plain


def _listed(name: str, values: object) -> list[object]:
    if isinstance(values, Mapping):
        return list(_ranged(name, values))
    if isinstance(values, Sequence) and not isinstance(values, str):
        return [canonical_value(value) for value in values]
    raise SweepError(f"axes: {name}: must be a list of values or a range with {', '.join(_RANGE_KEYS)}")


def _ranged(name: str, values: Mapping[str, object]) -> Iterator[object]:
    """Yield the values of a range, ends included; exact arithmetic keeps 0.1, 0.2, 0.3 what they are."""
    for key in values:
        if key not in _RANGE_KEYS:
            raise SweepError(f"axes: {name}: {key}: unknown key of a range{suggestion(str(key), _RANGE_KEYS)}")
    if "from" not in values or "to" not in values or ("step" in values) == ("factor" in values):
        raise SweepError(f"axes: {name}: a range needs from, to, and either step or factor")
    first, unit = _quantity(name, values["from"])
    last, last_unit = _quantity(name, values["to"])
    change, change_unit = _quantity(name, values.get("step", values.get("factor")))
    wanted = (unit, "" if "factor" in values else unit)
    if (last_unit, change_unit) != wanted:
        raise SweepError(f"axes: {name}: from, to and step of a range must have one unit, and a factor none")
    if "factor" in values:
        if first <= 0 or last <= 0 or change <= 0 or change == 1 or (last > first) != (change > 1) != (last == first):
            raise SweepError(f"axes: {name}: no number of factors leads from {first} to {last}")
    elif change == 0 or ((last > first) != (change > 0) and last != first):
        raise SweepError(f"axes: {name}: no number of steps leads from {float(first):g} to {float(last):g}")
    if _length(first, last, change, factor="factor" in values) > MOST_VALUES:
        raise SweepError(f"axes: {name}: the range has more than {MOST_VALUES:,} values")
    if first == last:
        yield _written(first, unit)
        return
    value = first
    while (value <= last) if last >= first else (value >= last):
        yield _written(value, unit)
        value = value * change if "factor" in values else value + change


def _length(first: Fraction, last: Fraction, change: Fraction, *, factor: bool) -> float:
    """Return about how many values a range has, without walking it: products of fractions grow with each."""
    if not factor:
        return float((last - first) / change) + 1 if change else 1.0
    # Digits of an exact product grow with every factor: many factors of many digits take for ever.
    times = abs(math.log(last / first) / math.log(change)) + 1
    return times if times * math.log2(change.denominator) < MOST_BITS else math.inf


def _quantity(name: str, value: object) -> tuple[Fraction, str]:
    """Return number and unit."""
    plain = canonical_value(value)
    text = str(plain).strip() if isinstance(plain, int | float | str) and not isinstance(plain, bool) else ""
    match = _NUMBER.fullmatch(text) if len(text) <= MOST_CHARACTERS else None
    if match is None:
        raise SweepError(f"axes: {name}: {value!r:.60} in a range is neither a number nor a quantity as '64 KiB'")
    return Fraction(match.group(1)), (match.group(2) or "").strip()


def _written(value: Fraction, unit: str) -> object:
    number = int(value) if value.denominator == 1 else float(value)
    return f"{number} {unit}" if unit else number
