"""Names of hardware fields as axes: which exist, which mean the same, and which is meant by a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pydantic import BaseModel

from hwconfigs.key_names import holds_entries, join, nested, spellings
from hwconfigs.spec import HardwareSpec

SHORTHANDS = {"array.size": ("array.rows", "array.cols")}
"""Names that stand for several fields."""

_TEXTS = frozenset({"name", "description", "source"})
"""Fields that change no result."""


def fields_of(name: str) -> tuple[str, ...]:
    """Return the fields that a dotted name sets, by their full names; () if there is no such field."""
    if name in SHORTHANDS:
        return SHORTHANDS[name]
    model: type[BaseModel] = HardwareSpec
    path = ""
    steps = name.split(".")
    for place, step in enumerate(steps):
        known = spellings(model).get(step)
        if known is None or (not path and known in _TEXTS):
            return ()
        path = join(path, known)
        rest = steps[place + 1 :]
        if not rest:
            return (path,)
        if holds_entries(model, known):
            return (join(path, rest[0]),) if len(rest) == 1 else ()
        inner = nested(model, known)
        if inner is None or inner[0] != "one":
            return ()
        model = inner[1]
    return ()


def all_fields() -> tuple[str, ...]:
    """Return every name that `fields_of` knows, but for entries of mappings."""
    return (*SHORTHANDS, *_names(HardwareSpec, ""))


def _names(model: type[BaseModel], path: str) -> Iterator[str]:
    for short, name in spellings(model).items():
        if not path and name in _TEXTS:
            continue
        yield join(path, short)
        inner = nested(model, name)
        if inner is not None and inner[0] == "one":
            yield from _names(inner[1], join(path, short))


def nearest_name(name: str, others: tuple[str, ...]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest field or other name, else where to look."""
    near = difflib.get_close_matches(name.lower(), [*others, *all_fields()], n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; axes are fields of a machine ('tilewright show hw NAME' prints them) and {', '.join(others)}"
