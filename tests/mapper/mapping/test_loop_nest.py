"""Mapping: loop-nest text, YAML round trip, and what a file may get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapper.errors import MappingError
from mapper.mapping.hardware_loop import HardwareLoop, hardware_loop_of
from mapper.mapping.loop_nest import LevelMapping, LoopNest, SpatialLoop, TemporalLoop
from mapper.mapping.mapping_file import dump_mapping, read_mapping
from mapper.mapspace.batch import ORDERS

PROBLEM = {"m": 512, "k": 768, "n": 768}
LOOP = HardwareLoop(8, 24, 4, "nmk")
MAPPING = LOOP.nest(("q",), PROBLEM, "gemmini", 16)


@given(
    st.tuples(*[st.integers(1, 40)] * 3),
    st.sampled_from(ORDERS),
    st.booleans(),
    st.frozensets(st.sampled_from(["input", "weight"])),
    st.sampled_from([4, 16]),
)
def test_hardware_loop_survives_the_loop_nest_and_yaml(
    tiles: tuple[int, int, int], order: str, double_buffered: bool, held: frozenset[str], dim: int
) -> None:
    loop = HardwareLoop(*tiles, order, double_buffered, held)
    mapping = loop.nest(("ffn1",), PROBLEM, "a machine: with # odd name", dim)
    assert hardware_loop_of(mapping) == loop
    text = dump_mapping(mapping)
    assert read_mapping(text) == mapping
    assert dump_mapping(read_mapping(text)) == text


def test_loop_nest_reads_like_timeloop() -> None:
    assert MAPPING.loop_nest().splitlines()[:6] == [
        "dram         [ input weight output ]",
        "| for n in [0:12)     step 64",
        "|   for m in [0:4)      step 128",
        "|     for k in [0:2)      step 384",
        "scratchpad   [ input weight ] double-buffered",
        "accumulator  [ output ] double-buffered",
    ]


def test_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "q.yaml"
    path.write_text(dump_mapping(MAPPING))
    assert read_mapping(path, problem=PROBLEM, machine="gemmini") == MAPPING


def test_every_complaint_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "q.yaml"
    for change in (
        ("dim: n", "dim: z"),
        ("m: 512", "m: 0"),
        ("- input", "- inputs"),
        ("memory: array", "memory: dram"),
    ):
        path.write_text(dump_mapping(MAPPING).replace(*change))
        with pytest.raises(MappingError) as caught:
            read_mapping(path)
        assert all(line.startswith(f"{path}: ") for line in str(caught.value).splitlines())


def test_other_problem_or_machine_names_both() -> None:
    text = dump_mapping(MAPPING)
    with pytest.raises(MappingError, match="m=512 k=768 n=768, not m=1 k=768 n=768"):
        read_mapping(text, problem={"m": 1, "k": 768, "n": 768})
    with pytest.raises(MappingError, match="'gemmini', not 'tiny_4x4'"):
        read_mapping(text, machine="tiny_4x4")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("machine: gemmini", "machin: gemmini"), r"machin: unknown key(.|\n)*|machine: missing"),
        (("tile: 64", "tile: 0"), "must be >= 1"),
        (("tile: 64", "tile: 64.5"), "must be a whole number"),
        (("dim: n", "dim: z"), "unknown dimension 'z'"),
        (("- input", "- inputs"), "unknown tensors"),
        (("schema: tilewright-mapping-1", "schema: tilewright-mapping-9"), "tilewright-mapping-1"),
        (("axis: rows", "axis: diagonal"), "'diagonal' is not known; allowed: cols, rows"),
        (("problem:", "problem: {m: 1}\nproblem:"), "problem"),
        (("levels:", "levels: ["), "YAML"),
        (("m: 512", "m: 0"), "problem.m: must be >= 1, got"),
        (("m: 512", "m: -4"), "problem.m: must be >= 1, got"),
        (("m: 512", "m: 100000000000000000000000000"), "problem.m: must be <= 2147483648"),
        (("m: 512", "z: 512"), "unknown dimension 'm'; the problem has z, k, n"),
        (("m: 512", "1m: 512"), "problem.1m"),
        (("memory: accumulator", "memory: a b"), "levels.2.memory"),
        (("memory: accumulator", "memory: scratchpad"), "mapping: levels: memory 'scratchpad' is given twice"),
        (
            ("dim: k\n    size: 16\n    axis: rows", "dim: n\n    size: 16\n    axis: cols"),
            "dim 'n' on cols is given twice",
        ),
        (("dim: m\n    tile: 128", "dim: n\n    tile: 128"), "dram.temporal: dim 'n' is given twice: steps of 64"),
    ],
)
def test_bad_files_say_what_and_where(change: tuple[str, str], message: str) -> None:
    text = dump_mapping(MAPPING).replace(*change, 1)
    with pytest.raises(MappingError, match=message):
        read_mapping(text)


def test_any_nest_survives_yaml() -> None:
    levels = (
        LevelMapping("dram", frozenset({"input", "weight", "output"}), (TemporalLoop("p", 7), TemporalLoop("p", 1))),
        LevelMapping("l3", frozenset({"weight"}), (), (SpatialLoop("c", 4, "rows"), SpatialLoop("r", 3, "rows"))),
        LevelMapping("registers", frozenset({"weight"}), (TemporalLoop("k", 1),), (), frozenset({"weight"})),
    )
    nest = LoopNest(("conv",), (("k", 8), ("c", 4), ("p", 14), ("r", 3)), "a machine", levels)
    assert read_mapping(dump_mapping(nest)) == nest
    assert "for r in [0:3)      spatial rows" in nest.loop_nest()


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="nowhere.yaml: cannot read"):
        read_mapping(tmp_path / "nowhere.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MappingError, match="not a UTF-8"):
        read_mapping(binary)


@pytest.mark.parametrize(
    "arguments",
    [(0, 1, 1), (1, 1, 1, "mmk"), (1, 1, 1, "mnk", True, frozenset({"output"}))],
)
def test_impossible_hardware_loops(arguments: tuple[object, ...]) -> None:
    with pytest.raises(MappingError):
        HardwareLoop(*arguments)  # type: ignore[arg-type]


def test_a_nest_of_another_form_is_no_hardware_loop() -> None:
    levels = (LevelMapping("dram", temporal=(TemporalLoop("m", 4),)), *MAPPING.levels[1:])
    nest = LoopNest(("q",), MAPPING.problem, "gemmini", levels)
    with pytest.raises(MappingError, match="not a hardware loop"):
        hardware_loop_of(nest)
    assert read_mapping(dump_mapping(nest)) == nest
