"""What a sweep is: a base machine and model, settings, axes, filters, and the limits of a point."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hwconfigs.errors import suggestion
from mapper.errors import MappingError, SweepError
from mapper.search import registry
from mapper.search.budget import Budget
from mapper.settings import RunSettings, SettingsError
from mapper.sweep.axes import Axis, linked_axis, single_axis
from mapper.sweep.filters import Filter, read_filter
from mapper.sweep.machine_fields import fields_of, nearest_name

DEFAULT_MACHINE = "gemmini_ibert"
"""That of ``tilewright run``."""

MAPPING = "mapping"
"""The word of the command line for how a mapping is found; in settings it is ``search``."""

FIXED_ONLY = frozenset({"overrides", "workers", "spans", "strict_positions"})

SETTINGS_AXES = tuple(one.name for one in fields(RunSettings) if one.name not in FIXED_ONLY)

PLAIN_NAMES = ("machine", "model", MAPPING, *SETTINGS_AXES)
"""Names of axes that are no fields of a machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A sweep whose names and values were checked; `Sweep.of` makes one from plain lists.

    Raises
    ------
    SweepError
        For names that do not exist or are given twice, and values that no run takes; every problem has its line.
    """

    model: str | None = None
    """A preset, the path of a file, or a matmul as ``512x768x768``; None: an axis names it."""
    machine: str = DEFAULT_MACHINE
    settings: RunSettings = field(default_factory=RunSettings)
    """What the axes do not change; its overrides are those of every point."""
    axes: tuple[Axis, ...] = ()
    """The last one changes fastest."""
    filters: tuple[Filter, ...] = ()
    timeout_s: float | None = None
    """Longest time of a point [s]."""
    memory_bytes: int | None = None
    """Most memory of the process that computes a point [bytes]."""
    source: str = field(default="", repr=False, compare=False)
    """Path of its file, for messages; empty if it has none."""

    def __post_init__(self) -> None:
        problems = [*self._problems_of_names(), *self._problems_of_limits()]
        problems = problems or [*self._problems_of_values(), *self._problems_of_filters()]
        if problems:
            raise SweepError("\n".join(problems))

    @classmethod
    def of(
        cls,
        model: str | None = None,
        machine: str = DEFAULT_MACHINE,
        settings: RunSettings | None = None,
        *,
        axes: Mapping[str, object] | None = None,
        linked: Sequence[Mapping[str, object]] = (),
        filters: Sequence[str] = (),
        timeout_s: float | None = None,
        memory_bytes: int | None = None,
        source: str = "",
    ) -> Sweep:
        """Make a sweep from plain data.

        Parameters
        ----------
        axes
            Name to a list of values, or to a range ``{"from": 8, "to": 64, "factor": 2}``. Names are ``machine``,
            ``model``, settings as ``seq`` or ``objective``, and fields of the machine as ``scratchpad.capacity``.
        linked
            Axes whose values go together, first with first.
        filters
            Comparisons that a point has to fulfil, as ``"scratchpad.capacity >= 2 * accumulator.capacity"``.
        """
        if not isinstance(axes, Mapping | None):
            raise SweepError("axes: must map names to lists of values or to ranges")
        made = [single_axis(name, values) for name, values in (axes or {}).items()]
        made += [linked_axis(values) for values in linked]
        names = frozenset(name for axis in made for name in axis.names)
        return cls(
            model=model,
            machine=machine,
            settings=settings or RunSettings(),
            axes=tuple(made),
            filters=tuple(read_filter(text, names) for text in filters),
            timeout_s=timeout_s,
            memory_bytes=memory_bytes,
            source=source,
        )

    def problem(self, text: str) -> SweepError:
        """Return an error that names the file, if there is one."""
        return SweepError(f"{self.source}: {text}" if self.source else text)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all axes in their order."""
        return tuple(name for axis in self.axes for name in axis.names)

    @property
    def combinations(self) -> int:
        """Points before filters."""
        return math.prod(len(axis.rows) for axis in self.axes)

    def choices(self, most: int | None = None) -> Iterator[dict[str, object]]:
        """Yield the values of every point by name, in the order of the table; of the first ``most`` combinations."""
        names = self.names
        for rows in itertools.islice(itertools.product(*(axis.rows for axis in self.axes)), most):
            values = dict(zip(names, itertools.chain.from_iterable(rows), strict=True))
            if all(one.holds(values) for one in self.filters):
                yield values

    def settings_of(self, values: Mapping[str, object]) -> RunSettings:
        """Return the settings of a point; a `SettingsError` if its values contradict each other."""
        chosen: dict[str, Any] = {
            setting_name(name): setting_value(name, value)
            for name, value in values.items()
            if name in PLAIN_NAMES and name not in ("machine", "model")
        }
        changes = {name: value for name, value in values.items() if name not in PLAIN_NAMES}
        return replace(self.settings, **chosen, overrides={**(self.settings.overrides or {}), **changes})

    def _problems_of_names(self) -> Iterator[str]:
        seen: dict[str, str] = {}
        for name in (*(self.settings.overrides or {}), *self.names):
            is_plain = name in PLAIN_NAMES and name in self.names
            for one in (setting_name(name),) if is_plain else fields_of(name):
                if one in seen:
                    also = "" if seen[one] == name else f", also as {seen[one]}"
                    yield f"axes: {name}: is given twice{also}; an axis and 'set' count alike"
                seen[one] = name
            if not is_plain and not fields_of(name):
                yield f"axes: {name}: unknown field{nearest_name(name, PLAIN_NAMES)}"
        if self.model is None and "model" not in self.names:
            yield "model: missing; name one, or give an axis 'model'"

    def _problems_of_limits(self) -> Iterator[str]:
        if self.timeout_s is not None and not 0 < self.timeout_s < math.inf:
            yield f"timeout: {self.timeout_s!r}: must be a time above 0 s"
        if self.memory_bytes is not None and not self.memory_bytes >= 2**26:
            yield f"memory: {self.memory_bytes!r}: must be at least 64 MiB"

    def _problems_of_filters(self) -> Iterator[str]:
        """Yield words that no axis has: a filter that always holds, or never, was meant otherwise."""
        columns = {name: [row[at] for row in axis.rows] for axis in self.axes for at, name in enumerate(axis.names)}
        for one in self.filters:
            for name, value in one.texts():
                known = {"null" if cell is None else str(cell) for cell in columns[name]}
                if value not in known:
                    yield f"filters: {one.text}: {name} is never {value}{suggestion(value, known)}"

    def _problems_of_values(self) -> Iterator[str]:
        """Yield what is wrong with values of settings, each beside the settings that no axis changes."""
        for axis in self.axes:
            for row in axis.rows:
                values = {name: value for name, value in zip(axis.names, row, strict=True) if name in PLAIN_NAMES}
                try:
                    settings = self.settings_of(values)
                except (SettingsError, MappingError) as problem:
                    yield from (f"axes: {line}" for line in str(problem).splitlines())
                    continue
                if settings.objective == "pareto":
                    yield "axes: objective: a point needs one mapping; use latency, energy or edp"
                for name in ("machine", "model"):
                    if name in values and not (isinstance(values[name], str) and values[name]):
                        yield f"axes: {name}: {values[name]!r} is no name"


def setting_name(name: str) -> str:
    """Return the field of `RunSettings` that a name means."""
    return "search" if name == MAPPING else name


def setting_value(name: str, value: object) -> object:
    """Return a value as `RunSettings` takes it; a `MappingError` for a budget that is none."""
    if name == MAPPING and value == "best":
        return registry.DEFAULT_METHOD
    if name == "budget" and value is not None:
        return Budget.parse(str(value))
    return value
