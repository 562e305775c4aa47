"""The machine: makes the units of a HardwareSpec, runs a program on them, and accounts for every cycle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, islice

import numpy as np

from hwconfigs import HardwareSpec
from simulator.bottleneck import bound_of
from simulator.checks.validate import check
from simulator.clock import Clock
from simulator.cycle_account import CycleAccount
from simulator.fast_forward.memory_times import MemoryTimes
from simulator.fast_forward.pace import Tolerances
from simulator.fast_forward.steady_state import CERTAIN, STRETCH, FastForward, Watched
from simulator.frontend.command_queues import CommandQueues
from simulator.frontend.expand import LoopExpander
from simulator.frontend.loop_works import LoopSteps, Step, templates
from simulator.frontend.single_commands import expand_commands, moved_down, relocated
from simulator.loop_columns import LoopItems
from simulator.memory.request_stream import MemoryState
from simulator.memory.traffic import Traffic, trace, traffic_of
from simulator.program import Fence, HostTask, MatmulLoop, Program, ProgramError, Region
from simulator.report import Counts, Report, Span
from simulator.residency import levels_of, with_tensors
from simulator.units import UNITS, readout_passes
from simulator.units.execute import BANK_CONFLICT, OPERANDS_LATE, ExecuteController
from simulator.units.in_flight import WorksInFlight
from simulator.units.load import LOADING, LoadController
from simulator.units.store import StoreController
from simulator.units.unit import Chip

SHOWN = 5
"""Stuck commands that the message of a deadlock names."""


class DeadlockError(ProgramError):
    """Every unit waits for another one; the message names the stuck commands and what each unit waits for."""


def program_steps(program: Program, spec: HardwareSpec, like: Sequence[Step] | None = None) -> Sequence[Step]:
    """What the host does, in order: works, host tasks, and None for fences. Adjacent single commands are one work.

    ``like``: steps of a program that differs only in its DRAM addresses; what single commands wait for is taken over.
    """
    items = program.items
    if isinstance(items, LoopItems):
        before, behind = (
            [task if isinstance(task, HostTask) else None for task in part] for part in (items.before, items.behind)
        )
        return LoopSteps(before, LoopExpander(spec, readout_passes(spec)).expand_columns(items.loops), behind)
    return list(_steps(program, spec, iter(like) if like is not None else None))


def _steps(program: Program, spec: HardwareSpec, like: Iterator[Step] | None) -> Iterator[Step]:
    passes = readout_passes(spec)
    loops = LoopExpander(spec, passes)
    for single, group in groupby(program.items, lambda item: not isinstance(item, (MatmulLoop, Fence, HostTask))):
        if single:
            commands = [item for item in group if not isinstance(item, (MatmulLoop, Fence, HostTask))]
            twin = next(like) if like is not None else None
            if isinstance(twin, CommandQueues):
                yield relocated(twin, commands)
            else:
                yield expand_commands(commands, spec, f"{len(commands)} commands", passes)
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


def _counts(steps: Sequence[Step], traffic: Traffic) -> Counts:
    total = Counter(traffic.counts)
    for step, times in _counted(steps):
        if isinstance(step, CommandQueues):
            total.update({action: times * number for action, number in step.counts.items()})
        elif isinstance(step, HostTask):
            total["host", "cycle"] += times * step.cycles
    return Counts(total)


def _counted(steps: Sequence[Step]) -> Iterator[tuple[Step, int]]:
    """Yield steps, each with how many count as much, in the order in which the first of them stands."""
    if not isinstance(steps, LoopSteps):
        yield from ((step, 1) for step in steps)
        return
    works = steps.works
    yield from ((step, 1) for step in steps.before)
    numbers = np.bincount(works.layout, minlength=len(works.layouts)).tolist()
    yield from zip((layout.queues for layout in works.layouts), numbers, strict=True)
    yield from ((step, 1) for step in steps.behind)


@dataclass(frozen=True)
class PreparedProgram:
    """A program whose memory requests went through the caches: all is known but its time."""

    program: Program
    spec: HardwareSpec
    steps: Sequence[Step]
    traffic: Traffic

    @property
    def to_take_over(self) -> list[Step]:
        """Steps for `prepare` to take over; loops are expanded again, and are not worth their memory."""
        if isinstance(self.steps, LoopSteps):
            return []
        return [None if isinstance(step, CommandQueues) and step.is_loop else step for step in self.steps]

    @cached_property
    def counts(self) -> Counts:
        """Actions of the program."""
        return _counts(self.steps, self.traffic)

    @cached_property
    def memory_times(self) -> MemoryTimes:
        """What tells it from programs that differ in addresses alone."""
        return MemoryTimes(templates(self.steps), self.traffic, self.spec)

    def simulate(self, *, spans: bool = False, exact: bool = False, owners: Sequence[Region] = ()) -> Report:
        """Run it; see `simulate`. ``owners``: ranges of DRAM by tensor; default: the program's regions."""
        report = self._run(None if exact or spans else CERTAIN, spans=spans)[0]
        if not spans:
            return report
        owners = owners or self.program.regions
        held = levels_of(self.program, self.spec, self.traffic, report, owners)
        return replace(report, levels=held, spans=with_tensors(self.program, report.spans, owners))

    def simulate_stretch(self) -> tuple[Report, bool]:
        """Run as little of it as tells it from other mappings; say whether the default simulation is no different."""
        return self._run(STRETCH, spans=False)

    def _run(self, tolerances: Tolerances | None, *, spans: bool) -> tuple[Report, bool]:
        recorded: list[Span] = []
        machine = Machine(self, spans=recorded if spans else None, tolerances=tolerances)
        cycles = machine.run()
        units = {name: account.total(cycles) for name, account in machine.accounts.items()}
        report = Report(
            name=self.program.name,
            source="simulate",
            machine=self.spec.name,
            clock_mhz=self.spec.clock_mhz,
            cycles=cycles,
            counts=self.counts,
            units=units,
            peak_macs_per_cycle=self.spec.array.rows * self.spec.array.cols,
            spans=tuple(sorted(recorded, key=lambda span: (span.start, span.unit, span.end))),
        )
        return replace(report, bound=bound_of(report)), machine.is_certain


def prepare(
    program: Program,
    spec: HardwareSpec,
    memory: MemoryState,
    like: Sequence[Step] | None = None,
    *,
    timed: bool = False,
) -> PreparedProgram:
    """Check a program and put its requests through the caches; ``memory`` is advanced.

    ``like``: steps of a program that differs only in its DRAM addresses and was found valid: this one is not checked.
    ``timed``: its memory times will be asked for; those of long programs are found on the way.
    """
    if like is None:
        check(program, spec)
    steps = program_steps(program, spec, like)
    return put_through(PreparedProgram(program, spec, steps, traffic_of(steps, spec, memory)), timed=timed)


def put_through(prepared: PreparedProgram, *, timed: bool) -> PreparedProgram:
    """Put the requests of a program through the caches; return it."""
    on_the_way, before = timed and not prepared.traffic.is_kept, 0
    for works in prepared.traffic.replay():
        if on_the_way:
            prepared.memory_times.of(before, works)
            before = works
    return prepared


def prepare_moved(
    program: Program, spec: HardwareSpec, memory: MemoryState, steps: Sequence[Step], rows: int
) -> PreparedProgram:
    """Put the requests of a program through the caches that was found valid, some rows further down in DRAM.

    Parameters
    ----------
    program, spec, memory
        As of `prepare`.
    steps
        Of the program where it was.
    rows
        By which each command moves in its matrix.
    """
    moved = [moved_down(step, rows) if isinstance(step, CommandQueues) else step for step in steps]
    return PreparedProgram(program, spec, moved, trace(moved, spec, memory))


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
    prepared = prepare(program, spec, memory if memory is not None else MemoryState(spec), timed=not (spans or exact))
    return prepared.simulate(spans=spans, exact=exact)


def _watched() -> Watched:
    units = [unit.name for unit in UNITS]
    loader, array = units.index(LoadController.name), units.index(ExecuteController.name)
    return Watched(loader, LOADING, array, BANK_CONFLICT, OPERANDS_LATE, ExecuteController.name, StoreController.name)


class Machine:
    """One run: the units of one chip, and the processes they start.

    Parameters
    ----------
    prepared
        The program and the machine.
    spans
        Where stretches of activity are recorded; None: nowhere.
    tolerances
        What of a steady sequence is passed over; None: every loop is simulated.
    """

    def __init__(self, prepared: PreparedProgram, *, spans: list[Span] | None, tolerances: Tolerances | None) -> None:
        clock, spec = Clock(), prepared.spec
        self.accounts = {unit.name: CycleAccount(unit.name, spans) for unit in UNITS}
        self._steps = FastForward(
            prepared.steps, prepared.memory_times, tuple(self.accounts.values()), _watched(), tolerances
        )
        self._chip = Chip(spec, clock, self._steps, WorksInFlight(clock, prepared.traffic))
        for unit in UNITS:
            if unit.is_part_of(spec):
                self._chip.add(unit(self._chip, self.accounts[unit.name]))

    @property
    def is_certain(self) -> bool:
        """Nothing was passed over that the default simulation would have simulated."""
        return self._steps.is_certain

    def run(self) -> int:
        """Run to the end. [cycles]"""
        for unit in self._chip.units:
            unit.start()
        self._chip.clock.run()
        if not all(unit.idle for unit in self._chip.units):
            raise DeadlockError(self._deadlock())
        return self._chip.clock.now + self._steps.cycles_passed_over

    def _deadlock(self) -> str:
        stuck = "; ".join(islice(self._chip.works.stuck(), SHOWN)) or "nothing issued"
        waits = [f"{unit.name} waits for {unit.waiting_for}" for unit in self._chip.units if unit.waiting_for]
        return f"deadlock at cycle {self._chip.clock.now}: stuck {stuck}; {'; '.join(waits)}"
