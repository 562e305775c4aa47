"""Matmuls that are next to nothing of a model keep the estimate's mapping; all others are settled by simulation."""

from __future__ import annotations

import hwconfigs
import workloads
from mapper import pipeline
from mapper.mapping.matmul_problem import contiguous
from mapper.search.shares import LITTLE, little_ones, rough_cycles
from workloads import OpGraph

SPEC = hwconfigs.load("gemmini_ibert")
LARGE, SMALL = contiguous(256, 512, 512).signature(64), contiguous(16, 64, 32).signature(64)


def test_bounds_are_those_of_the_array_and_of_the_dram() -> None:
    assert rough_cycles(LARGE, SPEC) == 32 * 32 * 256
    # One row: 64 x 32 weights, 64 operands and 32 results at 8 bytes per cycle.
    assert rough_cycles(contiguous(1, 64, 32), SPEC) == (64 * 32 + 64 + 32) / 8


def test_what_is_below_the_share_is_little() -> None:
    assert little_ones([(LARGE, 1), (SMALL, 1)], SPEC) == {SMALL}
    assert rough_cycles(SMALL, SPEC) < LITTLE * rough_cycles(LARGE, SPEC)


def test_equal_ones_count_together() -> None:
    assert little_ones([(LARGE, 1), (SMALL, 20), (SMALL, 20)], SPEC) == frozenset()


def test_nothing_alone_is_little() -> None:
    assert little_ones([(SMALL, 1)], SPEC) == frozenset()
    assert little_ones([], SPEC) == frozenset()


def test_a_run_settles_what_matters() -> None:
    graph = OpGraph("two", [workloads.matmul("large", 256, 512, 512), workloads.matmul("small", 16, 64, 32)])
    searches = pipeline.run_graph(graph, SPEC).searches
    assert searches["large"].finalists is not None
    assert searches["small"].finalists is None
    assert "less than 0.2% of the model's matmuls" in searches["small"].statement
    assert searches["small"].contenders is None


def test_who_asks_for_finalists_gets_them_of_every_matmul() -> None:
    graph = OpGraph("two", [workloads.matmul("large", 256, 512, 512), workloads.matmul("small", 16, 64, 32)])
    assert pipeline.run_graph(graph, SPEC, finalists=2).searches["small"].finalists is not None
