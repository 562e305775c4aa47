"""What came out: counts of actions, time of units, energy, and the numbers derived from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Action = tuple[str, str]
"""(unit, action), e.g. ("scratchpad", "read_row")."""

STATIC: Action = ("static", "leakage")
"""What the die leaks while the machine runs: an energy that follows the cycles and has no count."""


class Counts(Mapping[Action, int]):
    """How often each (unit, action) happened. Immutable; adds, and scales by a repeat count."""

    __slots__ = ("_numbers",)

    def __init__(self, numbers: Mapping[Action, int] | None = None) -> None:
        cleaned = {key: int(value) for key, value in (numbers or {}).items() if value}
        negative = [key for key, value in cleaned.items() if value < 0]
        if negative:
            raise ValueError(f"negative counts: {negative}")
        self._numbers = MappingProxyType(dict(sorted(cleaned.items())))

    def __getitem__(self, key: Action) -> int:
        return self._numbers.get(key, 0)

    def __iter__(self) -> Iterator[Action]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counts) and dict(self._numbers) == dict(other._numbers)

    def __hash__(self) -> int:
        return hash(tuple(self._numbers.items()))

    def __add__(self, other: Counts) -> Counts:
        return Counts(Counter(dict(self._numbers)) + Counter(dict(other._numbers)))

    def __mul__(self, times: int) -> Counts:
        return Counts({key: value * times for key, value in self._numbers.items()})

    def __repr__(self) -> str:
        return f"Counts({dict(self._numbers)!r})"


@dataclass(frozen=True, slots=True)
class UnitTime:
    """Where one unit's cycles went: busy + all stalls + idle = cycles of the report."""

    busy_cycles: int
    stall_cycles: Mapping[str, int]
    idle_cycles: int

    @property
    def total_cycles(self) -> int:
        return self.busy_cycles + sum(self.stall_cycles.values()) + self.idle_cycles

    def __add__(self, other: UnitTime) -> UnitTime:
        stalls = Counter(dict(self.stall_cycles)) + Counter(dict(other.stall_cycles))
        return UnitTime(
            self.busy_cycles + other.busy_cycles, dict(sorted(stalls.items())), self.idle_cycles + other.idle_cycles
        )

    def __mul__(self, times: int) -> UnitTime:
        stalls = {cause: cycles * times for cause, cycles in self.stall_cycles.items()}
        return UnitTime(self.busy_cycles * times, stalls, self.idle_cycles * times)


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of activity of one unit, for traces [cycles]."""

    unit: str
    name: str
    start: int
    end: int
    work: int | None = None
    """Number of the loop or command sequence that it belongs to, the same for each unit that works on it."""
    tensors: tuple[str, ...] = ()
    """What was loaded or stored."""
    busy_cycles: int = 0
    """Cycles of it in which the unit worked; in the others it waited for its own commands."""

    def later(self, cycles: int, works: int = 0) -> Span:
        """Return it in a run that begins so many cycles, and so many works, later."""
        work = None if self.work is None else self.work + works
        return Span(self.unit, self.name, self.start + cycles, self.end + cycles, work, self.tensors, self.busy_cycles)


@dataclass(frozen=True, slots=True)
class Level:
    """How much of one tensor lies in one memory, from a cycle on until its next level."""

    memory: str
    tensor: str
    cycle: int
    size_bytes: int

    def later(self, cycles: int) -> Level:
        """Return it in a run that begins so many cycles later."""
        return Level(self.memory, self.tensor, self.cycle + cycles, self.size_bytes)


@dataclass(frozen=True, slots=True)
class Report:
    """Latency, counts and energy of one operator, or of a graph with its operators in ``by_op``.

    ``source`` says who computed it. ``energy_pj_by_action`` prices ``counts``; it is empty until an energy model was
    applied.
    """

    name: str
    source: Literal["estimate", "simulate"]
    machine: str
    clock_mhz: float
    cycles: int
    counts: Counts
    units: Mapping[str, UnitTime]
    peak_macs_per_cycle: int
    bound: str = "compute"
    """What takes most of the cycles, by the rule of ``simulator.bottleneck``."""
    energy_pj_by_action: Mapping[Action, float] = field(default_factory=dict)
    peak_bytes: Mapping[str, int] = field(default_factory=dict)
    by_op: tuple[Report, ...] = ()
    repeat: int = 1
    """How often this operator runs; all numbers are for all runs together."""
    spans: tuple[Span, ...] = ()
    levels: tuple[Level, ...] = ()
    """What the memories held, by cycle; recorded with the spans."""

    @property
    def latency_s(self) -> float:
        return self.cycles / (self.clock_mhz * 1e6)

    @property
    def macs(self) -> int:
        return self.counts["array", "mac"]

    @property
    def energy_pj(self) -> float:
        return float(sum(self.energy_pj_by_action.values()))

    @property
    def static_pj(self) -> float:
        """What the die leaks, a part of the energy [pJ]."""
        return self.energy_pj_by_action.get(STATIC, 0.0)

    @property
    def energy_pj_by_unit(self) -> dict[str, float]:
        parts: dict[str, float] = {}
        for (unit, _), value in self.energy_pj_by_action.items():
            parts[unit] = parts.get(unit, 0.0) + value
        return parts

    @property
    def edp_js(self) -> float:
        """Energy-delay product [J s]."""
        return self.energy_pj * 1e-12 * self.latency_s

    @property
    def utilisation(self) -> float:
        """Multiply-accumulates done over those possible in the time."""
        return self.macs / (self.peak_macs_per_cycle * self.cycles) if self.cycles else 0.0

    @property
    def dram_bytes(self) -> int:
        return self.counts["dram", "read_byte"] + self.counts["dram", "write_byte"]

    @property
    def intensity(self) -> float:
        """Operations (two per MAC) per byte of DRAM traffic."""
        return 2 * self.macs / self.dram_bytes if self.dram_bytes else float("inf")


def price(counts: Counts, pj: Mapping[Action, float]) -> dict[Action, float]:
    """Energy of each (unit, action) [pJ].

    Raises
    ------
    KeyError
        When an action that happened has no price.
    """
    missing = sorted(key for key in counts if key not in pj)
    if missing:
        raise KeyError(f"no energy for {missing}")
    return {key: counts[key] * pj[key] for key in counts}


def total_units(parts: Iterable[Mapping[str, UnitTime]]) -> dict[str, UnitTime]:
    """Sum the unit times of several reports that ran one after another."""
    total: dict[str, UnitTime] = {}
    for part in parts:
        for unit, time in part.items():
            total[unit] = total[unit] + time if unit in total else time
    return total
