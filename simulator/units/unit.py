"""What a unit of the machine is: the contract, and the two kinds of units that a program drives.

    Unit              a name, a cycle account, what it stands for in a report
     ├─ Controller       an in-order queue that every configured work enters; a process of its own
     └─ ReadoutUnit      stands in the store path: the store controller hands it the results of its kernels

A new unit is one file beside this one and one line in ``simulator.units.UNITS``.

A unit must
- book every cycle in which it works in ``account.busy`` and every cycle in which it waits with ``account.stall``, no
  cycle twice and none behind the end of the run, so that busy + stalls + idle = cycles;
- stall for declared causes only (``stalls``), as bottleneck and cycle breakdown know no others;
- say in ``waiting_for`` what it waits for before every wait, and be ``idle`` when it has nothing left to do: a machine
  that stops while a unit is not idle has a deadlock, and these words are its message;
- end: once the program is over no process may go on waking itself.

A unit must not
- read the time of another unit's account, or book on it;
- decide from values of data or from anything random: equal programs take equal times;
- undo what it has announced: a time that was appended to a ``Progress`` may lie ahead, but is certain.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

import simpy

from hwconfigs import HardwareSpec
from simulator.clock import Clock
from simulator.cycle_account import CycleAccount
from simulator.fast_forward.steady_state import FastForward
from simulator.memory.accumulator import AccumulatorBanks
from simulator.memory.path import MemoryPath
from simulator.memory.scratchpad import ScratchpadBanks
from simulator.report import Action
from simulator.units.in_flight import Process, WorkInFlight, WorksInFlight

NO_WORK = "a hardware loop"
"""What an idle controller waits for."""


class Role(IntEnum):
    """What a unit does for the machine. Of two bounds that take equally long, a report names the lower role."""

    ARRAY = 0
    """Multiplies: its time is the one that reports divide among all units. One per machine."""
    DATA = 1
    """Moves data between the DRAM and the chip."""
    OPERATORS = 2
    """Carries out operators that the array cannot."""
    CORE = 3
    """Issues the program."""


@dataclass(frozen=True, slots=True)
class Stall:
    """One cause for which a unit waits."""

    cause: str
    """Its name in reports."""
    meaning: str
    counts_as_work: bool = False
    """A wait for the memory on behalf of the unit's own commands, hence part of what it takes when it bounds a run."""
    is_latency: bool = False
    """Role DATA: no data move meanwhile; otherwise they queue."""
    shown_as: str = ""
    """Role ARRAY: cause that the cycle breakdown counts it as; the ``bound`` of the unit that is late, if one is."""


class Unit(ABC):
    """One unit of one machine, made by ``Machine`` in the order of ``simulator.units.UNITS``."""

    name: ClassVar[str]
    """In reports, traces and deadlock messages; never changed, as users select by it."""
    bound: ClassVar[str]
    """What a report calls a run that this unit bounds."""
    role: ClassVar[Role]
    inside: ClassVar[str] = ""
    """Name of the unit whose busy cycles contain this one's, because it waits while this one works."""
    stalls: ClassVar[tuple[Stall, ...]] = ()
    optional: ClassVar[bool] = False
    """Few machines have it: reports leave its rows out where it never worked."""
    actions: ClassVar[tuple[Action, ...]] = ()
    """What its work is counted and priced as: (energy unit, action). Every energy table has a price for each."""

    def __init__(self, chip: Chip, account: CycleAccount) -> None:
        self.env = chip.clock
        self.account = account
        self.waiting_for = ""
        self.idle = True

    @classmethod
    def is_part_of(cls, spec: HardwareSpec) -> bool:
        """Whether a machine has this unit; its account is kept on every machine, so that reports have equal rows."""
        del spec
        return True

    @abstractmethod
    def start(self) -> None:
        """Start the unit's process, if it has one; all units of the chip exist by now."""


class Controller(Unit):
    """A unit behind an in-order queue: it takes work after work, as the host configures them."""

    def __init__(self, chip: Chip, account: CycleAccount) -> None:
        super().__init__(chip, account)
        self.inbox = simpy.Store(chip.clock)
        self._steps_ahead = chip.steps

    def start(self) -> None:
        """Start taking works."""
        self.env.process(self._run())

    def accept(self, work: WorkInFlight) -> None:
        """Take a configured work into the queue; the host calls this in the cycle in which it configures the work."""
        self.inbox.put(work)
        self.announced(work)

    def announced(self, work: WorkInFlight) -> None:
        """Take note of a work as soon as it is configured, while earlier works may still be executed."""
        del work

    @abstractmethod
    def execute(self, work: WorkInFlight) -> Process:
        """Carry out this unit's commands of one work; the next one is taken when this ends."""

    def _run(self) -> Process:
        while True:
            self.waiting_for, self.idle = NO_WORK, True
            work = yield self.inbox.get()
            self.idle = False
            yield from self.execute(work)
            self._steps_ahead.done(self.name)

    def until_start(self, work: WorkInFlight) -> Process:
        """Wait until the first command of a work may enter the queues."""
        if work.start > self.env.now:
            yield self.env.timeout(work.start - self.env.now)


class ReadoutUnit(Unit):
    """A unit between accumulator and store controller, which waits while it reads a tile out and stores the result.

    It has no process: the store controller asks how long a tile takes. Formulas are class methods, as the cost model
    asks them too, without a machine.
    """

    role = Role.OPERATORS
    inside = "store"
    kernels: ClassVar[tuple[str, ...]]
    """Activations of mvouts and hardware loops that it handles; of two units of a machine the one registered first."""

    def __init__(self, chip: Chip, account: CycleAccount) -> None:
        super().__init__(chip, account)
        self._spec = chip.spec
        self._known: dict[tuple[int, int, str, bool], int] = {}

    def start(self) -> None:
        """Do nothing: the store controller's process does the waiting."""

    @classmethod
    def handles(cls, kernel: str, spec: HardwareSpec) -> bool:
        """Whether the unit, which the machine has, reads out the results of a kernel."""
        del spec
        return kernel in cls.kernels

    @classmethod
    @abstractmethod
    def passes(cls, kernel: str, spec: HardwareSpec) -> int:
        """Return how often each row is read from the accumulator; the reads are counted and priced."""

    @classmethod
    @abstractmethod
    def cycles(cls, rows: int, cols: int, kernel: str, spec: HardwareSpec, *, issued: bool) -> int:
        """Return the time from the first read until the store controller is free again. [cycles]

        Parameters
        ----------
        rows, cols
            Shape of the tile.
        kernel
            One of ``kernels``.
        spec
            A machine that has this unit.
        issued
            The core issues the mvouts one by one; otherwise a hardware loop does.
        """

    def read(self, tile: tuple[int, int], kernel: str, name: str, part: tuple[int, int] = (0, 0)) -> int:
        """Start one part of a tile now: book its cycles and return them. [cycles]

        Parameters
        ----------
        tile
            Its rows and columns.
        kernel, name
            The kernel, and the work that it belongs to.
        part
            Index of the part and the number of equal parts: the mvouts of a hardware loop. Number 0: issued alone.
        """
        index, parts = part
        key = (*tile, kernel, parts == 0)
        if key not in self._known:
            self._known[key] = self.cycles(*tile, kernel, self._spec, issued=parts == 0)
        total, parts = self._known[key], max(parts, 1)
        # The parts are rounded so that they sum to the whole tile.
        cycles = total * (index + 1) // parts - total * index // parts
        self.account.busy += cycles
        self.account.span(f"{kernel} {name}", self.env.now, self.env.now + cycles)
        return cycles


class Chip:
    """What the units of one machine share: the clock, the on-chip memories, the program, and each other.

    Parameters
    ----------
    spec
        The machine.
    steps
        The program; the host takes its steps from here.
    works
        The works of the program that have been configured.
    """

    def __init__(self, spec: HardwareSpec, clock: Clock, steps: FastForward, works: WorksInFlight) -> None:
        self.spec = spec
        self.clock = clock
        self.steps = steps
        self.works = works
        self.path = MemoryPath(spec)
        self.scratchpad = ScratchpadBanks(spec.scratchpad)
        self.accumulator = AccumulatorBanks(spec.accumulator)
        self.units: list[Unit] = []
        self.controllers: list[Controller] = []
        self.readers: dict[str, ReadoutUnit] = {}
        """The readout unit of each kernel."""

    def add(self, unit: Unit) -> None:
        """Add a unit to the chip."""
        self.units.append(unit)
        if isinstance(unit, Controller):
            self.controllers.append(unit)
        if isinstance(unit, ReadoutUnit):
            for kernel in unit.kernels:
                if unit.handles(kernel, self.spec):
                    self.readers.setdefault(kernel, unit)
