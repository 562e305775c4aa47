"""Programs: listing, sums, and the complaints of the checker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hwconfigs
from hwconfigs import HardwareSpec
from simulator.checks.validate import check
from simulator.machine import simulate
from simulator.program import (
    Compute,
    Config,
    Fence,
    HostTask,
    Item,
    MatmulLoop,
    Matrix,
    Mvin,
    Mvout,
    Preload,
    Program,
    ProgramError,
    Region,
)

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "simulator" / "test_program_listing.txt"

A, B, C = Matrix(0x1000, 64), Matrix(0x2000, 64), Matrix(0x3000, 64)

EVERYTHING = Program(
    "everything",
    (
        Config("load"),
        MatmulLoop(64, 64, 64, A, B, None, d=Matrix(0x4000, 0)),
        MatmulLoop(64, 64, 64, None, B, C, accumulate=True, b_transposed=True, activation="relu"),
        MatmulLoop(7, 64, 5, A, None, Matrix(0x5000, 20), c_full=True),
        MatmulLoop(16, 64, 64, A, B, C, activation="softmax"),
        Mvin(A, 16, 64, "scratchpad", 0),
        Mvin(Matrix(0x4000, 256), 16, 16, "accumulator", 32, element_bits=32),
        Preload(256, 16, 16, "accumulator", 0),
        Compute(0, 16, 16, 16),
        Preload(None, 16, 9, "accumulator", 16, accumulate=True),
        Compute(16, 3, 16, 9),
        Mvout(C, 16, 32, "accumulator", 0, activation="layernorm"),
        Fence(),
        HostTask("softmax", 12_500, 100, (Region("scores", 0x3000, 100),), (Region("probabilities", 0x3000, 100),)),
    ),
)


def test_listing(update_golden: bool) -> None:
    """Every kind of item, one line each."""
    text = EVERYTHING.listing() + "\n"
    if update_golden:
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "the listing changed; look at the difference, then pytest --update-golden"


def test_multiply_accumulates() -> None:
    """Three loops of 64^3, 64x64x64 + 7x64x5 + 16x64x64, and two computes of 16^3 and 3x16x9."""
    assert EVERYTHING.macs == 2 * 64**3 + 7 * 64 * 5 + 16 * 64 * 64 + 16**3 + 3 * 16 * 9


def test_programs_add_up() -> None:
    first = Program("one", (Fence(),), (Region("x", 0, 4), Region("y", 4, 4)))
    two = Program("two", (Fence(), Fence()), (Region("y", 4, 4), Region("z", 8, 4)))
    joined = first + two
    assert (joined.name, len(joined.items)) == ("one+two", 3)
    assert [region.name for region in joined.regions] == ["x", "y", "z"]


LOOP = MatmulLoop(4, 4, 4, A, B, C)
BAD: list[tuple[tuple[Item, ...], str]] = [
    ((), "the program is empty"),
    ((LOOP, MatmulLoop(4, 0, 4, A, B, C)), "item 1 (MatmulLoop): tile 4x0x4 has an empty dimension"),
    (
        (MatmulLoop(16, 32, 8, A, B, C),),
        "item 0 (MatmulLoop): scratchpad: tile 16x32x8 needs 192 rows > 128, half of it for double buffering",
    ),
    ((MatmulLoop(64, 32, 8, A, B, C, whole_memory=True),), "item 0 (MatmulLoop): scratchpad: tile 64x32x8 needs"),
    (
        (MatmulLoop(16, 4, 12, A, B, C),),
        "item 0 (MatmulLoop): accumulator: tile 16x4x12 needs 48 rows > 32, half of it for double buffering",
    ),
    ((MatmulLoop(4, 4, 4, Matrix(-4, 4), B, C),), "item 0 (MatmulLoop): A: negative address or row stride"),
    ((MatmulLoop(4, 4, 4, A, B, None, activation="softmax"),), "item 0 (MatmulLoop): softmax needs a stored result"),
    ((Fence(), Mvin(A, 5, 4, "scratchpad", 0)), "item 1 (Mvin): 5 rows > 4, the array height"),
    ((Mvin(A, 4, 8, "scratchpad", 250),), "item 0 (Mvin): scratchpad rows 250..257 outside 0..255"),
    ((Mvout(C, 4, 4, "accumulator", 62),), "item 0 (Mvout): accumulator rows 62..65 outside 0..63"),
    ((Preload(0, 5, 4, "accumulator", 0),), "item 0 (Preload): weights 5x4 outside 1..4"),
    ((Compute(0, 4, 4, 4),), "item 0 (Compute): compute without a preload before it"),
    ((Preload(0, 4, 4, "accumulator", 0), Fence(), Compute(0, 4, 4, 4)), "item 2 (Compute): compute without a preload"),
    ((Preload(0, 4, 4, "accumulator", 0), Compute(0, 4, 5, 4)), "item 1 (Compute): block 4x5x4 outside 1..4"),
    ((Preload(0, 4, 4, "accumulator", 0), Compute(254, 4, 4, 4)), "item 1 (Compute): scratchpad rows 254..257"),
    ((HostTask("gelu", -1),), "item 0 (HostTask): -1 cycles"),
    ((Mvout(C, 4, 8, "accumulator", 8, block_stride=-8),), "item 0 (Mvout): block stride -8 is negative"),
    ((MatmulLoop(4, 4, 4, Matrix(1 << 70, 4), B, C),), "item 0 (MatmulLoop): A: address or row stride beyond 0x1"),
    ((Mvin(Matrix(0, 1 << 63), 4, 4, "scratchpad", 0),), "item 0 (Mvin): source: address or row stride beyond"),
    ((HostTask("gelu", 1, 1, (Region("x", 8, -4),)),), "item 0 (HostTask): region x: -4 bytes from 0x8 on"),
]


@pytest.mark.parametrize(("items", "message"), BAD)
def test_complaints_name_the_command(tiny: HardwareSpec, items: tuple[Item, ...], message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        simulate(Program("bad", items), tiny)
    assert str(caught.value).startswith("bad on tiny_4x4: ")
    assert message in str(caught.value)


def test_machines_without_the_unit(tools, gemmini: HardwareSpec) -> None:  # type: ignore[no-untyped-def]
    program = Program("bad", (MatmulLoop(16, 16, 16, A, B, C, activation="gelu"),))
    with pytest.raises(ProgramError, match=r"item 0 \(MatmulLoop\): gemmini has no unit for gelu"):
        simulate(program, gemmini)
    stationary = Program("bad", (Preload(0, 16, 16, "accumulator", 0), Compute(0, 16, 16, 16, output_stationary=True)))
    with pytest.raises(ProgramError, match=r"item 1 \(Compute\): gemmini_chip is not built for the output-stationary"):
        simulate(stationary, tools.machine("gemmini_chip"))


def test_regions_lie_in_memory(tiny: HardwareSpec) -> None:
    for region in (Region("x", -1, 4), Region("x", 0, -1), Region("x", 1 << 60, 4)):
        with pytest.raises(ProgramError, match="bad on tiny_4x4: region x: "):
            simulate(Program("bad", (LOOP,), (region,)), tiny)


def test_many_complaints_are_counted(tiny: HardwareSpec) -> None:
    with pytest.raises(ProgramError, match=r"item 4 .*\(\+3 more\)"):
        simulate(Program("bad", (HostTask("gelu", -1),) * 8), tiny)


REFUSED_NOW = [
    (Mvin(Matrix(0, 4), 0, 4, "scratchpad", 0), "0x4 is empty"),
    (Mvin(Matrix(0, 4), 4, 4, "scratchpad", 0, element_bits=7), "7-bit elements; 8 or 32 on tiny_4x4"),
    (
        Mvin(Matrix(0, 16), 4, 4, "scratchpad", 0, element_bits=32),
        "the scratchpad holds 8-bit elements, not 32-bit ones",
    ),
    (Mvin(Matrix(0, 64), 4, 64, "scratchpad", 0), "64 columns > 16, the widest mvin of 8-bit elements"),
    (Mvout(Matrix(0, 4), 5, 4, "accumulator", 0), "5 rows > 4, the array height"),
    (MatmulLoop(4, 4, 4, Matrix(0, 4), Matrix(64, 4), Matrix(128, 4), a_half=5), "a_half=5 is not one of 0, 1"),
    (MatmulLoop(4, 4, 4, Matrix(0, 4), Matrix(64, 4), Matrix(128, 2)), "C: rows of 4 bytes overlap at a stride of 2"),
]


@pytest.mark.parametrize(("item", "message"), REFUSED_NOW)
def test_a_command_that_means_nothing_is_named(item: Item, message: str) -> None:
    with pytest.raises(ProgramError, match=re.escape(message)) as caught:
        check(Program("wrong", (item,)), hwconfigs.load("tiny_4x4"))
    assert "item 0" in str(caught.value)
