"""Constraints on a loop nest: free, constrained or fixed, in one grammar.

    levels:
      dram:
        tile: {m: 128, k: {min: 64, max: 512}, n: {not: [768]}}   # what this memory hands on to the next: the step
                                                                  # of its loops, not what it holds [elements]
        factor: {m: 4}                                            # trips of the loops at this memory
        order: "mk*"                                              # outer to inner; * stands for any dimensions
        keep: [input, weight, output]                             # exactly these have a copy here
      scratchpad:
        bypass: [output]                                          # these have none
        double_buffer: [weight]                                   # exactly these have two copies
    spatial: {rows: {k: 16}, cols: n}                             # what the array's axes take

A size is a number, a list (any of them), or ``{any: [...], min: .., max: .., not: [...]}``. An order is a pattern, a
list of patterns (any of them) or ``{not: [...]}``; sets of tensors are lists, or ``{any: [[...], ...]}``. What is not
named is free. A mapping in this form, with everything named, leaves exactly itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations

import numpy as np
import yaml

from hwconfigs.errors import suggestion
from mapper.errors import MappingError
from mapper.mapping.loop_nest import LoopNest
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import NestProblem
from simulator.arrays import Bools, Ints

AXES = ("rows", "cols")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Which integers are left."""

    any: tuple[int, ...] | None = None
    """Only these; None for all."""
    least: int = 1
    most: int | None = None
    never: tuple[int, ...] = ()

    def allow(self, values: Ints) -> Bools:
        """Return the mask of the values that are left."""
        good = values >= self.least
        if self.most is not None:
            good &= values <= self.most
        if self.any is not None:
            good &= np.isin(values, np.array(self.any, np.int64))
        if self.never:
            good &= ~np.isin(values, np.array(self.never, np.int64))
        return good

    def leaves_some(self, size: int) -> bool:
        """Return whether any of 1 .. ``size`` is left, without listing them all."""
        if self.any is not None:
            values = np.array([value for value in self.any if value <= size], np.int64)
        else:
            values = np.arange(self.least, min(size, self.least + len(self.never)) + 1, dtype=np.int64)
        return bool(self.allow(values).any())

    @property
    def is_fixed(self) -> bool:
        """Whether exactly one size is left."""
        return self.any is not None and len(self.any) == 1

    def __str__(self) -> str:
        if self.is_fixed and self.any is not None:
            return f"={self.any[0]}"
        parts = [f" in {list(self.any)}"] if self.any is not None else []
        parts += [f" >= {self.least}"] if self.least > 1 else []
        parts += [f" <= {self.most}"] if self.most is not None else []
        parts += [f" not in {list(self.never)}"] if self.never else []
        return " and".join(parts) or " free"


def fixed(size: int) -> Sizes:
    """Return the rule that leaves one size."""
    return Sizes(any=(size,))


@dataclass(frozen=True, slots=True)
class Orders:
    """Which loop orders are left: patterns outer to inner, * for any dimensions."""

    any: tuple[str, ...] | None = None
    never: tuple[str, ...] = ()

    def of(self, dims: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return the permutations of ``dims`` that are left, in a fixed order."""
        every = _permutations(tuple(dims))
        if self.any is None and not self.never:
            return every
        return tuple(
            order
            for order in every
            if (self.any is None or any(_matches(pattern, order) for pattern in self.any))
            and not any(_matches(pattern, order) for pattern in self.never)
        )


@lru_cache(maxsize=32)
def _permutations(dims: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(permutations(dims))


def _matches(pattern: str, order: Sequence[str]) -> bool:
    """Whether a pattern fits; its pieces between the stars are taken where they first occur, which never misses."""
    text = "".join(order)
    first, *rest = re.split(r"\*+", pattern)
    if not rest:
        return text == pattern
    if not text.startswith(first):
        return False
    at = len(first)
    *middle, last = rest
    for piece in middle:
        at = text.find(piece, at) + len(piece)
        if at < len(piece):
            return False
    return text.endswith(last) and len(text) - len(last) >= at


@dataclass(frozen=True, slots=True)
class Sets:
    """Which sets of tensors are left."""

    any: tuple[frozenset[str], ...] | None = None
    never: frozenset[str] = frozenset()
    """Tensors that no set may contain."""

    def allow(self, names: frozenset[str]) -> bool:
        """Return whether a set is left."""
        return (self.any is None or names in self.any) and not names & self.never


@dataclass(frozen=True, slots=True)
class LevelRule:
    """Constraints at one memory."""

    memory: str
    tile: Mapping[str, Sizes] = field(default_factory=dict)
    """Step of the loop over a dimension [elements]."""
    factor: Mapping[str, Sizes] = field(default_factory=dict)
    """Trips of the loop over a dimension."""
    order: Orders = Orders()
    keep: Sets = Sets()
    double_buffer: Sets = Sets()


@dataclass(frozen=True, slots=True)
class Constraints:
    """What of a mapspace is left."""

    levels: tuple[LevelRule, ...] = ()
    spatial: Mapping[str, Mapping[str, Sizes]] = field(default_factory=dict)
    """Per axis of the array the dimensions it may take, with the number of parts; an axis that is missing is free."""

    def rule(self, memory: str) -> LevelRule:
        """Return the rule of a memory; free if there is none."""
        return next((rule for rule in self.levels if rule.memory == memory), LevelRule(memory))

    @classmethod
    def of(cls, mapping: LoopNest) -> Constraints:
        """Return the constraints that leave exactly one mapping."""
        rules = tuple(
            LevelRule(
                level.memory,
                {loop.dim: fixed(loop.tile) for loop in level.temporal},
                {},
                Orders(("".join(loop.dim for loop in level.temporal),)) if level.temporal else Orders(),
                Sets((level.kept,)),
                Sets((level.double_buffered,)),
            )
            for level in mapping.levels
        )
        spatial: dict[str, dict[str, Sizes]] = {axis: {} for axis in AXES}
        for level in mapping.levels:
            for loop in level.spatial:
                spatial[loop.axis][loop.dim] = fixed(loop.size)
        return cls(rules, spatial)

    def check(self, problem: NestProblem, hierarchy: Hierarchy) -> None:
        """Raise a `MappingError` with every constraint that cannot be met by itself.

        Unknown memories, dimensions and tensors; sizes beyond their dimension; tensors that a memory may not keep.
        """
        broken = [text for rule in self.levels for text in _rule_problems(rule, problem, hierarchy)]
        for axis, dims in self.spatial.items():
            width = hierarchy.rows if axis == "rows" else hierarchy.cols
            for dim, sizes in dims.items():
                broken += _dim_problems(f"spatial.{axis}", dim, problem)
                if not sizes.leaves_some(width):
                    broken.append(f"spatial.{axis}.{dim}{sizes}: the array has {width} {axis}")
        if broken:
            raise MappingError("constraints:\n" + "\n".join(f"  {text}" for text in broken))

    def about(self, dim: str) -> list[str]:
        """Return the constraints that name a dimension, as text."""
        texts = []
        for rule in self.levels:
            texts += [f"{rule.memory}.tile.{dim}{rule.tile[dim]}"] if dim in rule.tile else []
            texts += [f"{rule.memory}.factor.{dim}{rule.factor[dim]}"] if dim in rule.factor else []
        texts += [f"spatial.{axis}.{dim}{dims[dim]}" for axis, dims in self.spatial.items() if dim in dims]
        return texts

    def document(self) -> dict[str, object]:
        """Return the constraints as plain data, for YAML."""
        levels = {rule.memory: _plain_rule(rule) for rule in self.levels}
        document: dict[str, object] = {"levels": {name: entry for name, entry in levels.items() if entry}}
        if self.spatial:
            document["spatial"] = {
                axis: {dim: _plain_sizes(sizes) for dim, sizes in dims.items()} for axis, dims in self.spatial.items()
            }
        return document

    def text(self) -> str:
        """Return the constraints as YAML."""
        dumped: str = yaml.safe_dump(self.document(), sort_keys=False, default_flow_style=None)
        return dumped


def _dim_problems(where: str, dim: str, problem: NestProblem) -> list[str]:
    if dim in problem.names:
        return []
    return [f"{where}.{dim}: unknown dimension{suggestion(dim, problem.names)}"]


def _rule_problems(rule: LevelRule, problem: NestProblem, hierarchy: Hierarchy) -> list[str]:
    if rule.memory not in hierarchy.names:
        return [f"levels.{rule.memory}: unknown memory{suggestion(rule.memory, hierarchy.names)}"]
    broken = []
    for kind, sizes_of in (("tile", rule.tile), ("factor", rule.factor)):
        for dim, sizes in sizes_of.items():
            where = f"{rule.memory}.{kind}"
            broken += _dim_problems(where, dim, problem)
            if dim in problem.names and not sizes.leaves_some(problem.size(dim)):
                meaning = f"; a tile is what {rule.memory} hands on to the next memory" if kind == "tile" else ""
                broken.append(f"{where}.{dim}{sizes}: the dimension has {problem.size(dim)} elements{meaning}")
    for pattern in (*(rule.order.any or ()), *rule.order.never):
        broken += [
            text for dim in pattern.replace("*", "") for text in _dim_problems(f"{rule.memory}.order", dim, problem)
        ]
    if not rule.order.of(problem.names):
        text = f"{rule.memory}.order: no order of {', '.join(problem.names)} is left by {list(rule.order.any or ())}"
        broken.append(text + (f" without {list(rule.order.never)}" if rule.order.never else ""))
    allowed = hierarchy.memories[hierarchy.index(rule.memory)].keeps
    if rule.keep.any is not None and not any(names <= allowed and rule.keep.allow(names) for names in rule.keep.any):
        sets = " or ".join(str(sorted(names)) for names in rule.keep.any)
        never = f" without {sorted(rule.keep.never)}" if rule.keep.never else ""
        broken.append(f"{rule.memory}.keep: {sets}{never}; this memory may keep {sorted(allowed)}")
    elif rule.memory == hierarchy.names[0] and not rule.keep.allow(allowed):
        broken.append(f"{rule.memory}: the outermost memory keeps all of {', '.join(sorted(allowed))}")
    return broken


def _plain_sizes(sizes: Sizes) -> object:
    if sizes.is_fixed and sizes.any is not None:
        return sizes.any[0]
    entry: dict[str, object] = {"any": list(sizes.any)} if sizes.any is not None else {}
    if sizes.least > 1:
        entry["min"] = sizes.least
    if sizes.most is not None:
        entry["max"] = sizes.most
    if sizes.never:
        entry["not"] = list(sizes.never)
    return entry


def _plain_rule(rule: LevelRule) -> dict[str, object]:
    entry: dict[str, object] = {}
    for key, sizes_of in (("tile", rule.tile), ("factor", rule.factor)):
        if sizes_of:
            entry[key] = {dim: _plain_sizes(sizes) for dim, sizes in sizes_of.items()}
    if rule.order.any is not None and not rule.order.never:
        entry["order"] = rule.order.any[0] if len(rule.order.any) == 1 else list(rule.order.any)
    elif rule.order != Orders():
        entry["order"] = {"not": list(rule.order.never)} | ({"any": list(rule.order.any)} if rule.order.any else {})
    for key, never, sets in (("keep", "bypass", rule.keep), ("double_buffer", "single_buffer", rule.double_buffer)):
        if sets.any is not None:
            plain = [sorted(names) for names in sets.any]
            entry[key] = plain[0] if len(plain) == 1 else {"any": plain}
        if sets.never:
            entry[never] = sorted(sets.never)
    return entry


FREE = Constraints()
"""Nothing is constrained."""
