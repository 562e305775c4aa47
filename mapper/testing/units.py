"""What every unit of the machine promises, as tests to subclass.

    from mapper.testing.units import ReadoutUnitConformance, UnitConformance

    class TestTransposer(UnitConformance):
        @pytest.fixture
        def unit(self) -> type[Unit]:
            return Transposer

The unit has to stand in ``simulator.units.UNITS``: what is tested is the machine with it. Give a fixture ``program``
where the programs of this file do not set the unit to work, and ``machine`` where `gemmini_ibert` lacks it. A unit in
the store path has more promises: subclass `ReadoutUnitConformance`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import pytest

import hwconfigs
from hwconfigs import HardwareSpec
from hwconfigs.kernels import kernel_named
from mapper.cost.energy import UNPRICED
from mapper.cost.estimate_commands import estimate_commands
from mapper.cost.trace_replay import MEMORY_UNITS
from simulator.machine import DeadlockError, simulate
from simulator.memory.request_stream import MemoryState
from simulator.program import Command, Fence, HostTask, Item, MatmulLoop, Matrix, Mvin, Mvout, Program
from simulator.report import Report
from simulator.units import ARRAY, BY_NAME, UNITS
from simulator.units.in_flight import Process
from simulator.units.unit import Controller, ReadoutUnit, Unit

SIZES = (1, 2, 3, 5, 8)
"""Shapes that grow."""

ProgramOfSize: TypeAlias = Callable[[int], Program]


def readouts(kernels: tuple[str, ...], rows: int, blocks: int, machine: HardwareSpec) -> list[Command]:
    """Mvins of int32 tiles into the accumulator, each followed by an mvout with one of ``kernels``."""
    cols, wide = blocks * machine.array.cols, machine.array.accumulator_bits
    source, target = Matrix(0x100000, cols * wide // 8), Matrix(0x800000, cols)
    commands: list[Command] = []
    for kernel in kernels:
        # The blocks of a second operand lie below those of the first.
        for block in range(blocks * kernel_named(kernel).operands):
            at = Matrix(source.address + block * machine.array.cols * wide // 8, source.row_stride_bytes)
            row = block * machine.array.rows
            commands.append(Mvin(at, rows, machine.array.cols, "accumulator", row, wide))
        commands.append(Mvout(target, rows, cols, "accumulator", 0, activation=kernel))
    return commands


def everything(size: int, kernels: tuple[str, ...], machine: HardwareSpec) -> Program:
    """Return a program that sets every shipped unit to work, longer by every step of ``size``."""
    side = machine.array.rows
    loops = tuple(
        MatmulLoop(
            side,
            side,
            side,
            Matrix(tile * side * side, side),
            Matrix(0x20000, side),
            Matrix(0x40000 + tile * side, side),
        )
        for tile in range(size)
    )
    items: list[Item] = [HostTask("task", 100 * size), *loops, Fence()]
    items += readouts(kernels, min(size, side), 2, machine)
    return Program(f"everything of size {size}", tuple(items))


def never_start(self: Unit) -> None:
    """Replace a unit's process by one that has something to do and never does it."""

    def wait() -> Process:
        yield self.env.event()

    self.idle, self.waiting_for = False, "an event that never comes"
    self.env.process(wait())


class UnitConformance:
    """Subclass it in a test file and give the fixture ``unit``."""

    @pytest.fixture
    def unit(self) -> type[Unit]:
        """Return the class to test."""
        raise NotImplementedError("give a fixture `unit` that returns the class of the unit to test")

    @pytest.fixture
    def machine(self) -> HardwareSpec:
        """Return a machine that has the unit."""
        return hwconfigs.load("gemmini_ibert")

    @pytest.fixture
    def program(self, unit: type[Unit], machine: HardwareSpec) -> ProgramOfSize:
        """Return a function that makes programs of growing size in which the unit works."""
        kernels = unit.kernels if issubclass(unit, ReadoutUnit) else ()
        return lambda size: everything(size, kernels, machine)

    def test_is_registered_once_and_told_apart(self, unit: type[Unit], machine: HardwareSpec) -> None:
        """Names are those of rows in reports; only one unit multiplies; a unit inside another names it."""
        assert UNITS.count(unit) == 1
        assert BY_NAME[unit.name] is unit
        assert [registered.role for registered in UNITS].count(ARRAY.role) == 1
        assert not unit.inside or unit.inside in BY_NAME
        assert unit.is_part_of(machine)

    def test_stalls_are_declared_with_their_meaning(self, unit: type[Unit]) -> None:
        causes = [stall.cause for stall in unit.stalls]
        assert len(causes) == len(set(causes))
        assert all(stall.meaning for stall in unit.stalls)
        assert all(bool(stall.shown_as) == (unit is ARRAY) for stall in unit.stalls)

    def test_works_longer_on_larger_programs(
        self, unit: type[Unit], machine: HardwareSpec, program: ProgramOfSize
    ) -> None:
        """Busy cycles are positive, and no larger shape takes fewer."""
        busy = [simulate(program(size), machine).units[unit.name].busy_cycles for size in SIZES]
        assert busy[0] > 0
        assert all(before <= after for before, after in pairwise(busy))
        assert busy[0] < busy[-1]

    @pytest.mark.parametrize("exact", [False, True])
    def test_busy_stalled_and_idle_cycles_add_up(
        self, unit: type[Unit], machine: HardwareSpec, program: ProgramOfSize, exact: bool
    ) -> None:
        """They do for every unit of the machine, and no unit waits for a cause that it does not declare."""
        for size in SIZES:
            report = simulate(program(size), machine, exact=exact)
            assert unit.name in report.units
            for name, time in report.units.items():
                assert time.total_cycles == report.cycles, name
                assert min(0, time.busy_cycles, time.idle_cycles, *time.stall_cycles.values()) == 0, name
                assert set(time.stall_cycles) <= {stall.cause for stall in BY_NAME[name].stalls}, name

    def test_actions_are_priced_by_every_shipped_energy_table(self, unit: type[Unit], machine: HardwareSpec) -> None:
        for table in hwconfigs.available_energy():
            prices = hwconfigs.load_energy(table).bind(machine).pj
            assert set(unit.actions) - UNPRICED <= set(prices), table

    def test_counts_are_those_of_declared_actions(self, machine: HardwareSpec, program: ProgramOfSize) -> None:
        """What a run counts beside the memory system's accesses, some unit of the machine declares."""
        declared = {action for unit in UNITS if unit.is_part_of(machine) for action in unit.actions}
        counted = {action for action in simulate(program(SIZES[-1]), machine).counts if action[0] not in MEMORY_UNITS}
        assert counted <= declared

    def test_equal_programs_take_equal_times(self, machine: HardwareSpec, program: ProgramOfSize) -> None:
        assert simulate(program(3), machine, spans=True) == simulate(program(3), machine, spans=True)

    def test_a_unit_that_never_works_is_reported(
        self, unit: type[Unit], machine: HardwareSpec, program: ProgramOfSize, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The run ends with an error that says who waits for what."""
        monkeypatch.setattr(unit, "start", never_start)
        with pytest.raises(DeadlockError, match=f"{unit.name} waits for an event that never comes"):
            simulate(program(1), machine)

    def test_waits_for_something_when_another_unit_never_works(
        self, unit: type[Unit], machine: HardwareSpec, program: ProgramOfSize, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whichever controller stops, this unit is either idle or says what it waits for; nothing runs on for ever."""
        for stopped in UNITS:
            if stopped is unit or not issubclass(stopped, Controller):
                continue
            with monkeypatch.context() as patched:
                patched.setattr(stopped, "start", never_start)
                with pytest.raises(
                    DeadlockError, match=f"{stopped.name} waits for an event that never comes"
                ) as caught:
                    simulate(program(2), machine)
            if issubclass(unit, Controller):
                assert f"{unit.name} waits for " in str(caught.value)


class ReadoutUnitConformance(UnitConformance):
    """Subclass it for a unit that the store controller calls."""

    @pytest.fixture
    def reader(self, unit: type[Unit]) -> type[ReadoutUnit]:
        """Return the class to test as what it is."""
        assert issubclass(unit, ReadoutUnit)
        return unit

    @pytest.mark.parametrize("issued", [False, True])
    def test_cycles_are_positive_and_grow_with_the_tile(
        self, reader: type[ReadoutUnit], machine: HardwareSpec, issued: bool
    ) -> None:
        for kernel in reader.kernels:
            assert reader.passes(kernel, machine) >= 1
            side = machine.array.cols
            by_rows = [reader.cycles(rows, 2 * side, kernel, machine, issued=issued) for rows in range(1, 40)]
            by_blocks = [reader.cycles(4, side * blocks, kernel, machine, issued=issued) for blocks in range(1, 40)]
            assert min(by_rows[0], by_blocks[0]) > 0
            assert by_rows == sorted(by_rows)
            assert by_blocks == sorted(by_blocks)

    def test_estimate_and_simulation_have_the_same_books(
        self, reader: type[ReadoutUnit], machine: HardwareSpec
    ) -> None:
        """Both count the same actions and give the unit the same cycles."""
        prices = hwconfigs.load_energy(hwconfigs.available_energy()[0]).bind(machine)
        for kernel in reader.kernels:
            program = Program(kernel, tuple(readouts((kernel,) * 3, machine.array.rows, 4, machine)))
            simulated = simulate(program, machine)
            estimated = estimate_commands(program, machine, prices, MemoryState(machine))
            assert estimated.counts == simulated.counts
            assert busy_of(reader, estimated) == busy_of(reader, simulated) > 0


def busy_of(unit: type[Unit], report: Report) -> int:
    """Busy cycles of a unit in a report."""
    return report.units[unit.name].busy_cycles
