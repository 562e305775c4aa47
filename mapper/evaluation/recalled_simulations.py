"""Simulations that another run made: recalled to the bit, as the text of plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hwconfigs import HardwareSpec
from mapper.lowering.repeated_program import CommandInstance, Instance, MatmulInstance
from mapper.recall.digests import MachineDigests, Recall, digest_of, loop_text, problem_text
from simulator.memory.request_stream import MemoryState
from simulator.report import Counts, Report, UnitTime


class RecalledSimulations:
    """Default simulations of programs on one machine.

    Parameters
    ----------
    recall
        Where they are kept.
    """

    def __init__(self, spec: HardwareSpec, recall: Recall) -> None:
        self._spec = spec
        self._recall = recall
        self._machine = MachineDigests(spec)

    def report(self, instance: Instance, before: MemoryState, simulate: Callable[[], Report]) -> Report:
        """Return the simulation of a program in the caches before it; ``simulate`` makes it if nobody did."""
        return self._recalled("", instance, before, lambda: (simulate(), True))[0]

    def stretch(
        self, instance: Instance, before: MemoryState, simulate: Callable[[], tuple[Report, bool]]
    ) -> tuple[Report, bool]:
        """Return what a stretch of a program tells, and whether the default simulation is no different."""
        report, is_certain = self._recalled("stretch", instance, before, simulate)
        if is_certain:
            report = self.report(instance, before, lambda: report)
        return report, is_certain

    def some_loops(
        self, instance: MatmulInstance, caches: object, loops: range | None, simulate: Callable[[], int]
    ) -> int:
        """Return the cycles of some loops of a matmul, or of all of them, in caches with a fingerprint before all."""
        key = self._matmul_key(f"loops {loops}", instance, caches)
        text = self._recall.find(key)
        if text is None:
            text = str(simulate())
            self._recall.keep(key, text)
        return int(text)

    def _recalled(
        self, how: str, instance: Instance, before: MemoryState, simulate: Callable[[], tuple[Report, bool]]
    ) -> tuple[Report, bool]:
        key = self._key(how, instance, before)
        text = self._recall.find(key)
        if text is None:
            report, is_certain = simulate()
            self._recall.keep(key, json.dumps(_to_dict(report) | {"certain": is_certain}))
            return report, is_certain
        data = json.loads(text)
        name = instance.template.name if isinstance(instance, CommandInstance) else instance.program.name
        read = _from_dict(data)
        return replace(read, name=name, machine=self._spec.name, clock_mhz=self._spec.clock_mhz), data["certain"]

    def _key(self, how: str, instance: Instance, before: MemoryState) -> str:
        caches = before.fingerprint()
        if isinstance(instance, CommandInstance):
            items = hashlib.sha256()
            for item in instance.template.items:
                items.update(repr(item).encode())
            commands = [items.hexdigest(), instance.rows_below]
            return digest_of(["commands", how, self._machine.of(vector=True), commands, caches])
        return self._matmul_key(how, instance, caches)

    def _matmul_key(self, how: str, instance: MatmulInstance, caches: object) -> str:
        machine = self._machine.of_problem(instance.problem)
        return digest_of(["matmul", how, machine, problem_text(instance.problem), loop_text(instance.loop), caches])


def _to_dict(report: Report) -> dict[str, object]:
    """Return a report that was not priced as plain data; the order of its parts is kept, for sums follow it."""
    return {
        "cycles": report.cycles,
        "counts": [[*action, number] for action, number in report.counts.items()],
        "units": [
            [name, time.busy_cycles, time.idle_cycles, dict(time.stall_cycles)] for name, time in report.units.items()
        ],
        "peak_macs_per_cycle": report.peak_macs_per_cycle,
        "bound": report.bound,
    }


def _from_dict(data: dict[str, Any]) -> Report:
    return Report(
        name="",
        source="simulate",
        machine="",
        clock_mhz=0.0,
        cycles=data["cycles"],
        counts=Counts({(unit, action): number for unit, action, number in data["counts"]}),
        units={name: UnitTime(busy, stalls, idle) for name, busy, idle, stalls in data["units"]},
        peak_macs_per_cycle=data["peak_macs_per_cycle"],
        bound=data["bound"],
    )
