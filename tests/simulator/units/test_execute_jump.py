"""Pairs that are passed over in one jump end when they would have ended one by one, and so does all around them."""

from __future__ import annotations

import random

import pytest

import hwconfigs
from simulator.machine import simulate
from simulator.program import MatmulLoop, Matrix, Program
from simulator.units.execute import ExecuteController


def case(seed: int) -> tuple[Program, hwconfigs.HardwareSpec]:
    """Two to four hardware loops of up to 216 pairs on an array that its memory hardly holds up."""
    draw = random.Random(seed)
    size = draw.choice([4, 8, 16])
    changes = {
        "array.size": size, "dram.bandwidth": 64, "dram.latency": draw.choice([5, 40]),
        "front_end.execute_entries": draw.choice([6, 8, 12, 16, 24]),
    }  # fmt: skip
    loops, address = [], 0x1000
    for _ in range(draw.randint(2, 4)):
        m, k, n = (draw.randint(1, 6) * size for _ in range(3))
        matrices = (Matrix(address, k), Matrix(address + 0x20000, n), Matrix(address + 0x40000, n))
        loops.append(MatmulLoop(m, k, n, *matrices))
        address += draw.choice([0, 0x60000])
    return Program("loops", tuple(loops)), hwconfigs.load("gemmini", changes)


@pytest.mark.parametrize("seed", range(12))
def test_a_jump_changes_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    program, spec = case(seed)
    jumped = simulate(program, spec)
    monkeypatch.setattr(ExecuteController, "_jump", lambda self, work, pair: pair)
    stepped = simulate(program, spec)
    assert jumped.cycles == stepped.cycles
    assert jumped.units == stepped.units
