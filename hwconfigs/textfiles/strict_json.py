"""JSON as plain data, read strictly: what one reader would guess and another not is refused.

Repeated keys, ``NaN`` and ``Infinity``, numbers beyond what any reader holds, and halves of characters (``"\\ud800"``)
are errors, named by line and key where the text tells them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import NoReturn

from hwconfigs.textfiles.reading import HALF, UnreadableFile, holds_half_a_character
from hwconfigs.textfiles.strict_yaml import MOST_DIGITS

_TOKENS = re.compile(r'"(?:\\.|[^"\\])*"\s*:?|-?Infinity|NaN', re.DOTALL)


def parse_json(text: str, *, knows_infinity: bool = False) -> object:
    """Return the value of a JSON text.

    Parameters
    ----------
    text
        One JSON value.
    knows_infinity
        Whether ``NaN``, ``Infinity`` and numbers beyond what a float holds are read, as Python writes them: files of
        the transformers library have them in keys that nobody here asks for.

    Raises
    ------
    UnreadableFile
        What is wrong, after the line or the key.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=float if knows_infinity else _NotANumber.refuse,
            parse_int=_integer,
            parse_float=float if knows_infinity else _float,
        )
        half = next(_halves(value, ""), None)
    except json.JSONDecodeError as error:
        raise UnreadableFile(f"line {error.lineno}: not valid JSON, perhaps truncated: {error.msg}") from error
    except RecursionError as error:
        raise UnreadableFile("nested too deeply") from error
    except _NotANumber as error:
        raise UnreadableFile(_located(text, str(error))) from error
    if half is not None:
        raise UnreadableFile(f"{half}: {HALF}")
    return value


class _NotANumber(ValueError):
    """Raised by the decoder, which does not say where it is."""

    @staticmethod
    def refuse(name: str) -> NoReturn:
        raise _NotANumber(name)


def _located(text: str, name: str) -> str:
    """Return what to say of the first ``NaN`` or ``Infinity`` outside of a string."""
    key = ""
    for token in _TOKENS.finditer(text):
        if not token[0].startswith('"'):
            line = text.count("\n", 0, token.start()) + 1
            return f"line {line}: {key + ': ' if key else ''}{token[0]} is no number"
        if token[0].endswith(":"):
            key = token[0].rstrip(": \t\r\n").strip('"')[:60]
    return f"{name} is no number"


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for at, key in enumerate(keys) if key in set(keys[:at]))
        raise UnreadableFile(f"key {twice!r:.66} is given twice")
    return values


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise UnreadableFile(f"a number of {len(digits):,} digits, {digits[:12]}..., is more than can be read")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise UnreadableFile(f"the number {digits[:40]} is more than can be read")
    return number


def _halves(value: object, path: str) -> Iterator[str]:
    """Yield the places of texts that no encoding can write."""
    if isinstance(value, str):
        if holds_half_a_character(value):
            yield path or "the text"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _halves(key, f"{path}.{key!a}".lstrip("."))
            yield from _halves(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _halves(item, f"{path}[{number}]")
