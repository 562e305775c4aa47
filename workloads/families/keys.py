"""The keys of one file, asked for one by one, so that none is lost.

A reader asks for what it needs; the class's default stands in for an absent key. Keys that nobody asked for are
harmless, or are named in a note, or refused where they are known to change what is computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from workloads.errors import GraphError, nearest
from workloads.families.harmless import is_harmless
from workloads.families.model_type import Decision, ModelType

LARGEST = 2**31
"""Largest size of a model."""

POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")
"""Keys that size no layer."""

_ABSENT = object()


@dataclass(slots=True)
class Keys:
    """A file of one model type."""

    raw: Mapping[str, object]
    origin: str
    name: str
    """The model type."""
    kind: ModelType
    read: set[str] = field(default_factory=set)
    """Keys of the file that were asked for."""
    filled: dict[str, object] = field(default_factory=dict)
    """Sizes that the file leaves to the class."""
    notes: list[str] = field(default_factory=list)

    def fail(self, problem: str) -> GraphError:
        """Return the error of this file."""
        return GraphError(f"{self.origin}: {problem}")

    def own_name(self, key: str) -> str:
        """Return what this type calls a size."""
        return self.kind.traits.sizes.get(key, key)

    def given(self, key: str) -> tuple[str, object]:
        """Return the key that the file uses for ``key`` and its value; an absent one has a value of its own."""
        own = self.own_name(key)
        others = [name for name, target in self.kind.names.items() if target == own]
        present = [name for name in (own, *others) if name in self.raw]
        self.read.update(present)
        if len({repr(self.raw[name]) for name in present}) > 1:
            said = " and ".join(f"{name}={self.raw[name]!r:.30}" for name in present)
            raise self.fail(f"{said} are two names of one key of {self.name} and differ")
        return (present[0], self.raw[present[0]]) if present else (own, _ABSENT)

    def value(self, key: str) -> object:
        """Return the value of a key, or the class's default."""
        _, value = self.given(key)
        return self.kind.defaults.get(self.own_name(key)) if value is _ABSENT else value

    def size(self, key: str, least: int = 1) -> int:
        """Return a whole number of at least ``least`` that must be there, or have a default."""
        number = self.maybe_size(key, least)
        if number is None:
            name, value = self.given(key)
            if value is None:
                raise self.fail(f"key {name!r} is null; a positive whole number is needed")
            raise self.fail(f"key {name!r} is missing, and {self.name} has no default for it{nearest(name, self.raw)}")
        return number

    def maybe_size(self, key: str, least: int = 1) -> int | None:
        """Return a whole number of at least ``least``, None if it is absent without default, or null."""
        name, number = self.given(key)
        if number is _ABSENT:
            number = self.kind.defaults.get(name)
            self._near_miss(name)
            if number is not None and name not in POSITIONS:
                self.filled[name] = number
        if number is None:
            return None
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= LARGEST:
            wanted = "a positive whole number" if least == 1 else f"a whole number of at least {least}"
            raise self.fail(f"{name}={number!r:.60} must be {wanted}")
        return number

    def _near_miss(self, name: str) -> None:
        """Refuse a file in which a default would stand in for a misspelt key."""
        strangers = [key for key in self.raw if not is_harmless(key) and key not in self.kind.defaults]
        hint = nearest(name, [key for key in strangers if _is_slip(key, name)])
        if hint:
            raise self.fail(f"key {name!r} is missing{hint}")

    def flag(self, key: str, default: bool = False) -> bool:
        """Return true or false."""
        name, value = self.given(key)
        if value is _ABSENT or value is None:
            value = self.kind.defaults.get(name, default)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fail(f"{name}={value!r:.60} must be true or false")
        return value

    def decide(self, decision: Decision) -> bool:
        """Return a fact, or what the key that decides says."""
        return decision if isinstance(decision, bool) else self.flag(decision)

    def number(self, key: str, default: float) -> float:
        """Return a finite number."""
        name, value = self.given(key)
        if value is _ABSENT or value is None:
            value = self.kind.defaults.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.fail(f"{name}={value!r:.60} must be a number")
        return float(value)

    def words(self, key: str, length: int) -> list[str] | None:
        """Return a list of ``length`` words, None if it is absent or null."""
        values = self.entries(key, length)
        if values is not None and not all(isinstance(value, str) for value in values):
            raise self.fail(f"{key} must hold words")
        return None if values is None else [str(value) for value in values]

    def whole_numbers(self, key: str, length: int | None) -> list[int] | None:
        """Return a list of whole numbers, None if it is absent or null."""
        values = self.entries(key, length)
        if values is None:
            return None
        numbers = [value for value in values if isinstance(value, int)]
        if len(numbers) < len(values):
            raise self.fail(f"{key} must hold whole numbers")
        return numbers

    def entries(self, key: str, length: int | None) -> list[object] | None:
        """Return a list, None if it is absent or null."""
        values = self.value(key)
        if values is None:
            return None
        if not isinstance(values, list) or (length is not None and len(values) != length):
            found = f"has {len(values)}" if isinstance(values, list) else f"is {values!r:.40}"
            raise self.fail(f"{key} must be a list of {length} entries, one per layer; it {found}")
        return values

    def section(self, key: str) -> Mapping[str, object]:
        """Return an object, an empty one if it is absent or null."""
        value = self.value(key)
        return value if isinstance(value, Mapping) else {}

    def refuse_if(self, key: str, reason: str) -> None:
        """Refuse the file if a key is there and switches something on."""
        _, value = self.given(key)
        if value is _ABSENT:
            value = self.kind.defaults.get(key)
        if value not in (None, False, 0, [], {}):
            raise self.fail(f"{key}={value!r:.40}: {reason}; not modelled")

    def fate(self, key: str) -> str:
        """Return what became of a key: ``"read"``, ``"table"``, ``"harmless"`` or ``"noted"``."""
        if key in self.read:
            return "read"
        if key in self.kind.defaults or key in self.kind.names:
            return "table"
        return "harmless" if is_harmless(key) else "noted"

    def finish(self) -> tuple[str, ...]:
        """Return the notes, with those about keys that nobody asked for and about sizes filled in."""
        unknown = sorted(key for key in self.raw if self.fate(key) == "noted")
        if self.filled:
            said = ", ".join(f"{key}={value}" for key, value in self.filled.items())
            self.notes.append(f"filled in as transformers 5.24.0 does: {said}")
        if unknown:
            self.notes.append(f"keys that {self.name} does not read: {', '.join(unknown)}")
        return tuple(self.notes)


def _is_slip(key: str, name: str) -> bool:
    """Whether a key is another with one or two letters wrong or lost."""
    if abs(len(key) - len(name)) > 2 or key == name:
        return False
    before = list(range(len(name) + 1))
    for row, letter in enumerate(key, 1):
        after = [row]
        for column, other in enumerate(name, 1):
            after.append(min(before[column] + 1, after[-1] + 1, before[column - 1] + (letter != other)))
        before = after
    return before[-1] <= 2 and len(name) > 5
