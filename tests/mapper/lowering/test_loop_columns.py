"""Loops in columns are those of the definition, and everything that reads them finds what it finds in the loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwconfigs import HardwareSpec
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem, contiguous
from simulator.checks.validate import MOST_ADDRESS, check
from simulator.frontend.command_queues import CommandQueues
from simulator.loop_columns import LoopItems, loop_kinds
from simulator.machine import prepare, program_steps, simulate
from simulator.memory.request_stream import MemoryState
from simulator.program import Fence, KeptBlocks, MatmulLoop, Matrix, Program, ProgramError
from tests.mapper.lowering.plain_loops import plain_loops
from tests.mapper.tiny import MACHINES, legal_loops, machine, problems


def drawn(data: st.DataObject) -> tuple[MatmulProblem, HardwareLoop, HardwareSpec]:
    spec = machine(data.draw(st.sampled_from(MACHINES)))
    problem = data.draw(problems(spec))
    return problem, data.draw(legal_loops(problem, spec)), spec


def plain(program: Program) -> Program:
    """The same program, every item an object."""
    return replace(program, items=tuple(program.items))


@settings(max_examples=150)
@given(st.data())
def test_columns_are_the_loops_of_the_definition(data: st.DataObject) -> None:
    problem, loop, spec = drawn(data)
    items = lower_matmul(problem, loop, spec).items
    assert isinstance(items, LoopItems)
    expected = list(plain_loops(problem, loop, spec))
    assert list(items)[1:-1] == expected
    assert [items[at] for at in range(-len(items), len(items))] == list(items) * 2
    assert items == tuple(items)
    assert loop_kinds(items) == loop_kinds(tuple(items))
    first = data.draw(st.integers(0, len(expected)))
    part = range(first, data.draw(st.integers(first, len(expected) + 2)))
    assert lower_matmul(problem, loop, spec, part=part).items[0 if first else 1 :] == tuple(expected[first : part.stop])


@pytest.mark.parametrize("tiles", [(1, 1, 1), (2, 1, 2), (2, 2, 1)])
def test_blocks_that_stay_in_the_scratchpad_are_those_of_the_definition(tiles: tuple[int, int, int]) -> None:
    spec, side = machine("gemmini"), 16
    problem = contiguous(4 * side, 4 * side, 4 * side)
    problem = replace(problem, a_kept=KeptBlocks(8192, 4), c_kept=KeptBlocks(8192 + 16 * side, 4), reserved_rows=8192)
    loop = HardwareLoop(*tiles, "mnk")
    assert list(lower_matmul(problem, loop, spec).items)[1:-1] == list(plain_loops(problem, loop, spec))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_reads_columns_finds_what_it_finds_in_loops(data: st.DataObject) -> None:
    problem, loop, spec = drawn(data)
    program = lower_matmul(problem, loop, spec)
    columns, objects = program_steps(program, spec), program_steps(plain(program), spec)
    assert len(columns) == len(objects)
    for mine, other in zip(columns, objects, strict=True):
        assert type(mine) is type(other)
        if isinstance(mine, CommandQueues) and isinstance(other, CommandQueues):
            assert mine.name == other.name
            assert mine.halves == other.halves
            assert mine.loads.base.tolist() == other.loads.base.tolist()
            assert mine.stores.base.tolist() == other.stores.base.tolist()
            assert mine.pairs.result_bank == other.pairs.result_bank
    states = MemoryState(spec), MemoryState(spec)
    first, second = (prepare(one, spec, state) for one, state in zip((program, plain(program)), states, strict=True))
    assert first.counts == second.counts
    assert states[0].fingerprint() == states[1].fingerprint()
    np.testing.assert_array_equal(first.memory_times.all(), second.memory_times.all())
    assert simulate(program, spec) == simulate(plain(program), spec)


def with_address(program: Program, name: str, loop: int, address: int) -> Program:
    """The program with one matrix of one of its loops elsewhere."""
    items = program.items
    assert isinstance(items, LoopItems)
    items.loops.addresses[("a", "b", "d", "residual", "c").index(name), loop] = address
    return program


@pytest.mark.parametrize(
    ("name", "loop", "address"),
    [
        pytest.param("c", -1, MOST_ADDRESS, id="beyond any memory"),
        pytest.param("b", -1, -1, id="negative"),
        pytest.param("c", -1, 4096 + 48 * 64 + 50, id="over its own A"),
        pytest.param("c", 3, 4096, id="over an A that is loaded again"),
    ],
)
def test_complaints_are_those_about_loops(name: str, loop: int, address: int) -> None:
    spec = machine("gemmini")
    program = with_address(
        lower_matmul(contiguous(64, 64, 64), HardwareLoop(1, 1, 1, "nmk"), spec), name, loop, address
    )
    with pytest.raises(ProgramError) as of_loops:
        check(plain(program), spec)
    with pytest.raises(ProgramError) as of_columns:
        check(program, spec)
    assert str(of_columns.value) == str(of_loops.value)


def test_items_join_as_tuples_do() -> None:
    spec = machine("gemmini")
    program = lower_matmul(contiguous(16, 16, 16), HardwareLoop(1, 1, 1), spec)
    twice = program + program
    assert twice.items == tuple(program.items) * 2
    assert hash(program.items) == hash(tuple(program.items))
    assert program.items != [Fence()]
    loop = program.items[1]
    assert isinstance(loop, MatmulLoop)
    assert loop.a == Matrix(4096, 16)
