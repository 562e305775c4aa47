"""A machine in which every unit waits says so, and names the stuck commands."""

from __future__ import annotations

import pytest

from hwconfigs import HardwareSpec
from simulator.machine import DeadlockError, simulate
from simulator.program import MatmulLoop, Matrix, Mvin, Program, ProgramError
from simulator.units.execute import ExecuteController
from simulator.units.in_flight import Process, WorkInFlight
from simulator.units.load import LoadController
from simulator.units.store import StoreController
from simulator.units.unit import Controller

PROGRAM = Program(
    "stuck", tuple(MatmulLoop(4, 8, 4, Matrix(0, 8), Matrix(64, 4), Matrix(128 + 16 * i, 4)) for i in range(4))
)


def never(self: Controller, work: WorkInFlight) -> Process:
    """A broken controller: it takes the work and never does it."""
    self.waiting_for = "Godot"
    yield self.env.event()


@pytest.mark.parametrize(
    ("controller", "stuck", "waits"),
    [
        (LoadController, "mvin 0 of 3 in 4x8x4", "execute waits for mvin"),
        (ExecuteController, "preload/compute 0 of 2 in 4x8x4", "store waits for compute 2 of 4x8x4"),
        (StoreController, "mvout 0 of 1 in 4x8x4", "load waits for a hardware loop"),
    ],
)
def test_a_unit_that_never_completes(
    monkeypatch: pytest.MonkeyPatch, tiny: HardwareSpec, controller: type, stuck: str, waits: str
) -> None:
    """The loops behind it stop one after another; the simulation ends, and tells where."""
    monkeypatch.setattr(controller, "execute", never)
    with pytest.raises(DeadlockError) as caught:
        simulate(PROGRAM, tiny)
    message = str(caught.value)
    assert message.startswith("deadlock at cycle ")
    assert stuck in message
    assert waits in message
    assert "waits for Godot" in message


def test_single_commands_too(monkeypatch: pytest.MonkeyPatch, tiny: HardwareSpec) -> None:
    monkeypatch.setattr(LoadController, "execute", never)
    program = Program("stuck", (Mvin(Matrix(0, 4), 4, 4, "scratchpad", 0),) * 2)
    with pytest.raises(DeadlockError, match=r"mvin 0 of 2 in 2 commands; host waits for the completion of 2 commands"):
        simulate(program, tiny)


def test_a_deadlock_is_a_program_error() -> None:
    assert issubclass(DeadlockError, ProgramError)


def test_the_same_program_ends_on_a_sound_machine(tiny: HardwareSpec) -> None:
    assert simulate(PROGRAM, tiny).cycles > 0
