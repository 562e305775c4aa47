"""What the memories hold over time: never more than they can, as much as the mapping reserves, and in its time."""

from __future__ import annotations

from collections import defaultdict

import pytest

import hwconfigs
from mapper import pipeline
from simulator.machine import simulate
from simulator.program import MatmulLoop, Matrix, Mvin, Mvout, Program, Region
from simulator.report import Level, Report

MACHINE = hwconfigs.load("tiny_4x4")
REGIONS = (Region("A", 0x1000, 0x1000), Region("B", 0x4000, 0x1000), Region("C", 0x8000, 0x1000))


def peaks(levels: tuple[Level, ...]) -> dict[str, int]:
    """Largest sum of each memory over all tensors, at the end of each cycle."""
    now: dict[str, dict[str, int]] = defaultdict(dict)
    found: dict[str, int] = defaultdict(int)
    for place, level in enumerate(levels):
        now[level.memory][level.tensor] = level.size_bytes
        if place + 1 == len(levels) or levels[place + 1].cycle != level.cycle:
            for memory, tensors in now.items():
                found[memory] = max(found[memory], sum(tensors.values()))
    return dict(found)


def loops(number: int, **changes: object) -> Program:
    items = [
        MatmulLoop(8, 8, 8, Matrix(0x1000, 8), Matrix(0x4000, 8), Matrix(0x8000 + 64 * place, 8), **changes)  # type: ignore[arg-type]
        for place in range(number)
    ]
    return Program("loops", tuple(items), REGIONS)


def of(report: Report, memory: str, tensor: str) -> list[tuple[int, int]]:
    return [(one.cycle, one.size_bytes) for one in report.levels if (one.memory, one.tensor) == (memory, tensor)]


def ends(report: Report, unit: str, work: int) -> tuple[int, int]:
    (span,) = (span for span in report.spans if span.unit == unit and span.work == work)
    return span.start, span.end


def test_a_tile_is_held_from_its_loads_to_its_last_step() -> None:
    """8 x 8 int8 are 64 bytes, 8 x 8 int32 sums 256."""
    report = simulate(loops(1), MACHINE, spans=True)
    (load, _), (execute, computed), (_, stored) = (ends(report, unit, 0) for unit in ("load", "execute", "store"))
    assert of(report, "scratchpad", "A") == of(report, "scratchpad", "B") == [(load, 64), (computed, 0)]
    assert of(report, "accumulator", "C") == [(execute, 256), (stored, 0)]


def test_the_next_tile_is_loaded_beside_the_one_in_use() -> None:
    report = simulate(loops(6), MACHINE, spans=True)
    assert max(size for _, size in of(report, "scratchpad", "A")) == 2 * 64
    alone = simulate(loops(6, whole_memory=True), MACHINE, spans=True)
    assert max(size for _, size in of(alone, "scratchpad", "A")) == 64


def test_kept_operands_are_held_as_long_as_they_are_used() -> None:
    program = loops(3)
    first = MatmulLoop(8, 8, 8, Matrix(0x1000, 8), Matrix(0x4000, 8), Matrix(0x8000, 8), a_half=0)
    kept = MatmulLoop(8, 8, 8, None, Matrix(0x4000, 8), Matrix(0x8000, 8), a_half=0)
    report = simulate(Program("kept", (first, kept, kept), program.regions), MACHINE, spans=True)
    assert of(report, "scratchpad", "A")[-1] == (ends(report, "execute", 2)[1], 0)
    assert len(of(report, "scratchpad", "A")) == 2


def test_single_commands_hold_the_rows_that_they_write() -> None:
    """Two moves of 4 rows, the second over one half of the first's: 6 rows of 16 bytes."""
    moves = (
        Mvin(Matrix(0x1000, 4), 4, 4, "accumulator", 0, 32),
        Mvin(Matrix(0x1000, 4), 4, 4, "accumulator", 2, 32),
        Mvout(Matrix(0x8000, 4), 4, 4, "accumulator", 0),
    )
    report = simulate(Program("moves", moves, REGIONS), MACHINE, spans=True)
    assert [size for _, size in of(report, "accumulator", "A")] == [6 * MACHINE.accumulator.row_bytes, 0]


def test_nothing_is_recorded_without_spans() -> None:
    assert simulate(loops(1), MACHINE).levels == ()


@pytest.mark.parametrize("machine", ["gemmini_ibert", "tiny_4x4"])
def test_the_peak_is_what_the_mapping_reserves(machine: str) -> None:
    """The mapping reserves room for two whole tiles; where one of two is ragged, less of it is used."""
    spec = hwconfigs.load(machine)
    result = pipeline.run_graph(pipeline.matmul_graph(96, 80, 112, 2), spec, finalists=0, spans=True)
    found = peaks(result.simulation.levels)
    reserved = result.simulation.peak_bytes
    assert all(size / 2 < found[memory] <= size for memory, size in reserved.items())
    assert machine != "tiny_4x4" or {memory: found[memory] for memory in reserved} == reserved
    # A cold cache is full, of other programs' lines.
    assert spec.l2 is None or found["l2"] == spec.l2.capacity_bytes
    last = {(level.memory, level.tensor): level.size_bytes for level in result.simulation.levels}
    assert not any(size for (memory, _), size in last.items() if memory != "l2")


def test_the_l2_holds_what_went_through_it() -> None:
    """A product far smaller than the L2 leaves all its operands there, or some lines fewer where sets are full."""
    spec = hwconfigs.load("gemmini_ibert")
    result = pipeline.run_graph(pipeline.matmul_graph(64, 64, 64), spec, finalists=0, spans=True)
    last = {level.tensor: level.size_bytes for level in result.simulation.levels if level.memory == "l2"}
    operands = [tensor.name for tensor in result.graph.operators[0].inputs]
    assert len(operands) == 2
    assert all(0.9 * 64 * 64 <= last[name] <= 64 * 64 for name in operands)
    assert spec.l2 is not None and sum(last.values()) == spec.l2.capacity_bytes
