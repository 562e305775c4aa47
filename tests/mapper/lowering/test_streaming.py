"""Row-wise, elementwise and host operators: every element once, counts of estimate and simulation equal."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import hwconfigs
from hwconfigs.kernels import UNNAMED_HOST_CYCLES
from mapper.cost.estimate_commands import CommandEstimates, estimate_commands
from mapper.lowering.host import host_program
from mapper.lowering.repeated_program import CommandInstance, RepeatedProgram
from mapper.lowering.streaming import Operand, Stream, stream_programs
from simulator.machine import PreparedProgram, prepare, prepare_moved, simulate
from simulator.memory.request_stream import MemoryState
from simulator.program import HostTask, Matrix, Mvin, Mvout, Program, Region
from tests.mapper.tiny import machine, prices

SOURCE, OTHER, TARGET = 1 << 20, 1 << 24, 1 << 28


def programs(repeated: tuple[RepeatedProgram, ...]) -> list[Program]:
    return [each.instance(number).program for each in repeated for number in range(each.count)]


def commands(repeated: tuple[RepeatedProgram, ...]) -> list[Mvin | Mvout]:
    items = [item for program in programs(repeated) for item in program.items]
    return [item for item in items if isinstance(item, (Mvin, Mvout))]


def touched(matrix: Matrix, rows: int, cols: int, element_bytes: int) -> set[int]:
    return {matrix.address + r * matrix.row_stride_bytes + c * element_bytes for r in range(rows) for c in range(cols)}


@settings(max_examples=25)
@given(st.integers(1, 100), st.integers(1, 200), st.sampled_from([8, 32]), st.sampled_from(["softmax", "layernorm"]))
def test_row_wise_operators_move_every_element_once(rows: int, cols: int, bits: int, kernel: str) -> None:
    spec = machine("gemmini_ibert")
    size = bits // 8
    source, target = Matrix(SOURCE, cols * size), Matrix(TARGET, cols)
    repeated = stream_programs(Stream("s", rows, cols, (Operand(source, bits),), target, kernel), spec)
    read: list[int] = []
    written: list[int] = []
    for command in commands(repeated):
        if isinstance(command, Mvin):
            read += touched(command.source, command.rows, command.cols, size)
        else:
            written += touched(command.target, command.rows, command.cols, 1)
            assert command.activation == kernel
    assert sorted(read) == sorted(touched(source, rows, cols, size))
    assert sorted(written) == sorted(touched(target, rows, cols, 1))
    assert_counts_agree(programs(repeated), "gemmini_ibert")


def assert_counts_agree(lowered: list[Program], name: str) -> None:
    spec = machine(name)
    first, second = MemoryState(spec), MemoryState(spec)
    for program in lowered:
        expected = estimate_commands(program, spec, prices(spec), first)
        measured = simulate(program, spec, memory=second)
        assert expected.counts == measured.counts


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3000), st.sampled_from([5, 64, 200]), st.sampled_from(["softmax", "gelu"]))
def test_programs_that_moved_estimate_and_run_as_those_that_were_made_there(rows: int, cols: int, kernel: str) -> None:
    """A stream makes two programs and the last; the others are the second one, further down in DRAM."""
    spec = machine("gemmini_ibert")
    source, target = Matrix(SOURCE, 4 * cols), Matrix(TARGET, cols)
    repeated = stream_programs(Stream("s", rows, cols, (Operand(source, 32),), target, kernel), spec)
    instances = [each.instance(number) for each in repeated for number in range(each.count)]
    assert len({id(one.template) for one in instances if isinstance(one, CommandInstance)}) <= 3
    first, second, third = MemoryState(spec), MemoryState(spec), MemoryState(spec)
    known: dict[int, tuple[CommandEstimates, PreparedProgram]] = {}
    for one in instances[:5]:
        assert isinstance(one, CommandInstance)
        made = estimate_commands(one.program, spec, prices(spec), first)
        if id(one.template) not in known:
            estimates = CommandEstimates(one.template, spec, prices(spec))
            known[id(one.template)] = estimates, prepare(one.template, spec, MemoryState(spec))
        estimates, prepared = known[id(one.template)]
        assert estimates.report(third, None, one.rows_below) == made
        moved = prepare_moved(one.template, spec, second.copy(), prepared.steps, one.rows_below)
        assert moved.simulate() == simulate(one.program, spec, memory=second)


def test_long_rows_use_fewer_rows_per_tile() -> None:
    """2,048 columns are 128 blocks: 8 rows of them fill the 1,024 rows of a half."""
    spec = machine("gemmini_ibert")
    stream = Stream("s", 20, 2048, (Operand(Matrix(SOURCE, 8192), 32),), Matrix(TARGET, 2048), "softmax")
    moves = commands(stream_programs(stream, spec))
    stores = [command for command in moves if isinstance(command, Mvout)]
    assert [store.rows for store in stores] == [8, 8, 4]
    assert [store.row for store in stores] == [0, 1024, 0]
    assert {store.block_stride for store in stores} == {8}
    loads = [command for command in moves if isinstance(command, Mvin)]
    assert max(load.row + load.rows for load in loads) == 2048
    assert_counts_agree(programs(stream_programs(stream, spec)), "gemmini_ibert")


@settings(max_examples=15)
@given(st.integers(1, 80), st.integers(1, 150), st.sampled_from(["gemmini", "tiny_4x4"]))
def test_residual_additions(rows: int, cols: int, name: str) -> None:
    spec = machine(name)
    operands = Operand(Matrix(SOURCE, cols), 8), Operand(Matrix(OTHER, cols), 8)
    repeated = stream_programs(Stream("add", rows, cols, operands, Matrix(TARGET, cols)), spec)
    moves = commands(repeated)
    loads = [command for command in moves if isinstance(command, Mvin)]
    first = [load for load in loads if not load.accumulate]
    assert all(load.scaled == (not load.accumulate) for load in loads)
    assert len(first) * 2 == len(loads)
    assert sum(load.rows * load.cols for load in first) == rows * cols
    assert sum(store.rows * store.cols for store in moves if isinstance(store, Mvout)) == rows * cols
    assert_counts_agree(programs(repeated), name)


def test_host_kernels_pay_per_element_and_per_line() -> None:
    """1,000 elements of softmax at 125 cycles, and 1,000 bytes in and out as 31.25 lines."""
    spec = machine("gemmini")
    reads, writes = (Region("x", SOURCE, 1000),), (Region("y", TARGET, 1000),)
    program = host_program("softmax", "softmax", 1000, reads, writes, spec).instance(0).program
    (task,) = program.items
    assert isinstance(task, HostTask)
    assert task.cycles == int(np.ceil(1000 * spec.host.kernel_cycles["softmax"] + 31.25 * spec.host.line_cycles))
    assert_counts_agree([program], "gemmini")
    (unnamed,) = host_program("x", "fft", 1000, reads, writes, spec).instance(0).program.items
    assert isinstance(unnamed, HostTask)
    assert unnamed.cycles == int(np.ceil(1000 * UNNAMED_HOST_CYCLES + 31.25 * spec.host.line_cycles))


def test_a_repeated_program_has_equal_instances_and_the_rest_follows() -> None:
    spec = machine("gemmini_ibert")
    stream = Stream("s", 16 * 32 * 5 + 7, 64, (Operand(Matrix(SOURCE, 256), 32),), Matrix(TARGET, 64), "softmax")
    repeated = stream_programs(stream, spec)
    assert [each.count for each in repeated] == [5, 1]
    stores = [sum(isinstance(item, Mvout) for item in program.items) for program in programs(repeated)]
    assert sum(stores) == 32 * 5 + 1


def test_additions_shrink_to_a_small_accumulator() -> None:
    """2 KiB are 32 rows: a half of 16 rows holds one block of 16 columns; of 4 KiB, two."""
    for size, widest in (("2 KiB", 16), ("4 KiB", 32), ("64 KiB", 64)):
        spec = hwconfigs.override(machine("gemmini"), {"accumulator.capacity": size})
        operands = Operand(Matrix(SOURCE, 100), 8), Operand(Matrix(OTHER, 100), 8)
        repeated = stream_programs(Stream("add", 20, 100, operands, Matrix(TARGET, 100)), spec)
        stores = [command for command in commands(repeated) if isinstance(command, Mvout)]
        assert max(store.cols for store in stores) == widest
        assert sum(store.rows * store.cols for store in stores) == 2000
        for program in programs(repeated):
            assert simulate(program, spec).cycles > 0
