"""Mapspace: what is enumerated is legal and complete, what does not fit says why."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapper.errors import MappingError
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import MatmulProblem, contiguous
from mapper.mapspace.batch import ORDERS
from mapper.mapspace.hardware_loops import MapSpace
from mapper.search.exact.hardware_loops import search
from tests.mapper.tiny import machine, prices, problems


def everything(space: MapSpace) -> list[HardwareLoop]:
    """Return all candidates without held operands, by nested loops."""
    extents = (range(1, blocks + 1) for blocks in space.blocks)
    return [
        HardwareLoop(*tiles, order, buffered)
        for tiles in itertools.product(*extents)
        for order in ORDERS
        for buffered in (True, False)
    ]


@settings(max_examples=15)
@given(st.data())
def test_size_and_legal_count_are_those_of_brute_force(data: st.DataObject) -> None:
    spec = machine(data.draw(st.sampled_from(["tiny_4x4", "gemmini"])))
    space = MapSpace(data.draw(problems(spec, blocks=5)), spec)
    candidates = everything(space)
    assert space.size == len(candidates)
    assert space.legal == sum(not space.violations(loop) for loop in candidates)


@pytest.mark.parametrize("name", ["tiny_4x4", "gemmini_chip"])
def test_every_enumerated_candidate_is_legal_and_new(name: str) -> None:
    spec = machine(name)
    space = MapSpace(contiguous(*(6 * spec.array.rows - 1,) * 3), spec)
    members: set[HardwareLoop] = set()
    for batch in space.batches(rows=100):
        assert len(batch) <= 100
        loops = [batch.loop(row) for row in range(len(batch))]
        assert [loop for loop in loops if space.violations(loop)] == []
        assert members.isdisjoint(loops)
        members.update(loops)
    assert len(members) > 100


def test_violations_carry_the_inequality() -> None:
    """64 x 768 and 768 x 192 int8 are 196,608 bytes, 64 x 192 int32 are 49,152; the halves have 131,072 and 32,768."""
    space = MapSpace(contiguous(512, 768, 768), machine("gemmini"))
    scratchpad, accumulator = space.violations(HardwareLoop(4, 48, 12))
    assert (scratchpad.resource, scratchpad.demand, scratchpad.bound) == ("scratchpad", 196_608, 131_072)
    assert (accumulator.resource, accumulator.demand, accumulator.bound) == ("accumulator", 49_152, 32_768)
    assert "drop double buffering" in scratchpad.hint
    assert space.violations(HardwareLoop(4, 48, 12, double_buffered=False)) == ()


def test_held_operands_need_a_machine_that_can_and_few_tiles() -> None:
    problem = contiguous(64, 64, 64)
    cannot = MapSpace(problem, machine("gemmini")).violations(HardwareLoop(4, 4, 4, held=frozenset({"input"})))
    assert [violation.rule for violation in cannot] == ["held operand"]
    chip = MapSpace(problem, machine("gemmini_chip"))
    assert chip.violations(HardwareLoop(2, 4, 4, held=frozenset({"input"}))) == ()
    (too_many,) = chip.violations(HardwareLoop(1, 4, 4, held=frozenset({"input"})))
    assert (too_many.demand, too_many.bound) == (4, 2)


def test_nothing_fits_names_the_smallest_tile_and_the_census() -> None:
    """A scratchpad of 16 rows holds one block; a tile needs one of A and one of B."""
    spec = machine("gemmini")
    small = spec.scratchpad.model_copy(update={"capacity_bytes": 256, "banks": 1})
    spec = spec.model_copy(update={"scratchpad": small})
    problem: MatmulProblem = contiguous(32, 32, 32)
    space = MapSpace(problem, spec)
    assert space.legal == 0
    assert space.census()["legal"] == 0
    with pytest.raises(MappingError, match=r"scratchpad: tile m=16 k=16 n=16 .* 512 bytes > 256") as caught:
        search(problem, spec, prices(spec))
    assert caught.value.violations[0].demand == 512
    assert "candidates by broken rule" in str(caught.value)


def test_normalised_rows_leave_whole_tiles_and_innermost_k_to_choose_from() -> None:
    """512 columns are 32 blocks: halves of 128 KiB hold two rows of blocks, the whole four."""
    spec = machine("gemmini_ibert")
    problem = contiguous(100, 200, 512, activation="softmax")
    space = MapSpace(problem, spec)
    members = [batch.loop(row) for batch in space.batches() for row in range(len(batch))]
    legal = [loop for loop in everything(space) if not space.violations(loop)]
    assert {loop.tiles for loop in members} == {loop.tiles for loop in legal}
    assert {loop.tile_n for loop in legal} == {32}
    assert {(loop.tile_m, loop.double_buffered) for loop in members} == {
        *((m, True) for m in (1, 2)),
        *((m, False) for m in (1, 2, 3, 4)),
    }
    assert space.legal == len(members)
    tiles, sums = space.violations(HardwareLoop(2, 4, 16, "knm"))
    assert (tiles.rule, tiles.demand, sums.rule) == ("complete rows", 2, "complete sums")
    assert "make k the innermost loop" in sums.hint


def test_a_row_that_no_tile_holds_is_refused_with_the_tile_that_holds_it() -> None:
    spec = machine("gemmini_ibert")
    with pytest.raises(MappingError, match=r"accumulator: tile m=16 k=16 n=4096 .* 262,144 bytes > 131,072"):
        search(contiguous(64, 64, 4096, activation="softmax"), spec, prices(spec))


def test_a_mapping_and_its_nest_are_one() -> None:
    spec, problem = machine("gemmini"), contiguous(512, 768, 768)
    loop = HardwareLoop(4, 24, 4, "nmk")
    nest = MapSpace(problem, spec).nest(loop)
    assert MapSpace(problem, spec).loop(nest) == loop
    with pytest.raises(MappingError, match="machine 'gemmini', not 'gemmini_chip'"):
        MapSpace(problem, machine("gemmini_chip")).loop(nest)
    with pytest.raises(MappingError, match="m=512 k=768 n=768, not m=16"):
        MapSpace(contiguous(16, 16, 16), spec).loop(nest)
