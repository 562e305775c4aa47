"""Replays measured rows in the order of their file, as the measuring programs ran them.

What ran before a row is in the caches: rows of one machine and DRAM latency that follow each other in the file share
one memory, empty at the
start. A ``cold`` row gets operands at addresses never touched, a ``repeat`` row those of the cold row before it. A
machine that comes back after
another one was measured belongs to a later campaign, whose programs spend more core cycles around each call.
"""

from __future__ import annotations

from dataclasses import dataclass

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.validation import programs
from mapper.validation.rows import ValidationError, whole
from simulator.machine import count, simulate
from simulator.memory.traffic import MemoryState
from simulator.program import Program

Row = dict[str, str]

BASE = 0x8000_0000
"""Start of the memory of a program."""

MACHINES: dict[str, tuple[str, dict[str, object]]] = {
    "default_16x16_sp256K_acc64K": ("gemmini", {}),
    "chip_16x16_sp64K_acc32K": ("gemmini_chip", {}),
    "default_16x16_sp256K_acc64K+norm_timing_model": ("gemmini_ibert", {"accumulator.capacity": "64 KiB"}),
}
"""Machine file and changes for each ``gemmini_config``."""

WARM_UP_RUNS = 2
"""Runs of a command stream before an ``l2warm`` row is timed (fitted to streams that nearly fill their cache sets)."""

PRECOMPUTED_COMMAND_CYCLES = 4
"""Issue cost of a command whose operands were computed beforehand: "a few core instructions" (measured streams)."""


@dataclass(frozen=True, slots=True)
class Software:
    """Core cycles of a measured program around one library call, before its first hardware loop.

    These belong to the measuring programs, not to the machine: project notes on the RTL measurements, "Software
    inside the measured time", and on calibration, section 1.1 item 5.
    """

    given_tile: int
    searched: int
    per_round: int


CAMPAIGNS: dict[str, tuple[Software, Software]] = {
    "gemmini": (Software(330, 270, 46), Software(465, 400, 30)),
    "gemmini_chip": (Software(900, 900, 0), Software(1640, 1640, 0)),
    "gemmini_ibert": (Software(330, 270, 46), Software(465, 400, 30)),
}


class Session:
    """Memory and campaign while going through a file."""

    def __init__(self) -> None:
        self._config = ""
        self._latency = -1
        self._blocks: dict[str, int] = {}
        self._memory: MemoryState | None = None
        self._next_address = BASE
        self._placed: dict[tuple[str, ...], int] = {}
        self._results: dict[str, programs.Place] = {}
        self._specs: dict[tuple[str, int, str], HardwareSpec] = {}

    def cycles(self, row: Row) -> int:
        """Simulated cycles of the next row.

        Raises
        ------
        NotModelled, ValidationError
            When the row is only listed, or makes no sense.
        """
        spec = self._enter(row)
        memory = self._memory
        if memory is None:
            raise AssertionError("a row was entered")
        key = programs.identity(row)
        again = row["state"] in ("repeat", "l2warm")
        fresh = key not in self._placed or not (again or row["test"] == "mvout_spad")
        if fresh:
            self._placed[key] = self._next_address
        built = programs.build(row, spec, self._placed[key], self._software(row), self._results)
        if fresh:
            self._next_address = max(self._next_address, built.end)
        warm_up = 0 if not again else WARM_UP_RUNS if row["state"] == "l2warm" else int(fresh)
        for _ in range(warm_up):
            count(built.program, spec, memory)
        return self._run(built.program, spec, memory)

    def _run(self, program: Program, spec: HardwareSpec, memory: MemoryState) -> int:
        return simulate(program, spec, memory=memory).cycles

    def _enter(self, row: Row) -> HardwareSpec:
        """Note a change of machine or DRAM latency; caches start empty there."""
        config, latency = row["gemmini_config"], whole(row, "dram_latency")
        if config not in MACHINES:
            raise ValidationError(f"gemmini_config {config!r} unknown; known: {', '.join(MACHINES)}")
        spec = self._spec(config, latency, row)
        if config != self._config:
            self._blocks[config] = self._blocks.get(config, 0) + 1
        if (config, latency) != (self._config, self._latency):
            self._config, self._latency = config, latency
            self._memory = MemoryState(spec, empty=True)
            self._next_address = BASE
            self._placed.clear()
        return spec

    def _spec(self, config: str, latency: int, row: Row) -> HardwareSpec:
        name, changes = MACHINES[config]
        extra: dict[str, object] = {"dram.latency_cycles": latency}
        if "norm_timing_model" in config and row["rows"]:
            extra["vector.statistics_slots"] = whole(row, "rows")
        if "precomp" in row["test"]:
            extra["host.command_cycles"] = PRECOMPUTED_COMMAND_CYCLES
        key = (config, latency, str(extra))
        if key not in self._specs:
            self._specs[key] = hwconfigs.load(name, {**changes, **extra})
        return self._specs[key]

    def _software(self, row: Row) -> programs.CallCost:
        name, _ = MACHINES[row["gemmini_config"]]
        first, later = CAMPAIGNS[name]
        cost = first if self._blocks[row["gemmini_config"]] == 1 else later
        return programs.CallCost(cost.given_tile, cost.searched, cost.per_round)
