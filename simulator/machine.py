"""The machine: wires the units of a HardwareSpec together, runs a program, accounts for every cycle.

host ──► unroller ──► load  ──► memory path ──► scratchpad, accumulator
                ├───► execute ─► array ───────► accumulator
                └───► store ──► normaliser ───► memory path
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from hwconfigs import HardwareSpec
from simulator.bottleneck import bound_of
from simulator.checks.validate import check
from simulator.clock import Clock
from simulator.cycle_account import Meter
from simulator.fast_forward.steady_state import Course, Step
from simulator.frontend.expand import LoopExpander, expand_commands, relocated
from simulator.frontend.work import Work
from simulator.memory.accumulator import AccumulatorBanks
from simulator.memory.path import MemoryPath, expected_memory_cycles
from simulator.memory.request_stream import MemoryState, Traffic, trace
from simulator.memory.scratchpad import ScratchpadBanks
from simulator.program import Fence, HostTask, MatmulLoop, Program, ProgramError
from simulator.report import Counts, Report, Span
from simulator.units.execute import ExecuteController
from simulator.units.host import Host
from simulator.units.in_flight import Running
from simulator.units.load import LoadController
from simulator.units.normaliser import Normaliser
from simulator.units.store import StoreController
from simulator.units.systolic_array import result_delay

LOOPS_REMEMBERED = 4
"""Loops that may still be at work when another is configured: those in flight and one finishing behind each."""


class DeadlockError(ProgramError):
    """Every unit waits for another one; the message names the stuck commands and what each unit waits for."""


def program_steps(program: Program, spec: HardwareSpec, like: Sequence[Step] | None = None) -> list[Step]:
    """What the host does, in order: works, host tasks, and None for fences. Adjacent single commands are one work.

    ``like``: steps of a program that differs only in its DRAM addresses; what single commands wait for is taken over.
    """
    return list(_steps(program, spec, iter(like) if like is not None else None))


def _steps(program: Program, spec: HardwareSpec, like: Iterator[Step] | None) -> Iterator[Step]:
    loops = LoopExpander(spec)
    for single, group in groupby(program.items, lambda item: not isinstance(item, (MatmulLoop, Fence, HostTask))):
        if single:
            commands = [item for item in group if not isinstance(item, (MatmulLoop, Fence, HostTask))]
            twin = next(like) if like is not None else None
            if isinstance(twin, Work):
                yield relocated(twin, commands)
            else:
                yield expand_commands(commands, spec, f"{len(commands)} commands")
            continue
        for item in group:
            if like is not None:
                next(like)
            if isinstance(item, MatmulLoop):
                yield loops.expand(item)
            elif isinstance(item, HostTask):
                yield item
            elif isinstance(item, Fence):
                yield None


def count(program: Program, spec: HardwareSpec, memory: MemoryState | None = None) -> Counts:
    """Actions of a program without simulating its time; ``memory`` is advanced."""
    check(program, spec)
    steps = program_steps(program, spec)
    return _counts(steps, trace(steps, spec, memory if memory is not None else MemoryState(spec)))


def count_like(
    program: Program, spec: HardwareSpec, memory: MemoryState, like: Sequence[Step] | None = None
) -> tuple[Counts, float]:
    """Actions of a program, and the expected time of its misses in the DRAM [cycles]; ``memory`` is advanced.

    ``like``: steps of a program that differs only in its DRAM addresses and was found valid: this one is not checked.
    """
    if like is None:
        check(program, spec)
    steps = program_steps(program, spec, like)
    traffic = trace(steps, spec, memory)
    return _counts(steps, traffic), float(expected_memory_cycles(traffic.table, spec).sum())


def _counts(steps: Sequence[Step], traffic: Traffic) -> Counts:
    total = dict(traffic.counts)
    for step in steps:
        if isinstance(step, Work):
            for key, number in step.counts.items():
                total[key] = total.get(key, 0) + number
        elif isinstance(step, HostTask):
            total["host", "cycle"] = total.get(("host", "cycle"), 0) + step.cycles
    return Counts(total)


def simulate(
    program: Program, spec: HardwareSpec, *, memory: MemoryState | None = None, spans: bool = False, exact: bool = False
) -> Report:
    """Run a program on a machine.

    Parameters
    ----------
    program
        What to execute.
    spec
        The machine.
    memory
        Contents of the caches before the program; advanced to those after it. None: cold, and forgotten.
    spans
        Record stretches of activity for traces; every loop is then simulated.
    exact
        Simulate every loop, also those of a steady sequence.

    Returns
    -------
    Report with cycles, counts and unit times; energy is left to whoever has a price table.

    Raises
    ------
    ProgramError
        When a command cannot run on this machine.
    DeadlockError
        When the program never ends.
    """
    check(program, spec)
    steps = program_steps(program, spec)
    traffic = trace(steps, spec, memory if memory is not None else MemoryState(spec))
    machine = Machine(spec, steps, traffic, record_spans=spans, exact=exact or spans)
    cycles = machine.run()
    units = {name: meter.account(cycles) for name, meter in machine.meters.items()}
    return Report(
        name=program.name,
        source="simulate",
        machine=spec.name,
        clock_mhz=spec.clock_mhz,
        cycles=cycles,
        counts=_counts(steps, traffic),
        units=units,
        peak_macs_per_cycle=spec.array.rows * spec.array.cols,
        bound=bound_of(units),
        memory_cycles=float(expected_memory_cycles(traffic.table, spec).sum()),
        spans=tuple(sorted(machine.spans or (), key=lambda span: (span.start, span.unit, span.end))),
    )


class Machine:
    """One run: units, their processes, and the work in flight."""

    def __init__(
        self, spec: HardwareSpec, steps: Sequence[Step], traffic: Traffic, *, record_spans: bool, exact: bool
    ) -> None:
        self.env = Clock()
        self.spec = spec
        self.spans: list[Span] | None = [] if record_spans else None
        self.meters = {name: Meter(name, self.spans) for name in ("host", "load", "execute", "store", "normaliser")}
        self._traffic = traffic
        memory_cycles = expected_memory_cycles(traffic.table, spec)
        self._course = Course(steps, traffic, memory_cycles, tuple(self.meters.values()), exact=exact)
        self._works: list[Running] = []
        path, scratchpad = MemoryPath(spec), ScratchpadBanks(spec.scratchpad)
        accumulator = AccumulatorBanks(spec.accumulator)
        normaliser = Normaliser(spec, self.meters["normaliser"]) if spec.vector is not None else None
        self._load = LoadController(self.env, spec, path, scratchpad, self.meters["load"])
        self._execute = ExecuteController(self.env, spec, scratchpad, accumulator, self.meters["execute"])
        self._store = StoreController(
            self.env, spec, path, accumulator, normaliser, self.meters["store"], result_delay(spec.array)
        )
        self._host = Host(
            self.env,
            spec,
            self._course,
            self._configure,
            self._dispatch,
            lambda: self._store.acknowledged,
            self.meters["host"],
        )

    def run(self) -> int:
        """Run to the end. [cycles]"""
        for unit in (self._host, self._load, self._execute, self._store):
            self.env.process(unit.run())
        self.env.run()
        if not self._host.finished:
            raise DeadlockError(self._deadlock())
        return self.env.now + self._course.cycles_passed_over

    def _configure(self, index: int, work: Work, start: int) -> Running:
        """A work enters the machine: find the earlier works that share its on-chip rows."""
        running = Running(self.env, index, work, self._traffic.loads[index], self._traffic.stores[index], start)
        if work.is_loop:
            loops = [earlier for earlier in self._works[-LOOPS_REMEMBERED:] if earlier.work.is_loop]
            mine = set(work.halves[:2])
            running.before_operands = tuple(earlier for earlier in loops if mine & set(earlier.work.halves[:2]))
            for earlier in loops:
                if work.halves[2] == earlier.work.halves[2] and len(earlier.work.stores):
                    running.before_accumulator = earlier
        self._works.append(running)
        return running

    def _dispatch(self, running: Running) -> None:
        """Hand a configured work to the three controllers."""
        self._load.inbox.put(running)
        self._store.inbox.put(running)
        self._execute.inbox.put(running)
        self._execute.announce(running)

    def _deadlock(self) -> str:
        stuck = [text for running in self._works for text in running.stuck()][:5]
        waits = [
            f"{name} waits for {unit.waiting_for}"
            for name, unit in (
                ("host", self._host),
                ("load", self._load),
                ("execute", self._execute),
                ("store", self._store),
            )
        ]
        return f"deadlock at cycle {self.env.now}: stuck {'; '.join(stuck) or 'nothing issued'}; {'; '.join(waits)}"
