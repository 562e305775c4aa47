"""Constraints as YAML or plain data, read strictly: unknown keys with the nearest known one, all problems at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from hwconfigs.errors import suggestion
from hwconfigs.textfiles import strict_yaml
from hwconfigs.textfiles.reading import UnreadableFile, read_text
from mapper.errors import MappingError
from mapper.nest.mapspace.constraints import AXES, Constraints, LevelRule, Orders, Sets, Sizes, fixed
from mapper.nest.model.problem import TENSORS

LARGEST_SIZE = 2**62
"""Sizes are compared as 64-bit integers."""

MOST_CHOICES = 1000
"""Items of a list; every order of six dimensions is 720."""


def read_constraints(source: Path | str) -> Constraints:
    """Read constraints from a file (a `Path`) or from YAML text (a string).

    Raises
    ------
    MappingError
        With every problem of the file: unknown keys, wrong types, sizes below 1.
    """
    origin = str(source) if isinstance(source, Path) else "constraints"
    try:
        text = read_text(source) if isinstance(source, Path) else source
    except UnreadableFile as error:
        raise MappingError(f"{origin}: cannot read the constraints: {error}") from error
    parsed = strict_yaml.parse(text, origin)
    if parsed.problems:
        raise MappingError("\n".join(parsed.problems))
    return constraints_of(parsed.data, origin)


def constraints_of(data: object, origin: str = "constraints") -> Constraints:
    """Return constraints from plain data (see the module's text); errors as in `read_constraints`."""
    reader = _Reader(origin)
    constraints = reader.constraints(data)
    if reader.problems:
        raise MappingError("\n".join(reader.problems))
    return constraints


class _Reader:
    """Turns plain data into constraints and collects what is wrong with it."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.problems: list[str] = []

    def fail(self, where: str, text: str) -> None:
        self.problems.append(f"{self.origin}: {where}: {text}" if where else f"{self.origin}: {text}")

    def table(self, data: object, where: str, allowed: Iterable[str] | None = None) -> dict[str, object]:
        """Return a dictionary with string keys, only ``allowed`` ones."""
        if data is None:
            return {}
        if not isinstance(data, dict):
            self.fail(where, f"must be a table of keys and values, not {data!r}")
            return {}
        names = None if allowed is None else list(allowed)
        good = {}
        for key, value in data.items():
            if not isinstance(key, str) or (names is not None and key not in names):
                self.fail(f"{where}.{key}".lstrip("."), f"unknown key{suggestion(str(key), names or ())}")
            else:
                good[key] = value
        return good

    def constraints(self, data: object) -> Constraints:
        entries = self.table(data, "", ("levels", "spatial"))
        rules = [self.rule(name, value) for name, value in self.table(entries.get("levels"), "levels").items()]
        spatial = {}
        for axis, value in self.table(entries.get("spatial"), "spatial", AXES).items():
            if isinstance(value, str):
                value = {value: {}}
            where = f"spatial.{axis}"
            spatial[axis] = {dim: self.sizes(v, f"{where}.{dim}") for dim, v in self.table(value, where).items()}
        return Constraints(tuple(rules), spatial)

    def rule(self, memory: str, data: object) -> LevelRule:
        keys = ("tile", "factor", "order", "keep", "bypass", "double_buffer", "single_buffer")
        entries = self.table(data, f"levels.{memory}", keys)
        where = f"levels.{memory}"
        sizes = {
            key: {
                dim: self.sizes(value, f"{where}.{key}.{dim}")
                for dim, value in self.table(entries.get(key), f"{where}.{key}").items()
            }
            for key in ("tile", "factor")
        }
        order = self.order(entries["order"], f"{where}.order") if "order" in entries else Orders()
        return LevelRule(
            memory,
            sizes["tile"],
            sizes["factor"],
            order,
            self.sets(entries, "keep", "bypass", where),
            self.sets(entries, "double_buffer", "single_buffer", where),
        )

    def integer(self, data: object, where: str) -> int:
        if isinstance(data, bool) or not isinstance(data, int) or data < 1:
            self.fail(where, f"must be a whole number of at least 1, not {data!r}")
            return 1
        if data > LARGEST_SIZE:
            self.fail(where, f"{data} is larger than any dimension: at most {LARGEST_SIZE}")
            return 1
        return data

    def sizes(self, data: object, where: str) -> Sizes:
        if isinstance(data, list):
            data = {"any": data}  # the short form
        if not isinstance(data, dict):
            return fixed(self.integer(data, where))
        entries = self.table(data, where, ("any", "min", "max", "not"))
        lists = {}
        for key in ("any", "not"):
            value = entries.get(key)
            if value is not None and not isinstance(value, list):
                value = [value]
            items = value if isinstance(value, list) else []
            sizes = [self.integer(item, f"{where}.{key}") for item in self.bounded(items, f"{where}.{key}")]
            lists[key] = None if value is None else tuple(sizes)
        least = self.integer(entries.get("min", 1), f"{where}.min")
        most = self.integer(entries["max"], f"{where}.max") if "max" in entries else None
        if most is not None and most < least:
            self.fail(where, f"min {least} is larger than max {most}")
        only, never = lists["any"], lists["not"] or ()
        if only is not None and not set(only) - set(never):
            without = f" without {list(never)}" if only else ""
            self.fail(where, f"leaves no size: any of {list(only)}{without}")
        return Sizes(only, least, most, never)

    def order(self, data: object, where: str) -> Orders:
        if isinstance(data, dict):
            entries = self.table(data, where, ("any", "not"))
            only = self.patterns(entries["any"], f"{where}.any") if "any" in entries else None
            return Orders(only, self.patterns(entries.get("not", []), f"{where}.not"))
        return Orders(self.patterns(data, where))

    def patterns(self, data: object, where: str) -> tuple[str, ...]:
        items = self.bounded(data if isinstance(data, list) else [data], where)
        for item in items:
            if not isinstance(item, str) or not re.fullmatch(r"[a-z*]+", item):
                self.fail(where, f"must be dimensions outer to inner, with * for any others, not {item!r:.60}")
        # Many spellings say the same: stars beside stars, and patterns said before.
        return tuple(dict.fromkeys(re.sub(r"\*+", "*", str(item)) for item in items))

    def bounded(self, items: list[object], where: str) -> list[object]:
        """Return the items of a list, none of one that is longer than any space has choices."""
        if len(items) <= MOST_CHOICES:
            return items
        self.fail(where, f"a list of {len(items):,}; at most {MOST_CHOICES:,} choices can be named")
        return []

    def sets(self, entries: Mapping[str, object], key: str, never: str, where: str) -> Sets:
        only = None
        if key in entries:
            data = entries[key]
            several = self.table(data, f"{where}.{key}", ("any",)).get("any", []) if isinstance(data, dict) else [data]
            if not isinstance(several, list):
                self.fail(f"{where}.{key}.any", "must be a list of lists of tensors")
                several = []
            only = tuple(self.tensors(item, f"{where}.{key}") for item in self.bounded(several, f"{where}.{key}"))
        banned = self.tensors(entries.get(never, []), f"{where}.{never}")
        if only is not None and not any(not names & banned for names in only):
            self.fail(
                where,
                f"{key} and {never} contradict: every set to keep names one of {sorted(banned)}"
                if key == "keep"
                else f"{key} and {never} contradict on {sorted(banned)}",
            )
        return Sets(only, banned)

    def tensors(self, data: object, where: str) -> frozenset[str]:
        if not isinstance(data, list):
            self.fail(where, f"must be a list of tensors, not {data!r}")
            return frozenset()
        for item in self.bounded(data, where):
            if item not in TENSORS:
                self.fail(where, f"unknown tensor {item!r}{suggestion(str(item), TENSORS)}")
        return frozenset(str(item) for item in data) & frozenset(TENSORS)
