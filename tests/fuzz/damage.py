"""Damage done to good texts, by a seed: bytes, lines, values and structure."""

from __future__ import annotations

import random
import re

VALUES = (
    "", "-1", "0", "1", "2147483648", "9" * 40, "9" * 5000, "0x" + "f" * 5000, "1e999", "-1e-300", ".nan", ".inf",
    "NaN", "Infinity",
    "null", "true", "~", "[]", "{}", "[1, 2]", "{a: 1}", "word", "'\"", '"\\ud800"', '"\\u0000"', "é" * 50,
    "*", "&x 1", "*x", "!!python/object:os.system x", "- a", "64 KiB", "64 parsecs", "1 GHz", "16777216", "65536",
    "3.5",
    "softmax", "gemmini", "../a.yaml", "\x1b[2J", "a\tb", "12:30", "1e3", "$(id)", "%s", "{{", "x" * 2000,
)  # fmt: skip
"""What may stand in the place of a value."""


def damaged(text: str, draw: random.Random) -> bytes:
    """Return the text after one to four mutations, in some encoding."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        text = draw.choice((_value, _value, _key, _lines, _cut, _letters, _nest, _repeat))(text, draw)
    content = text.encode("utf-8", "surrogatepass")
    match draw.randrange(24):
        case 0:
            return b"\xef\xbb\xbf" + content
        case 1:
            return text.encode("utf-16", "surrogatepass")
        case 2:
            at = draw.randrange(len(content) + 1)
            return content[:at] + bytes([draw.randrange(256)]) + content[at:]
        case 3:
            return content.replace(b"\n", b"\r\n")
        case _:
            return content


def _value(text: str, draw: random.Random) -> str:
    """Another value behind a colon, a comma or an equals sign."""
    places = [match.span(1) for match in re.finditer(r"[:,=\[]\s?([^\s,:{}\[\]]+)", text)]
    if not places:
        return text + draw.choice(VALUES)
    start, end = draw.choice(places)
    return text[:start] + draw.choice(VALUES) + text[end:]


def _key(text: str, draw: random.Random) -> str:
    """A key misspelt, or in the place of another."""
    places = [match.span() for match in re.finditer(r"[A-Za-z_]{3,}(?=\"?\s*:)", text)]
    if not places:
        return text
    start, end = draw.choice(places)
    other = draw.choice(places)
    word = draw.choice((text[start : end - 1], text[slice(*other)], text[start:end].upper(), "zzz", "1", ""))
    return text[:start] + word + text[end:]


def _lines(text: str, draw: random.Random) -> str:
    """A line lost, doubled or moved."""
    lines = text.split("\n")
    line = lines.pop(draw.randrange(len(lines)))
    for _ in range(draw.randrange(3)):
        lines.insert(draw.randrange(len(lines) + 1), line)
    return "\n".join(lines)


def _cut(text: str, draw: random.Random) -> str:
    return text[: draw.randrange(len(text) + 1)]


def _letters(text: str, draw: random.Random) -> str:
    """A few letters put in or taken out."""
    for _ in range(draw.randrange(1, 6)):
        at = draw.randrange(len(text) + 1)
        text = text[:at] + draw.choice("{}[]:,-#&*!|>'\"%@\\\n\t 019az\x00é") + text[at + draw.randrange(2) :]
    return text


def _nest(text: str, draw: random.Random) -> str:
    """Brackets without end."""
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice(("[", "{a: ", "- ", "'")) * draw.choice((3, 60, 3000)) + text[at:]


def _repeat(text: str, draw: random.Random) -> str:
    """The text, or one line of it, many times."""
    lines = text.split("\n")
    return "\n".join([*lines, *[draw.choice(lines)] * draw.choice((1, 50, 3000))])
