"""Huge problems: estimated and told so, or refused; thinned only where an exhaustive search would take minutes."""

from __future__ import annotations

import math
import time

import pytest

from mapper import pipeline
from mapper.cost.simulation_limits import why_too_long
from mapper.errors import MappingError
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.mapping.matmul_problem import contiguous
from mapper.mapspace.hardware_loops import MapSpace
from mapper.mapspace.tile_sizes import EVERY, MOST_TILES, extents, fitting, sizes_to_try
from mapper.search.exact.hardware_loops import search
from tests.mapper.tiny import machine, prices

HUGE = [
    (33_554_432, 1, 1),
    (16_384, 16_384, 16_384),
    (1_000_000, 1_000_000, 1_000_000),
    (2**31, 1, 1),
    (1, 2**31, 1),
    (1, 1, 200_000_000),
]


@pytest.mark.parametrize("shape", HUGE)
def test_what_is_too_long_to_simulate_is_estimated_and_says_so(shape: tuple[int, int, int]) -> None:
    before = time.process_time()
    result = pipeline.map_matmul(*shape, "gemmini")
    assert time.process_time() - before < 20.0
    assert result.simulation.cycles == result.estimate.cycles >= math.prod(shape) / 256
    assert result.simulation.by_op[0].source == "estimate"
    (group,) = result.groups
    assert group.note.startswith("not simulated, the estimate stands in its place: ")
    assert group.note.endswith((" DMA requests are too many to simulate, the bound is 50,000,000",
                                " hardware loops are too many to simulate, the bound is 200,000"))  # fmt: skip
    assert "not settled by simulation" in next(iter(result.searches.values())).statement


@pytest.mark.parametrize("shape", [(1, 2**31, 2**31), (2**31, 2**31, 2**31)])
def test_what_cannot_be_counted_is_refused_at_once_in_one_line(shape: tuple[int, int, int]) -> None:
    with pytest.raises(MappingError, match=r"too large to count: [\d,]+ MACs, the bound is [\d,]+; cut it") as caught:
        pipeline.map_matmul(*shape, "gemmini")
    assert len(str(caught.value).splitlines()) == 1


def test_nothing_too_long_is_executed_on_numbers_or_put_on_a_front() -> None:
    huge = pipeline.map_matmul(16_384, 16_384, 16_384, "gemmini", finalists=0)
    with pytest.raises(MappingError, match="matmul: its program is too long to be executed on numbers"):
        pipeline.check_numbers(huge)
    graph, spec = pipeline.matmul_graph(16_384, 16_384, 16_384), machine("gemmini")
    (result,) = pipeline.front_graph(graph, spec).values()
    assert result.front and result.front_simulated is None


def test_the_chosen_mapping_is_counted() -> None:
    """1,024^3 in tiles of one block: 262,144 loops."""
    spec, problem = machine("gemmini"), contiguous(1024, 1024, 1024)
    assert not why_too_long(problem, search(problem, spec, prices(spec)).loop, spec, prices(spec))
    reason = why_too_long(problem, HardwareLoop(1, 1, 1), spec, prices(spec))
    assert reason == "262,144 hardware loops are too many to simulate, the bound is 200,000"


@pytest.mark.parametrize("name", ["gemmini", "tiny_4x4", "gemmini_ibert", "paper_codesign", "gemmini_lean"])
def test_shipped_machines_are_searched_exhaustively(name: str) -> None:
    spec = machine(name)
    for size in (4096, 10**6):
        space = MapSpace(contiguous(size, size, size), spec)
        scratchpad, accumulator = space.capacity_blocks(double_buffered=False)
        most = (accumulator, scratchpad // 2, accumulator)
        for tried, blocks, bound in zip(space.extents, space.blocks, most, strict=True):
            assert tried.tolist() == list(range(1, min(blocks, bound) + 1))


def test_huge_dimensions_keep_small_extents_and_those_that_save_a_tile() -> None:
    assert len(extents(EVERY, 10**9)) == EVERY
    kept = extents(62_500, 10**9)
    assert len(kept) <= EVERY + 1
    assert kept[:512].tolist() == list(range(1, 513))
    assert kept[-1] == 62_500
    for tile in kept[512:].tolist():
        assert -(-62_500 // (tile - 1)) > -(-62_500 // tile)


def test_huge_memories_are_thinned_to_a_bounded_number() -> None:
    tried = sizes_to_try((6250, 6250, 6250), 2**18, 2**14)
    assert 1000 < fitting(tried, 2**18, 2**14) <= MOST_TILES
    space = MapSpace(contiguous(100, 100, 100), machine("gemmini"))
    assert space.size == 7**3 * 12
