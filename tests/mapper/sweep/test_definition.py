"""What a sweep's file means: order of points, ranges, linked axes, filters, paths, and the key of a point."""

from __future__ import annotations

from pathlib import Path

import pytest

from mapper.errors import SweepError
from mapper.settings import RunSettings
from mapper.sweep import Sweep, read_sweep
from mapper.sweep.axes import linked_axis, single_axis
from mapper.sweep.points import Point, Resolver, points_of

FILE = """
description: buffers of a small array
model: bert-base
machine: gemmini_ibert
seq: 64
set: {dram.latency: 120}
axes:
  scratchpad.capacity: {from: 64 KiB, to: 256 KiB, factor: 2}
  mapping: [best, gemmini_auto]
linked:
  - accumulator.capacity: [32 KiB, 64 KiB]
    l2.capacity: [256 KiB, 512 KiB]
filters:
  - scratchpad.capacity >= 2 * accumulator.capacity
  - mapping == best or scratchpad.capacity > 64 KiB
timeout: 5min
memory: 2 GiB
"""


def values(**axes: object) -> list[object]:
    """Return the values of the only axis of a sweep."""
    (axis,) = Sweep.of("bert-base", axes={name.replace("__", "."): one for name, one in axes.items()}).axes
    return [row[0] for row in axis.rows]


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(FILE)
    sweep = read_sweep(tmp_path / "s.yaml")
    points = list(points_of(sweep))
    assert sweep.combinations == 12
    assert len(points) == 9
    assert sweep.timeout_s == 300 and sweep.memory_bytes == 2**31
    assert points[0].values == {
        "scratchpad.capacity": "64 KiB", "mapping": "best", "accumulator.capacity": "32 KiB", "l2.capacity": "256 KiB",
    }  # fmt: skip
    settings = points[-1].settings
    assert settings is not None and settings.search == "gemmini_auto" and settings.seq == 64
    assert dict(settings.overrides or {}) == {
        "dram.latency": 120, "scratchpad.capacity": "256 KiB", "accumulator.capacity": "64 KiB",
        "l2.capacity": "512 KiB",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"from": 8, "to": 64, "factor": 2}, [8, 16, 32, 64]),
        ({"from": 8, "to": 63, "factor": 2}, [8, 16, 32]),
        ({"from": 64, "to": 8, "factor": 0.5}, [64, 32, 16, 8]),
        ({"from": 0.1, "to": 0.5, "step": 0.1}, [0.1, 0.2, 0.3, 0.4, 0.5]),
        ({"from": 3, "to": 1, "step": -1}, [3, 2, 1]),
        ({"from": 3, "to": 3, "step": 1}, [3]),
        ({"from": 3, "to": 3, "step": -1}, [3]),
        ({"from": 3, "to": 3, "factor": 0.5}, [3]),
        ({"from": "1 GHz", "to": "2 GHz", "step": "0.5 GHz"}, ["1 GHz", "1.5 GHz", "2 GHz"]),
    ],
)
def test_ranges(given: object, expected: list[object]) -> None:
    assert values(clock=given) == expected


def test_files_are_named_from_the_folder_of_the_sweep(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "machine: mine.yaml\naxes:\n  model: [bert-base, sub/config.json]\n  fusion: [none, cut.yaml]\n"
    )
    points = list(points_of(read_sweep(tmp_path / "s.yaml")))
    assert {point.machine for point in points} == {str(tmp_path / "mine.yaml")}
    assert {point.model for point in points} == {"bert-base", str(tmp_path / "sub/config.json")}
    assert {point.settings.fusion for point in points if point.settings} == {"none", str(tmp_path / "cut.yaml")}


def key(version: str = "v", model: str = "16x16x16", machine: str = "tiny_4x4", **settings: object) -> str:
    point = Point(model, machine, RunSettings(**settings), {})  # type: ignore[arg-type]
    return Resolver(version).task(point).key


def test_a_key_is_that_of_what_is_computed() -> None:
    same = key()
    assert key(overrides={"scratchpad.capacity": "8 KiB"}) == key(overrides={"scratchpad.capacity_bytes": 8192})
    others = [
        key(version="w"), key(model="16x16x32"), key(machine="gemmini"), key(objective="energy"), key(seed=1),
        key(energy="horowitz_45nm"), key(overrides={"dram.latency": 77}), key(finalists=0),
    ]  # fmt: skip
    assert len({same, *others}) == len(others) + 1
    assert key(workers=4) == same


def test_a_file_with_another_content_is_another_point(tmp_path: Path) -> None:
    machine = tmp_path / "m.yaml"
    text = "extends: tiny_4x4\ndescription: d\nsource: s\ndram: {{latency: {}, source: s}}\n"
    machine.write_text(text.format(30))
    first = key(machine=str(machine))
    machine.write_text(text.format(40))
    assert key(machine=str(machine)) != first
    machine.write_text(text.format(30) + "# a comment\n")
    assert key(machine=str(machine)) == first


def test_a_point_comes_back_from_plain_data() -> None:
    point = Point("bert-base", "gemmini", RunSettings(seq=8, overrides={"array.size": 8}), {"array.size": 8})
    assert Point.from_dict(point.to_dict()) == point


@pytest.mark.parametrize(
    "given",
    [
        {"from": 1, "to": 1e99, "factor": 1.001},
        {"from": 1, "to": 10**9, "step": 1},
        {"from": 1, "to": "9" * 5000, "step": 1},
        {"from": "9" * 400 + ".5", "to": "9" * 400 + ".5", "step": 1},
    ],
    ids=["small factors", "small steps", "long text", "long fraction"],
)
def test_ranges_without_end_are_refused_before_they_are_walked(given: dict[str, object]) -> None:
    with pytest.raises(SweepError, match=r"axes: array\.size: .*(more than 100,000 values|neither a number)"):
        single_axis("array.size", given)


def test_many_linked_values_are_compared_at_once() -> None:
    rows = list(range(60_000))
    assert len(linked_axis({"dram.latency": rows, "seq": rows}).rows) == 60_000
    with pytest.raises(SweepError, match="given twice"):
        linked_axis({"dram.latency": [*rows, 7], "seq": [*rows, 7]})


def test_several_equal_products_are_a_workload() -> None:
    sweep = Sweep.of("3x8x16x8", "tiny_4x4", axes={"dram.latency": [10]})
    (point,) = points_of(sweep)
    task = Resolver("v").task(point)
    assert task.graph is not None and task.graph.macs == 3 * 8 * 16 * 8


def test_a_product_takes_no_shape_of_a_model() -> None:
    (point,) = points_of(Sweep.of("8x16x8", "tiny_4x4", RunSettings(seq=16), axes={"dram.latency": [10]}))
    assert "a product has its sizes in its name" in Resolver("v").task(point).problem
