"""Reads of rows that nothing wrote, kept tiles that are not there, and the programs that must stay legal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwconfigs import HardwareSpec, load
from simulator.checks.on_chip_contents import PAGE_ROWS, DefUseCheck, WrittenRows, tile_columns
from simulator.frontend.expand import LoopExpander
from simulator.loop_columns import loop_kinds
from simulator.machine import count, simulate
from simulator.program import (
    EVERYTHING_ON_CHIP,
    Compute,
    Fence,
    Item,
    MatmulLoop,
    Matrix,
    Mvin,
    Mvout,
    Preload,
    Program,
    ProgramError,
)

A, B, C, D = (Matrix(address, 64) for address in (0x1000, 0x3000, 0x5000, 0x7000))
TINY = load("tiny_4x4")
LOOP = MatmulLoop(4, 4, 4, A, B, C)
SUMS = replace(LOOP, c=None)
LOAD_A, LOAD_B = Mvin(A, 4, 4, "scratchpad", 0), Mvin(B, 4, 4, "scratchpad", 64)
PRELOAD, COMPUTE = Preload(64, 4, 4, "accumulator", 0), Compute(0, 4, 4, 4)

UNWRITTEN: list[tuple[str, tuple[Item, ...], str]] = [
    ("mvout of nothing", (Mvout(C, 4, 4, "accumulator", 8),), "item 0 (Mvout): reads accumulator row 8, columns 0..3"),
    (
        "mvout wider than what was loaded",
        (Mvin(A, 4, 3, "scratchpad", 0), Mvout(C, 4, 4, "scratchpad", 0)),
        "item 1 (Mvout): reads scratchpad row 0, columns 0..3, that nothing has written",
    ),
    (
        "mvout of more rows than were loaded",
        (Mvin(A, 3, 4, "scratchpad", 0), Mvout(C, 4, 4, "scratchpad", 0)),
        "item 1 (Mvout): reads scratchpad row 3",
    ),
    (
        "second block of a wide mvout",
        (Mvin(A, 4, 4, "accumulator", 0), Mvout(C, 4, 8, "accumulator", 0)),
        "item 1 (Mvout): reads accumulator row 4",
    ),
    (
        "blocks at another pitch",
        (Mvin(A, 4, 8, "accumulator", 0), Mvout(C, 4, 8, "accumulator", 0, block_stride=8)),
        "item 1 (Mvout): reads accumulator row 8",
    ),
    ("weights", (LOAD_A, PRELOAD, COMPUTE), "item 1 (Preload): reads scratchpad row 64"),
    ("inputs", (LOAD_B, PRELOAD, COMPUTE), "item 2 (Compute): reads scratchpad row 0"),
    (
        "transposed inputs read k rows",
        (
            Mvin(A, 2, 4, "scratchpad", 0), LOAD_B, Preload(64, 4, 4, "accumulator", 0),
            Compute(0, 2, 4, 4, inputs_transposed=True),
        ),
        "item 3 (Compute): reads scratchpad row 2, columns 0..1",
    ),
    (
        "transposed weights read n rows",
        (Mvin(B, 2, 4, "scratchpad", 64), Preload(64, 2, 4, "accumulator", 0, weights_transposed=True)),
        "item 1 (Preload): reads scratchpad row 66, columns 0..1",
    ),
    ("kept weights", (LOAD_A, Preload(None, 4, 4, "accumulator", 0), COMPUTE), "item 1 (Preload): keeps the weights"),
    (
        "sums of a compute",
        (LOAD_A, LOAD_B, replace(PRELOAD, accumulate=True), COMPUTE),
        "item 3 (Compute): reads accumulator row 0",
    ),
    ("sums of an mvin", (Mvin(A, 4, 4, "accumulator", 0, accumulate=True),), "item 0 (Mvin): reads accumulator row 0"),
    (
        "a result that has not left the array",
        (LOAD_A, LOAD_B, PRELOAD, replace(COMPUTE, output_stationary=True, last_of_output=False),
         Mvout(C, 4, 4, "accumulator", 0)),
        "item 4 (Mvout): reads accumulator row 0",
    ),
    ("kept A, first loop", (replace(LOOP, a=None),), "item 0 (MatmulLoop): keeps an operand, but no loop before it"),
    ("kept B, first loop", (replace(LOOP, b=None),), "item 0 (MatmulLoop): keeps an operand, but no loop before it"),
    (
        "kept A in the other half",
        (LOOP, replace(LOOP, a=None)),
        "item 1 (MatmulLoop): reads scratchpad row 128, columns 0..3, that nothing has written: keeps A 4x4 in "
        "scratchpad half 1",
    ),
    (
        "kept A of another shape",
        (LOOP, replace(LOOP, m=8, a=None, a_half=0)),
        "item 1 (MatmulLoop): keeps A 8x4 in scratchpad half 0, which holds A 4x4, loaded by item 0",
    ),
    (
        "kept A of another pitch",
        (MatmulLoop(8, 8, 4, A, B, C), MatmulLoop(8, 4, 4, None, B, C, a_half=0)),
        "item 1 (MatmulLoop): keeps A 8x4 in scratchpad half 0, which holds A 8x8, loaded by item 0",
    ),
    (
        "kept B, now transposed",
        (LOOP, replace(LOOP, b=None, b_half=0, b_transposed=True)),
        "keeps B^T 4x4 in scratchpad half 0, which holds B 4x4, loaded by item 0",
    ),
    (
        "kept A under a larger B",
        (
            MatmulLoop(16, 20, 4, A, B, C), Fence(),
            MatmulLoop(4, 20, 16, A, B, C, a_half=1, b_half=0),
            MatmulLoop(16, 20, 4, None, B, C, a_half=0, b_half=1),
        ),
        "item 3 (MatmulLoop): keeps A 16x20 in scratchpad half 0, but item 2 has overwritten what item 0 loaded there",
    ),
    ("sums of no loop", (replace(LOOP, accumulate=True),), "item 0 (MatmulLoop): accumulates, but the loop before it"),
    (
        "sums that left",
        (LOOP, LOOP, replace(LOOP, accumulate=True)),
        "item 2 (MatmulLoop): accumulates, but the loop before it left no result in the accumulator",
    ),
    (
        "sums of another size",
        (SUMS, replace(LOOP, m=8, accumulate=True)),
        "item 1 (MatmulLoop): accumulates 8x4 sums, but item 0 left 4x4 of them",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("items", "message"), [case[1:] for case in UNWRITTEN], ids=[case[0] for case in UNWRITTEN])
def test_complaints(items: tuple[Item, ...], message: str) -> None:
    """Simulation and counting refuse, in one line that lists the command."""
    for run in (simulate, count):
        with pytest.raises(ProgramError) as caught:
            run(Program("p", items), TINY)
        text = str(caught.value)
        assert message in text
        assert "\n" not in text
    number = int(message.partition("item ")[2].split()[0]) if message.startswith("item") else None
    if number is not None:
        assert Program("p", items).listing().splitlines()[number][7:] in text


@pytest.mark.parametrize("items", [case[1] for case in UNWRITTEN], ids=[case[0] for case in UNWRITTEN])
def test_preloaded_programs_may_read_it(items: tuple[Item, ...]) -> None:
    assert simulate(Program("p", items, preloaded=EVERYTHING_ON_CHIP), TINY).cycles > 0


def test_preloaded_names_one_memory_at_a_time() -> None:
    items = (LOAD_A, PRELOAD, COMPUTE, Mvout(C, 4, 4, "accumulator", 32))
    with pytest.raises(ProgramError, match=r"item 3 \(Mvout\): reads accumulator row 32"):
        simulate(Program("p", items, preloaded=("scratchpad",)), TINY)
    with pytest.raises(ProgramError, match=r"item 1 \(Preload\): reads scratchpad row 64"):
        simulate(Program("p", items, preloaded=("accumulator",)), TINY)
    assert simulate(Program("p", items, preloaded=("accumulator", "scratchpad")), TINY).cycles > 0


def test_preloaded_must_be_a_memory() -> None:
    with pytest.raises(ProgramError, match="preloaded='cache' is none of scratchpad, accumulator, weights"):
        simulate(Program("p", (LOOP,), preloaded=("cache",)), TINY)  # type: ignore[arg-type]


def test_a_sum_of_programs_keeps_what_is_preloaded() -> None:
    program = Program("one", (Fence(),), preloaded=("weights",))
    assert (program + Program("two", (Fence(),), preloaded=("scratchpad", "weights"))).preloaded == (
        "weights",
        "scratchpad",
    )


def test_every_row_complains_once() -> None:
    """The same missing rows read a thousand times are one complaint."""
    mvout = Mvout(C, 4, 4, "accumulator", 0)
    with pytest.raises(ProgramError) as caught:
        simulate(Program("p", (mvout,) * 1000), TINY)
    assert "more)" not in str(caught.value)


LEGAL: list[tuple[str, tuple[Item, ...]]] = [
    ("kept A two loops on", (LOOP, LOOP, replace(LOOP, a=None))),
    ("kept A by its half", (LOOP, replace(LOOP, a=None, a_half=0), replace(LOOP, a=None, a_half=0))),
    ("the upper rows of a kept A", (MatmulLoop(8, 8, 4, A, B, C), MatmulLoop(3, 8, 4, None, B, C, a_half=0))),
    ("A loaded command by command", (LOAD_A, replace(LOOP, a=None))),
    ("part of a kept A replaced", (LOOP, Mvin(D, 2, 4, "scratchpad", 0), replace(LOOP, a=None, a_half=0))),
    ("sums of two loops", (SUMS, replace(LOOP, accumulate=True))),
    ("sums across a fence", (SUMS, Fence(), replace(LOOP, accumulate=True))),
    ("sums of many loops", (SUMS, *(replace(SUMS, accumulate=True),) * 5, replace(LOOP, accumulate=True), LOOP)),
    ("sums of mvins", (Mvin(A, 4, 4, "accumulator", 0), replace(LOOP, accumulate=True))),
    ("D in place of sums", (replace(LOOP, d=Matrix(0x7000, 64), accumulate=True),)),
    ("what a loop loaded, stored by command", (LOOP, Mvout(D, 4, 4, "scratchpad", 0))),
    ("what a loop left, stored by command", (SUMS, Mvout(D, 4, 4, "accumulator", 0))),
    ("weights that a loop left", (LOOP, Preload(None, 4, 4, "accumulator", 0), COMPUTE)),
    ("rows overwritten while in use", (LOAD_A, LOAD_B, PRELOAD, COMPUTE, LOAD_A, LOAD_B, PRELOAD, COMPUTE)),
    ("accumulation in place", (LOAD_A, LOAD_B, PRELOAD, COMPUTE, replace(PRELOAD, accumulate=True), COMPUTE)),
    (
        "a narrow load over a wide one",
        (Mvin(A, 4, 4, "scratchpad", 0), Mvin(A, 4, 1, "scratchpad", 0), Mvout(C, 4, 4, "scratchpad", 0)),
    ),
]


@pytest.mark.parametrize("items", [case[1] for case in LEGAL], ids=[case[0] for case in LEGAL])
def test_legal_programs(items: tuple[Item, ...]) -> None:
    assert simulate(Program("p", items), TINY).cycles > 0


def test_tile_columns() -> None:
    """6 x 5 elements in blocks of 4: rows of 4 and 1 columns, the lower blocks two rows high."""
    assert tile_columns(6, 5, 4).tolist() == [4, 4, 4, 4, 1, 1, 1, 1, 4, 4, 0, 0, 1, 1, 0, 0]


def test_written_rows() -> None:
    rows = WrittenRows()
    rows.write(2, 3, 2)
    assert rows.missing(2, 3, 2) is None
    assert rows.missing(2, 3, 3) == 2
    assert rows.missing(3, 3, 1) == 5
    rows.write(2, 1, 4)
    assert rows.missing(2, 3, 3) == 3
    rows.write(2, 1, 1)
    assert rows.missing(2, 1, 4) is None, "a narrow write leaves the other columns as they are"


def test_written_rows_of_a_memory_of_any_size() -> None:
    """Ranges that cross pages; rows beyond what any computer holds."""
    rows, far = WrittenRows(), 1 << 36
    rows.write(far + PAGE_ROWS - 3, 2 * PAGE_ROWS, 4)
    assert rows.missing(far + PAGE_ROWS - 2, 2 * PAGE_ROWS - 1, 4) is None
    assert rows.missing(far + PAGE_ROWS, 2 * PAGE_ROWS, 4) == far + 3 * PAGE_ROWS - 3
    assert rows.missing(far + PAGE_ROWS - 4, 8, 1) == far + PAGE_ROWS - 4


class _ByElement:
    """The same question element by element, from the machine's own work orders: an oracle."""

    def __init__(self, spec: HardwareSpec) -> None:
        self.spec, self.expander = spec, LoopExpander(spec, {})
        self.written = {
            "scratchpad": np.zeros((spec.scratchpad.rows, spec.array.cols), dtype=bool),
            "accumulator": np.zeros((spec.accumulator.rows, spec.array.cols), dtype=bool),
        }

    def write(self, memory: str, row: int, height: int, width: int) -> None:
        for first in range(0, width, 4):
            self.written[memory][row + first : row + first + height, : min(4, width - first)] = True

    def reads(self, memory: str, row: int, height: int, width: int) -> bool:
        return bool(self.written[memory][row : row + height, :width].all())

    def loop(self, loop: MatmulLoop) -> bool:
        work = self.expander.expand(loop)
        loads, pairs, fine = work.loads, work.pairs, True
        for row, height, size, sums in zip(
            loads.local_row, loads.rows.tolist(), loads.size_bytes.tolist(), loads.to_accumulator, strict=True
        ):
            self.write("accumulator" if sums else "scratchpad", row, height, size // 4 if sums else size)
        at = 0
        for k in range(0, loop.k, 4):
            for n in range(0, loop.n, 4):
                for _ in range(0, loop.m, 4):
                    depth, width = min(4, loop.k - k), min(4, loop.n - n)
                    shape = (width, depth) if loop.b_transposed else (depth, width)
                    fine &= self.reads("scratchpad", pairs.inputs_row[at], pairs.rows[at], depth)
                    fine &= self.reads("scratchpad", pairs.weights_row[at], *shape)
                    at += 1
        return fine


SIDES = st.integers(1, 9)


@given(
    st.lists(
        st.tuples(SIDES, SIDES, SIDES, *[st.booleans()] * 4, *[st.sampled_from([None, 0, 1])] * 2),
        min_size=1,
        max_size=6,
    )
)
def test_loops_agree_with_the_oracle(shapes: list[tuple[int, int, int, bool, bool, bool, bool, int, int]]) -> None:
    """A loop that reads elements nobody wrote complains; one that does not complain reads only written elements."""
    contents, oracle = DefUseCheck(TINY), _ByElement(TINY)
    for index, (m, k, n, keep_a, keep_b, transposed, whole, a_half, b_half) in enumerate(shapes):
        loop = MatmulLoop(
            m, k, n, None if keep_a else A, None if keep_b else B, C, b_transposed=transposed,
            a_half=0 if whole and a_half else a_half, b_half=0 if whole and b_half else b_half, whole_memory=whole,
        )  # fmt: skip
        complaints = list(contents.enter(index, loop))
        fine = oracle.loop(loop)
        if not fine:
            assert complaints
        if complaints and fine:
            assert all("which holds" in text or "has overwritten" in text for text in complaints)
        if complaints:
            return


COMMANDS = st.one_of(
    st.builds(Mvin, st.just(A), st.integers(1, 4), st.integers(1, 9), st.just("scratchpad"), st.integers(0, 6)),
    st.builds(Mvout, st.just(C), st.integers(1, 4), st.integers(1, 9), st.just("scratchpad"), st.integers(0, 6)),
)


@given(st.lists(COMMANDS, max_size=8))
def test_transfers_agree_with_the_oracle(commands: list[Mvin | Mvout]) -> None:
    contents, oracle = DefUseCheck(TINY), _ByElement(TINY)
    for index, command in enumerate(commands):
        complaints = list(contents.enter(index, command))
        if isinstance(command, Mvin):
            oracle.write(command.memory, command.row, command.rows, command.cols)
            assert not complaints
            continue
        fine = all(
            oracle.reads(command.memory, command.row + first, command.rows, min(4, command.cols - first))
            for first in range(0, command.cols, 4)
        )
        assert bool(complaints) == (not fine)
        if complaints:
            return


KINDS = st.builds(
    MatmulLoop,
    st.sampled_from([4, 8]),
    st.just(4),
    st.sampled_from([4, 8]),
    st.sampled_from([A, A, None]),
    st.sampled_from([B, B, None]),
    st.sampled_from([C, C, None]),
    accumulate=st.sampled_from([False, False, True]),
    a_half=st.sampled_from([None, 0, 1]),
    b_half=st.sampled_from([None, 0]),
)


@given(st.lists(KINDS, min_size=1, max_size=3), st.lists(st.integers(0, 3), min_size=1, max_size=24))
def test_looking_loops_up_is_entering_them(kinds: list[MatmulLoop], order: list[int]) -> None:
    """Programs of few kinds of loops, and a command now and then: the first complaint comes at the same item."""
    command = Mvin(A, 4, 4, "scratchpad", 2)
    items = tuple(kinds[number] if number < len(kinds) else command for number in order)
    entered, looked_up = DefUseCheck(TINY), DefUseCheck(TINY)
    for index, (item, kind) in enumerate(zip(items, loop_kinds(items), strict=True)):
        complaint = next(entered.enter(index, item), None)
        if kind >= 0 and looked_up.repeats(kind):
            assert complaint is None
            continue
        before = looked_up.state
        assert (next(looked_up.enter(index, item), None) is None) == (complaint is None)
        if complaint is not None:
            return
        if kind >= 0:
            looked_up.learn(before, kind)


def test_periodic_programs_are_looked_up() -> None:
    """Of a thousand equal loops a handful is entered."""
    contents, entered = DefUseCheck(TINY), 0
    for index in range(1000):
        if not contents.repeats(0):
            before = contents.state
            assert not list(contents.enter(index, LOOP))
            contents.learn(before, 0)
            entered += 1
    assert entered <= 6
