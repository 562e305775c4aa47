"""Filters: which combinations of a sweep's values are points, by comparisons that are read and never executed.

A filter is a comparison such as ``scratchpad.capacity >= 2 * accumulator.capacity`` or ``objective == edp``, or several
with ``or`` between them. Every filter of a sweep has to hold.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from hwconfigs import quantity
from hwconfigs.errors import suggestion
from mapper.errors import SweepError

_COMPARISON = re.compile(r"(.+?)(<=|>=|==|!=|<|>)(.+)", re.DOTALL)

_COMPARE: Mapping[str, Callable[[Fraction, Fraction], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
}  # fmt: skip

_READERS = (quantity.size_bytes, quantity.frequency_mhz, quantity.width_bits, quantity.fractional_cycles)

LONGEST = 500
"""Characters of a filter."""


@dataclass(frozen=True, slots=True)
class _Comparison:
    left: tuple[str, ...]
    """Factors of a product: names, numbers or quantities."""
    sign: str
    right: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """Comparisons of which one has to hold."""

    text: str
    alternatives: tuple[_Comparison, ...]
    names: frozenset[str]
    """What may be compared."""

    @property
    def words(self) -> frozenset[str]:
        """Everything that is compared: names and values."""
        return frozenset(word for one in self.alternatives for word in (*one.left, *one.right))

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield names that are compared with a word, and the word: what may be misspelt."""
        for one in self.alternatives:
            if one.sign not in ("==", "!="):
                continue  # that has no order is told when it is compared
            for names, words in ((one.left, one.right), (one.right, one.left)):
                value = _number(words[0])
                is_word = len(words) == 1 and words[0] not in self.names and isinstance(value, str)
                if len(names) == 1 and names[0] in self.names and is_word:
                    yield names[0], str(value)

    def holds(self, values: Mapping[str, object]) -> bool:
        """Return whether a combination of values, by name, is a point.

        Raises
        ------
        SweepError
            When values have no order, or are no numbers and are multiplied.
        """
        return any(self._holds(one, values) for one in self.alternatives)

    def _holds(self, one: _Comparison, values: Mapping[str, object]) -> bool:
        left, right = (_value(words, values) for words in (one.left, one.right))
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return _COMPARE[one.sign](left, right)
        if one.sign in ("==", "!="):
            return (left == right) == (one.sign == "==")
        raise SweepError(f"filters: {self.text}: {left if isinstance(left, str) else right!r} is not a number")


def read_filter(text: object, names: frozenset[str]) -> Filter:
    """Read one filter.

    Parameters
    ----------
    text
        As a user wrote it.
    names
        What may be compared.

    Raises
    ------
    SweepError
        For text that is no comparison, or one without any of the names.
    """
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST:
        raise SweepError(f"filters: {str(text)[:40]!r}: must be a comparison, as in 'array.size <= 32'")
    alternatives = []
    for part in re.split(r"\bor\b", text):
        match = _COMPARISON.fullmatch(part.strip())
        if match is None or re.search(r"[<>=!]", match.group(1) + match.group(3)):
            raise SweepError(f"filters: {text}: must be a comparison, as in 'array.size <= 32'; signs: <= >= < > == !=")
        left, right = (tuple(word.strip() for word in side.split("*")) for side in match.group(1, 3))
        if not all((*left, *right)):
            raise SweepError(f"filters: {text}: a side of the comparison, or a factor, is missing")
        alternatives.append(_Comparison(left, match.group(2), right))
    for one in alternatives:
        _check_names(text, one, names)
    return Filter(text, tuple(alternatives), names)


def _check_names(text: str, one: _Comparison, names: frozenset[str]) -> None:
    """Each comparison must depend on the sweep, and a dotted word must be one of its names."""
    words = (*one.left, *one.right)
    for word in words:
        if word not in names and re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+", word):
            raise SweepError(f"filters: {text}: {word} is no axis of this sweep{suggestion(word, names)}")
    if not any(word in names for word in words):
        raise SweepError(f"filters: {text}: names no axis of this sweep{suggestion(one.left[0], names)}")


def _value(words: tuple[str, ...], values: Mapping[str, object]) -> Fraction | str:
    """Return a product as a number, or the one text that is no number."""
    factors = [_number(values.get(word, word)) for word in words]
    if len(factors) == 1:
        return factors[0]
    product = Fraction(1)
    for factor in factors:
        if isinstance(factor, str):
            raise SweepError(f"filters: {' * '.join(words)}: {factor!r} is not a number")
        product *= factor
    return product


def _number(value: object) -> Fraction | str:
    """Return a value as a number: of bytes, MHz, bits or cycles if it has such a unit; other values as text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Fraction(str(value))
    text = str(value).strip()
    for read in _READERS:
        try:
            number = read(text)
        except ValueError:
            continue
        if isinstance(number, int | float):
            return Fraction(str(number))
    return "null" if value is None else text.strip("'\"")
