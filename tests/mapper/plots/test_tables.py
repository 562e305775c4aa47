"""Pictures of many points: their numbers are those of the table."""

from __future__ import annotations

import pytest

from mapper.plots.column_units import shown_column
from mapper.plots.draw_tables import draw_heat_map, draw_parallel, draw_spread
from mapper.plots.pareto_front import draw_front
from mapper.plots.tables import MOST_CELLS, distribution, front_of, heat_map, parallel
from simulator.views.style import SIZES, Size

ROWS = [
    {"array": size, "memory": memory, "latency_s": latency, "energy_pj": energy, "status": "done"}
    for size, memory, latency, energy in (
        (8, "64 KiB", 4.0, 1.0), (8, "128 KiB", 3.0, 2.0), (16, "64 KiB", 2.0, 5.0), (16, "128 KiB", 2.5, 6.0),
    )
]  # fmt: skip
FAILED = {"array": 32, "memory": "64 KiB", "latency_s": None, "energy_pj": None}


def test_a_heat_map_has_a_cell_for_every_pair() -> None:
    info = heat_map([*ROWS, FAILED], "array", "memory", "latency_s")
    assert (info.x, info.y) == (("8", "16"), ("64 KiB", "128 KiB"))
    assert info.values == ((4.0, 2.0), (3.0, 2.5))
    assert heat_map(ROWS, "status", "memory", "latency_s").values == ((2.0,), (2.5,))


def test_parallel_coordinates_mark_what_none_beats() -> None:
    info = parallel([*ROWS, FAILED], ["array", "memory"], ["latency_s", "energy_pj"])
    assert info.best == (True, True, True, False)
    assert info.axes[2].places == pytest.approx((1.0, 0.5, 0.0, 0.25))
    assert info.axes[0].ticks == ((0.0, "8"), (1.0, "16"))


def test_a_distribution_is_relative_to_the_least() -> None:
    info = distribution([4.0, 2.0, 20.0, 2.0], "latency_s", marks={"optimum": 2.0})
    assert info.relative == (1.0, 1.0, 2.0, 10.0) and info.marks == (("optimum", 1.0),)
    assert sum(info.shares) == pytest.approx(1.0)
    assert (info.share_within(1.0), info.share_within(3.0)) == (0.5, 0.75)


def test_a_front_leaves_out_what_is_beaten() -> None:
    info = front_of([*ROWS, FAILED], "latency_s", "energy_pj", ["array", "memory"])
    assert info.x == (2.0, 3.0, 4.0) and info.y == pytest.approx((5.0, 2.0, 1.0))
    assert (info.x_label, info.y_label) == ("latency [s]", "energy [pJ]")
    assert info.labels == ("16, 64 KiB", "8, 128 KiB", "8, 64 KiB")
    assert info.best == 2 and info.beaten == (pytest.approx((2.5, 6.0)),)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("latency_s", [2.3e-5, 1e-6], (1e6, "latency [µs]")),
        ("energy_pj", [3.7e6], (1e-6, "energy [µJ]")),
        ("edp_js", [7e-11], (1e12, "edp [pJ s]")),
        ("area_mm2", [2.0], (1.0, "area [mm²]")),
        ("cycles", [2.0], (1.0, "cycles")),
        ("latency_s", [0.0], (1.0, "latency [s]")),
    ],
)
def test_columns_are_shown_in_units(name: str, values: list[float], expected: tuple[float, str]) -> None:
    factor, shown = shown_column(name, values)
    assert (pytest.approx(factor), shown) == expected


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_they_are_drawn(size: Size) -> None:
    cells = draw_heat_map(heat_map(ROWS, "array", "memory", "latency_s"), size).axes[0]
    assert [text.get_text() for text in cells.texts] == ["4", "2", "3", "2.5"]
    assert (cells.get_xlabel(), cells.get_ylabel()) == ("array", "memory")
    lines = draw_parallel(parallel(ROWS, ["array"], ["latency_s", "energy_pj"]), size).axes[0]
    assert [text.get_text() for text in lines.get_xticklabels()] == ["array", "latency [s]", "energy [pJ]"]
    assert len(draw_spread(distribution([1.0, 2.0, 30.0], "edp_js"), size).axes) == 2
    front = draw_front(front_of(ROWS, "latency_s", "energy_pj", ["array"]), size).axes[0]
    assert front.get_xlabel() == "latency [s]"


@pytest.mark.parametrize("draw", [
    lambda: heat_map([FAILED], "array", "memory", "latency_s"),
    lambda: parallel([], ["array"], ["latency_s"]),
    lambda: distribution([0.0], "latency_s"),
    lambda: front_of([FAILED], "latency_s", "energy_pj", []),
    lambda: heat_map([{"a": place, "v": 1.0} for place in range(MOST_CELLS + 1)], "a", "a", "v"),
])  # fmt: skip
def test_pictures_of_nothing_or_too_much_are_refused(draw: object) -> None:
    with pytest.raises(ValueError, match=r"no row has|narrow them"):
        draw()  # type: ignore[operator]
