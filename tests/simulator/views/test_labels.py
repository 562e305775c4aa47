"""Labels cover neither each other nor points; points in one place share one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from simulator.views.labels import Box, arranged, place_labels
from simulator.views.style import NOTEBOOK, new_figure

CANVAS = Box(0, 0, 1000, 600)
HEIGHT = 10.0


@pytest.mark.parametrize("seed", range(5))
def test_labels_of_a_crowd_are_apart(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in random.uniform((450, 250), (600, 340), (12, 2))]
    labels = [(point, f"point {number}") for number, point in enumerate(points)]
    placed = arranged(labels, points, CANVAS, HEIGHT)
    assert [one.text for one in placed] == [text for _, text in labels]
    assert [pair for pair in combinations(placed, 2) if pair[0].box.overlap(pair[1].box)] == []
    dots = [Box(x - HEIGHT / 2, y - HEIGHT / 2, x + HEIGHT / 2, y + HEIGHT / 2) for x, y in points]
    assert not any(one.box.overlap(dot) for one in placed for dot in dots)


def test_labels_stay_inside_and_off_lines() -> None:
    line = [(float(x), 300.0) for x in range(0, 1000, 5)]
    (corner, on_line) = arranged(
        [((995.0, 595.0), "in the corner"), ((500.0, 300.0), "on the line")], [], CANVAS, HEIGHT, line
    )
    assert corner.box.outside(CANVAS) == pytest.approx(0.0)
    assert on_line.box.bottom > 300 or on_line.box.top < 300


def test_points_in_one_place_share_a_label() -> None:
    figure = new_figure(NOTEBOOK, 4.0)
    axes = figure.subplots()
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 10)
    placed = place_labels(axes, [(5, 5), (5, 5.001), (1, 1), *[(8, 8)] * 6], ["q", "k", "out", *"abcdef"], NOTEBOOK)
    assert [one.text for one in placed] == ["q, k", "out", "a, b, c, d, 2 more"]
    assert place_labels(axes, [], [], NOTEBOOK) == []
