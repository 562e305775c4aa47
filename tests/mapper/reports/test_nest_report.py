"""A nest's report: sums, what limits it, and what keeps Gemmini from executing it."""

from __future__ import annotations

from dataclasses import replace

import pytest

import hwconfigs
from mapper.mapping.loop_nest import LevelMapping, LoopNest, SpatialLoop, TemporalLoop
from mapper.nest.model.accounting import DEFAULT, TIMELOOP
from mapper.nest.model.hierarchy import Hierarchy
from mapper.nest.model.problem import TENSORS, matmul
from mapper.reports.nest_report import NestReport, hardware_loop_obstacles, nest_dict, nest_report, nest_text
from tests.mapper.tiny import machine, prices

ALL = frozenset(TENSORS)
OPERANDS, RESULT = frozenset({"input", "weight"}), frozenset({"output"})


def nest(m: int = 128, k: int = 384, n: int = 64, inner: str = "knm") -> LoopNest:
    """512x768x768 in one tile of the scratchpad at a time, blocks walked along ``inner``, two copies of everything."""
    steps = {"m": 1, "k": 16, "n": 16}
    return LoopNest(
        ("x",),
        (("m", 512), ("k", 768), ("n", 768)),
        "gemmini + l2=null",
        (
            LevelMapping("dram", ALL, (TemporalLoop("m", m), TemporalLoop("n", n), TemporalLoop("k", k))),
            LevelMapping("scratchpad", OPERANDS, double_buffered=OPERANDS),
            LevelMapping(
                "accumulator",
                RESULT,
                tuple(TemporalLoop(dim, steps[dim]) for dim in inner),
                (SpatialLoop("k", 16, "rows"), SpatialLoop("n", 16, "cols")),
                RESULT,
            ),
            LevelMapping("array", frozenset({"weight"})),
        ),
    )


def report(mapping: LoopNest) -> NestReport:
    spec = hwconfigs.override(machine("gemmini"), {"l2": None})
    return nest_report(mapping, matmul(512, 768, 768), Hierarchy.of(spec, prices(spec)), DEFAULT, spec)


def test_words_by_hand() -> None:
    """A comes once per column of tiles (12 times), B once per row of them (4 times), C leaves once; all from DRAM."""
    words = {key: accesses.total for key, accesses in report(nest()).counts.accesses.items()}
    assert words["dram", "input"]["read"] == words["scratchpad", "input"]["fill"] == 512 * 768 * 12
    assert words["dram", "weight"]["read"] == words["scratchpad", "weight"]["fill"] == 768 * 768 * 4
    assert words["dram", "output"]["update"] == 512 * 768
    assert words["array", "weight"]["read"] == 512 * 768 * 768


def test_energy_and_cycles_add_up() -> None:
    """DRAM moves 7.5 MB at 8 bytes per cycle and hides behind nothing less than 1,179,648 steps of a full array."""
    described = report(nest())
    assert sum(described.energy_by_memory_pj.values()) == pytest.approx(described.energy_pj, rel=1e-12)
    assert int(described.counts.steps[0]) == 512 * 48 * 48
    assert described.cycles == max(int(column[0]) for column in described.counts.level_cycles.values())
    assert described.edp_js == pytest.approx(described.energy_pj * 1e-12 * described.cycles * 1e-9)
    assert nest_dict(described)["bound"] == described.bound == "array"
    assert "utilisation 100.0%" in nest_text(described)


def test_a_slow_port_is_named() -> None:
    described = report(nest(16, 16, 16))
    assert described.bound == "dram"
    assert "the port of dram takes all" in nest_text(described)


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (nest(), []),
        (nest(k=768, n=48), []),
        (nest(m=100), ["tile m=100 is no multiple of 16"]),
        (nest(inner="nkm"), ["walked along n k m, not k n m"]),
        (nest(m=103, inner="mkn"), ["tile m=103", "walked along m k n"]),
    ],
)
def test_what_keeps_gemmini_from_a_nest(mapping: LoopNest, says: list[str]) -> None:
    obstacles = hardware_loop_obstacles(mapping, 16)
    assert len(obstacles) == len(says)
    assert all(text in reason for text, reason in zip(says, obstacles, strict=True))


def test_other_hardware_loop_obstacles() -> None:
    """Part of the array, one operand in halves, loops at a cache."""
    whole = nest()
    accumulator = replace(whole.levels[2], spatial=(SpatialLoop("k", 8, "rows"), SpatialLoop("n", 16, "cols")))
    (reason,) = hardware_loop_obstacles(replace(whole, levels=(*whole.levels[:2], accumulator, whole.levels[3])), 16)
    assert "does not spread k over all rows" in reason
    scratchpad = replace(whole.levels[1], double_buffered=frozenset({"weight"}))
    (reason,) = hardware_loop_obstacles(replace(whole, levels=(whole.levels[0], scratchpad, *whole.levels[2:])), 16)
    assert reason == "only output, weight would have two copies"
    cache = LevelMapping("l2", ALL, (TemporalLoop("m", 64),))
    (reason,) = hardware_loop_obstacles(replace(whole, levels=(whole.levels[0], cache, *whole.levels[1:])), 16)
    assert "loops over m at the l2" in reason


def test_perfect_factors_are_asked_for_by_timeloop() -> None:
    spec = hwconfigs.override(machine("gemmini"), {"l2": None})
    with pytest.raises(ValueError, match="m=512 in steps of 100"):
        nest_report(nest(m=100), matmul(512, 768, 768), Hierarchy.of(spec, prices(spec)), TIMELOOP, spec)
