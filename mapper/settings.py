"""Everything that decides the result of a run, besides the model and the machine, as one frozen value.

`RunSettings` can be hashed, compared, and written as plain data; `RunSettings.key` names a result in a store. What
cannot change a result is left out of the key: the number of processes, and whether spans are recorded beside an exact
run. Objects that cannot be written down, such as a callback or a strategy of your own, are no settings:
`mapper.pipeline.run` takes them beside the settings, and a run with a strategy of your own is not described by a key.

Files are named, not read: the key of a run with an energy table of your own does not change with the file's content.
A budget in seconds makes a result depend on how fast the computer is; only a budget of evaluations is reproducible.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import ClassVar, Literal, TypedDict, final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from hwconfigs.errors import suggestion
from mapper.cost.objective import GOALS, Goal
from mapper.search import registry
from mapper.search.budget import Budget
from mapper.search.evaluation import MOST_WORKERS
from mapper.search.options import SearchOptions, SearchProgress

VERSION = 1
"""Grows when a setting is renamed or means something else; a new setting with the old behaviour as default needs no
new version."""

NOT_IN_KEY = frozenset({"workers", "spans"})
"""Settings that cannot change a result, but for this: spans are recorded of exact runs, so they count as `exact`."""

LATER = ("fusion", "source", "causal", "lm_head", "bits", "dims", "routing")
"""Settings that the first version did not have: with their defaults they are not in the key."""

UNFUSED, BEST_CUT, LIBRARY_CUT = "none", "auto", "gemmini"
"""Cuts by name: element-wise activations are fused only; the best that is found; what Gemmini's library fuses."""

CUTS = (UNFUSED, BEST_CUT, LIBRARY_CUT)

_WHOLE_NUMBERS = frozenset({"seq", "context", "batch", "source", "seed", "finalists", "workers"})
_FLAGS = frozenset({"strict_positions", "lm_head", "exact", "spans"})


class SettingsError(ValueError):
    """Settings that make no sense; one line per problem."""


@final
class Overrides(Mapping[str, object]):
    """Changes of a machine by dotted key: a mapping that can be hashed, of values that JSON can hold."""

    __slots__ = ("_canonical", "_changes")

    def __init__(self, changes: Mapping[str, object] | None = None) -> None:
        try:
            text = json.dumps(dict(changes or {}), allow_nan=False)
        except (TypeError, ValueError) as problem:
            raise SettingsError(f"overrides: must be texts, numbers, lists or null by dotted key: {problem}") from None
        # What was read back shares nothing with the caller's mapping, so that nobody can change it afterwards.
        self._changes: dict[str, object] = json.loads(text)
        self._canonical = json.dumps(self._changes, sort_keys=True)

    def __getitem__(self, key: str) -> object:
        return self._changes[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._changes)

    def __len__(self) -> int:
        return len(self._changes)

    def __hash__(self) -> int:
        return hash(self._canonical)

    def __eq__(self, other: object) -> bool:
        return self._canonical == other._canonical if isinstance(other, Overrides) else NotImplemented

    def __repr__(self) -> str:
        return f"Overrides({self._changes!r})"


class RunOptions(TypedDict, total=False):
    """The fields of `RunSettings` as keywords of `mapper.pipeline.run`."""

    seq: int | None
    phase: Literal["prefill", "decode"]
    context: int | None
    batch: int
    strict_positions: bool
    source: int | None
    causal: Literal["full", "skip"]
    lm_head: bool
    bits: str | None
    dims: str | None
    routing: str | None
    overrides: Mapping[str, object] | None
    energy: str | Path | None
    objective: Goal
    fusion: str | Path
    search: str
    budget: Budget | None
    seed: int
    finalists: int | None
    exact: bool
    workers: int
    spans: bool


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What to compute, how to map it, and how exactly to simulate it.

    Raises
    ------
    SettingsError
        For values that make no sense alone or together.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)

    seq: int | None = None
    """Tokens per sequence in the prefill phase."""
    phase: Literal["prefill", "decode"] = "prefill"
    context: int | None = None
    """Tokens in the KV cache before a step of the decode phase."""
    batch: int = 1
    """Sequences at once."""
    strict_positions: bool = False
    """Refuse more positions than the model was trained with."""
    source: int | None = None
    """States of the encoder per sequence, for models with an encoder and a decoder."""
    causal: Literal["full", "skip"] = "full"
    """Whether prompts multiply masked pairs of query and key, or skip blocks of them."""
    lm_head: bool = False
    """Add embedding, final norm and LM head to the layers."""
    bits: str | None = None
    """Widths by role of a tensor, as in ``"weight=4,kv=8"``; None: int8, with int32 biases."""
    dims: str | None = None
    """Sizes of the axes that an ONNX file leaves open, as in ``"batch=1,seq=128"``."""
    routing: str | None = None
    """How tokens are spread over experts: ``"balanced"``, ``"uniform"``, ``"zipf:1.2"`` or a file of counts; None:
    balanced."""
    overrides: Mapping[str, object] | None = None
    """Changes of the machine by dotted key; kept as `Overrides`."""
    energy: str | Path | None = None
    """Energy preset or the path of a file, kept as text; None: the machine's own."""
    objective: Goal = "latency"
    """What the mapping of a matmul minimises. A run needs one mapping, so ``"pareto"`` is for searches alone."""
    fusion: str | Path = UNFUSED
    """Which operators run as one group: a name of `CUTS`, or a file that names the groups, kept as text."""
    search: str = registry.DEFAULT_METHOD
    """How the mapping of a matmul is found: a name of `mapper.search.registry.METHODS`."""
    budget: Budget | None = None
    """Ends the search of each matmul; None: proved, or as the method sets it."""
    seed: int = 0
    finalists: int | None = None
    """How many of the best mappings by the estimate are simulated before one is taken, beside those that may win all
    the same; None: only those that may win. 0: none, and the best by the estimate is taken."""
    exact: bool = False
    """Simulate every loop and every repetition; otherwise steady sequences of loops are passed over, and two
    repetitions stand for all."""
    workers: int = 1
    """Processes that price candidates."""
    spans: bool = False
    """Record stretches of activity for a trace; every loop and every repetition is then simulated, as by ``exact``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "overrides", Overrides(self.overrides))
        for name, value in (("energy", self.energy), ("fusion", self.fusion)):
            if isinstance(value, Path):
                # With its folder in front, a bare file name cannot be read back as a preset of the same name.
                object.__setattr__(self, name, f"{value.parent}{os.sep}{value.name}")
        problems = list(self._wrong_types()) or list(self._problems())
        if problems:
            raise SettingsError("\n".join(problems))

    def _wrong_types(self) -> Iterator[str]:
        """What is wrong with values that no type checker saw; they would fail later, or change the key alone."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.default is None:
                continue
            if field.name in _WHOLE_NUMBERS and (not isinstance(value, int) or isinstance(value, bool)):
                yield f"{field.name}={value!r}: must be a whole number"
            elif field.name in _FLAGS and not isinstance(value, bool):
                yield f"{field.name}={value!r}: must be True or False"
        if not isinstance(self.energy, str | None):
            yield f"energy={self.energy!r}: must be a name or a path"
        if not isinstance(self.fusion, str):
            yield f"fusion={self.fusion!r}: must be {', '.join(CUTS)} or a path"
        if not isinstance(self.budget, Budget | None):
            yield f"budget={self.budget!r}: must be a mapper.search.budget.Budget, as in Budget.parse('2s')"

    def _problems(self) -> Iterator[str]:
        if self.objective not in GOALS:
            yield f"unknown objective {self.objective!r}; use {', '.join(GOALS)}"
        if self.finalists is not None and not 0 <= self.finalists <= registry.MOST_FINALISTS:
            yield f"finalists={self.finalists}: must be 0 to {registry.MOST_FINALISTS}"
        if self.seed < 0:
            yield f"seed={self.seed}: must not be negative"
        if not 1 <= self.workers <= MOST_WORKERS:
            yield f"workers={self.workers}: must be 1 to {MOST_WORKERS}"
        method = registry.find_method(self.search)
        if method is None:
            names = [method.name for method in registry.METHODS]
            yield f"unknown search {self.search!r}; use {', '.join(names)}"
            return
        if self.finalists and not method.ranks_finalists:
            yield f"finalists: the search {self.search!r} ranks none; use {', '.join(registry.WITH_FINALISTS)}"
        if self.budget is not None and not method.searches:
            yield f"budget: {self.search!r} searches nothing"

    def strategy_options(self, progress: SearchProgress | None = None) -> SearchOptions:
        """Return what the search of each matmul is told."""
        return SearchOptions(self.budget, self.seed, self.workers, self.finalists, progress)

    def to_dict(self) -> dict[str, object]:
        """Return plain data that JSON can hold and `from_dict` reads."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["overrides"] = dict(self.overrides or {})
        values["budget"] = None if self.budget is None else asdict(self.budget)
        return {"version": VERSION, **values}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> RunSettings:
        """Read what `to_dict` returns; settings that are left out have their defaults.

        Raises
        ------
        SettingsError
            For another version, an unknown key or a value of a wrong type; every problem is named.
        """
        values = dict(data)
        version = values.pop("version", None)
        if version != VERSION:
            raise SettingsError(f"settings: version {version!r} cannot be read; this is version {VERSION}")
        try:
            return _READER.validate_json(json.dumps(values))
        except TypeError as problem:
            raise SettingsError(f"settings: only what JSON can hold can be read: {problem}") from None
        except ValidationError as error:
            raise SettingsError("\n".join(_explained(dict(issue)) for issue in error.errors())) from None

    @property
    def key(self) -> str:
        """The name of the results of these settings: 64 hexadecimal digits, the same on every computer."""
        values = {name: value for name, value in self.to_dict().items() if name not in NOT_IN_KEY}
        values["exact"] = self.exact or self.spans
        # Results from before there was a choice are found again by the key they had.
        for name in LATER:
            if values[name] == getattr(type(self)(), name):
                del values[name]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


_READER = TypeAdapter(RunSettings)


def _explained(issue: Mapping[str, object]) -> str:
    """Return one line for one pydantic problem."""
    location = issue["loc"]
    path = ".".join(map(str, location)) if isinstance(location, tuple) else str(location)
    if issue["type"] == "unexpected_keyword_argument":
        known = fields(Budget) if path.startswith("budget.") else fields(RunSettings)
        return f"settings: {path}: unknown key{suggestion(path, [field.name for field in known])}"
    message = str(issue["msg"]).removeprefix("Value error, ")
    return f"settings: {path}: {message}" if path else f"settings: {message}"
