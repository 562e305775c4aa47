"""Results that stay in the scratchpad: what the machine must have, and who has to wait for whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from hwconfigs import HardwareSpec, load
from simulator.functional import Dram, LocalMemories, execute
from simulator.machine import count, simulate
from simulator.program import Fence, Item, KeptBlocks, MatmulLoop, Matrix, Program, ProgramError

MACHINE = load("tiny_4x4", {"vector": {"kernels": ["softmax"], "writes_scratchpad": True}})
"""64 KiB at most: 256 rows of the scratchpad, of which the last 16 hold what stays."""

A, B, C, D = (Matrix(address, 64) for address in (0x1000, 0x3000, 0x5000, 0x7000))
KEPT = KeptBlocks(240, 2)
LEAVES = MatmulLoop(8, 4, 8, A, B, None, c_kept=KEPT, reserved_rows=16)
FINDS = MatmulLoop(8, 8, 4, None, D, C, a_kept=KEPT, reserved_rows=16)


def program(*items: Item, found: tuple[range, ...] = ()) -> Program:
    return Program("kept", items, found=found)


def test_a_second_product_of_what_stays_is_the_product_of_products() -> None:
    """Two tiles of the first product side by side make A of the second one, in one program or in two."""
    random = np.random.default_rng(3)
    image = Dram(0, np.zeros(0x8000, dtype=np.uint8))
    a, b, d = (random.integers(-3, 4, shape) for shape in ((8, 4), (4, 8), (8, 4)))
    for matrix, values in ((A, a), (B, b), (D, d)):
        image.write(matrix, values)
    left = replace(LEAVES, n=4)
    right = replace(left, b=B.part(0, 4), c_kept=KEPT.part(0, 1, 4))
    whole = execute(program(left, right, Fence(), FINDS, Fence()), image, MACHINE)
    expected = np.clip(a @ b, -128, 127) @ d
    assert (whole.read(C, 8, 4) == np.clip(expected, -128, 127)).all()
    on_chip = LocalMemories(MACHINE)
    between = execute(program(left, right, Fence()), image, MACHINE, on_chip=on_chip)
    assert (between.data == image.data).all()
    assert (on_chip.kept(KEPT, 8, 8) == np.clip(a @ b, -128, 127)).all()
    second = program(FINDS, Fence(), found=(KEPT.rows(8, 8, 4),))
    assert (execute(second, between, MACHINE, on_chip=on_chip).data == whole.data).all()


def test_what_stays_is_no_traffic_but_rows_of_the_scratchpad() -> None:
    leaves, memory = program(LEAVES, Fence()), program(replace(LEAVES, c=C, c_kept=None), Fence())
    kept, stored = count(leaves, MACHINE), count(memory, MACHINE)
    assert kept["dma", "write_request"] == kept["dram", "write_byte"] == 0 < stored["dma", "write_request"]
    assert kept["scratchpad", "write_row"] - stored["scratchpad", "write_row"] == 8 * 2
    same = ("accumulator", "read_row"), ("vector", "requantise"), ("dma", "read_request"), ("array", "mac")
    assert all(kept[action] == stored[action] > 0 for action in same)
    assert simulate(leaves, MACHINE).cycles < simulate(memory, MACHINE).cycles


def refused() -> Iterator[tuple[Program, HardwareSpec, str]]:
    none = load("tiny_4x4", {"vector": {"kernels": ["softmax"]}})
    yield program(LEAVES, Fence()), none, "has no path from the normaliser into the scratchpad"
    yield program(replace(LEAVES, c_full=True)), MACHINE, "the scratchpad holds 8-bit results, not int32"
    yield program(replace(LEAVES, c=C)), MACHINE, "C is both in memory and in the scratchpad"
    yield program(replace(FINDS, a=A)), MACHINE, "A is both in memory and in the scratchpad"
    yield program(replace(LEAVES, reserved_rows=12)), MACHINE, "rows 240..255 are not among those reserved from 244 on"
    yield program(replace(LEAVES, reserved_rows=0)), MACHINE, "are not among those reserved from 256 on"
    yield program(replace(LEAVES, reserved_rows=256)), MACHINE, "256 rows of 256 of the scratchpad cannot be reserved"
    yield program(replace(LEAVES, c_kept=KeptBlocks(240, 1))), MACHINE, "8 columns are more than 1 blocks"
    yield program(replace(LEAVES, m=64, reserved_rows=240)), MACHINE, "rows > 8, half of it for double buffering"
    yield program(FINDS, Fence()), MACHINE, "reads scratchpad row 240, columns 0..3, that nothing has written"
    yield program(FINDS, found=(range(240, 248),)), MACHINE, "reads scratchpad row 248"
    yield program(LEAVES, FINDS, Fence()), MACHINE, "reads results in the scratchpad that a loop before it writes"
    again = program(LEAVES, Fence(), FINDS, LEAVES, Fence())
    yield again, MACHINE, "overwrites results in the scratchpad that a loop before it reads"


@pytest.mark.parametrize(("wrong", "spec", "says"), list(refused()), ids=lambda value: str(value)[:40])
def test_programs_that_cannot_be_are_refused(wrong: Program, spec: HardwareSpec, says: str) -> None:
    with pytest.raises(ProgramError) as caught:
        simulate(wrong, spec)
    assert says in str(caught.value)
