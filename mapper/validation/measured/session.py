"""Replays measured rows in the order of their file, as the measuring programs ran them.

What ran before a row is in the caches, so the rows of one program share one memory. A ``cold`` row gets operands at
addresses that were never touched, a ``repeat`` row those of the cold row before it. Programs, series and unpublished
twins are explained in `mapper.validation.measured.measuring_programs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import NamedTuple

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.validation.measured import measuring_programs, programs
from mapper.validation.measured.rows import ValidationError, whole
from simulator.machine import count, simulate
from simulator.memory.request_stream import MemoryState

Row = dict[str, str]

BASE = 0x8000_0000
"""Start of the memory of a program."""


class MeasuredSoc(NamedTuple):
    """What a ``gemmini_config`` stands for."""

    machine: str
    """Machine file."""
    changes: Mapping[str, object]
    programs: str
    """Whose constants of `mapper.validation.measured.measuring_programs` hold."""


SMALL_ACCUMULATOR: Mapping[str, object] = {"accumulator.capacity": "64 KiB"}

MACHINES: Mapping[str, MeasuredSoc] = {
    "default_16x16_sp256K_acc64K": MeasuredSoc("gemmini", {}, "gemmini"),
    "chip_16x16_sp64K_acc32K": MeasuredSoc("gemmini_chip", {}, "gemmini_chip"),
    "default_16x16_sp256K_acc64K+norm_timing_model": MeasuredSoc("gemmini_ibert_v071", SMALL_ACCUMULATOR, "hybrid"),
    "default_16x16_sp256K_acc64K+real_normalizer": MeasuredSoc("gemmini_ibert_v071", SMALL_ACCUMULATOR, "normaliser"),
}
"""By ``gemmini_config``."""

WARM_UP_RUNS = 1
"""Runs of a command stream before an ``l2warm`` row is timed (fitted to streams that nearly fill their cache sets)."""

LARGEST_UNPUBLISHED = 600_000
"""Operands of an unpublished twin beyond which it is not replayed: the L2 is full of its row's anyway. [bytes]"""


class Session:
    """The state of the measurements while a file is gone through: series, program, memory, addresses of operands.

    Parameters
    ----------
    core_cycles
        Whether the core works as the measuring program of each test makes it work; otherwise as the machine file says.
    """

    def __init__(self, core_cycles: bool = True) -> None:
        self._core_cycles = core_cycles
        self._config = ""
        self._latency = -1
        self._kind = self._program = ""
        self._second_series = False
        self._memory: MemoryState | None = None
        self._unpublished: tuple[Row, programs.CallCost] | None = None
        self._set_aside: tuple[MemoryState, int, dict[tuple[str, ...], int]] | None = None
        self._next_address = BASE
        self._placed: dict[tuple[str, ...], int] = {}
        self._results: dict[str, programs.Operands] = {}
        self._specs: dict[tuple[str, int, str], HardwareSpec] = {}

    def copy(self) -> Session:
        """The same state, to go back to when a row turns out to make no sense."""
        twin = copy(self)
        twin._memory = None if self._memory is None else self._memory.copy()
        twin._placed, twin._results = dict(self._placed), dict(self._results)
        return twin

    def cycles(self, row: Row, second_series: bool = False) -> int:
        """Simulate the next row [cycles].

        Raises
        ------
        NotModelled, ValidationError
            When the row is only listed, or makes no sense.
        """
        spec = self._enter(row, second_series)
        memory = self._memory
        if memory is None:
            raise AssertionError("a row was entered")
        key = programs.identity(row)
        again = row["state"] in ("repeat", "l2warm") or row["test"] == "mvout_spad"
        fresh = key not in self._placed or not again
        name, cost = self._machine(row), measuring_programs.call_cost(row, self._machine(row), self._second_series)
        if fresh:
            self._run_unpublished(spec, memory)
            self._placed[key] = self._next_address
        built = programs.build(row, spec, self._placed[key], cost, self._results)
        if fresh:
            self._next_address = max(self._next_address, built.end)
        spec = measuring_programs.paced(spec, row, name, len(built.program.items))
        warm_up = 0 if not again else WARM_UP_RUNS if row["state"] == "l2warm" else int(fresh)
        for _ in range(warm_up):
            count(built.program, spec, memory)
        program = built.program
        if self._core_cycles:
            program = measuring_programs.after_setup(program, row, name, self._second_series)
        cycles = simulate(program, spec, memory=memory).cycles
        if fresh and self._second_series and measuring_programs.has_unpublished_twin(row):
            self._unpublished = row, cost
        return cycles

    def _run_unpublished(self, spec: HardwareSpec, memory: MemoryState) -> None:
        """Replay the twin of the row before, so that its lines are in the caches."""
        if self._unpublished is None:
            return
        row, cost = measuring_programs.twin(self._unpublished[0]), self._unpublished[1]
        self._unpublished = None
        if not row["K"] or (whole(row, "M") + whole(row, "N")) * whole(row, "K") < LARGEST_UNPUBLISHED:
            built = programs.build(row, spec, self._next_address, cost, {})
            self._next_address = built.end
            count(built.program, spec, memory)

    @staticmethod
    def _machine(row: Row) -> str:
        return MACHINES[row["gemmini_config"]].programs

    def _enter(self, row: Row, second_series: bool) -> HardwareSpec:
        """Note a new machine, DRAM latency or program: the L2 starts as that program found it."""
        config, latency = row["gemmini_config"], whole(row, "dram_latency")
        if config not in MACHINES:
            raise ValidationError(f"gemmini_config {config!r} unknown; known: {', '.join(MACHINES)}")
        spec = self._spec(config, latency, row)
        kind, new_machine = (
            measuring_programs.kind_of(row),
            (config, second_series) != (self._config, self._second_series),
        )
        if new_machine:
            self._second_series, self._kind = second_series, ""
        if (
            new_machine
            or latency != self._latency
            or row.get("program", "") != self._program
            or measuring_programs.new_program(self._kind, kind, self._second_series and not row.get("program"))
        ):
            self._program = row.get("program", "")
            same = (config, latency) == (self._config, self._latency)
            self._config, self._latency = config, latency
            self._begin_program(spec, kind, same)
        self._kind = kind
        return spec

    def _begin_program(self, spec: HardwareSpec, kind: str, same_machine: bool) -> None:
        """Take caches as a new program finds them or, behind single commands, those of the streams before them."""
        streams = self._set_aside
        self._set_aside = None
        self._unpublished = None
        change = (self._kind, kind) if same_machine else ("", kind)
        if change == (measuring_programs.STREAM, measuring_programs.SINGLE) and self._memory is not None:
            self._set_aside = self._memory, self._next_address, self._placed
        if change == (measuring_programs.SINGLE, measuring_programs.STREAM) and streams is not None:
            self._memory, self._next_address, self._placed = streams
            return
        machine = MACHINES[self._config].programs
        fill, dirty = measuring_programs.fill_at_start(machine, self._second_series, self._kind, kind, self._latency)
        self._memory = MemoryState(spec, foreign=fill, dirty=dirty)
        self._next_address, self._placed = BASE, {}

    def _spec(self, config: str, latency: int, row: Row) -> HardwareSpec:
        soc = MACHINES[config]
        extra: dict[str, object] = {"dram.latency_cycles": latency}
        if row["rows"] and measuring_programs.names_slots(row):
            extra["vector.statistics_slots"] = whole(row, "rows")
        if self._core_cycles:
            extra |= measuring_programs.core_pace(row, soc.programs)
        key = (config, latency, str(extra))
        if key not in self._specs:
            self._specs[key] = hwconfigs.load(soc.machine, {**soc.changes, **extra})
        return self._specs[key]
