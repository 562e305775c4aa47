"""The picture of a Pareto front: its numbers, and that the picture shows them."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from mapper import cli
from mapper.mapping.hardware_loop import HardwareLoop
from mapper.plots.pareto_front import LABELLED, FrontPoints, draw_front, front_points

DIMS = {"m": 512, "k": 768, "n": 768}


def test_numbers_and_labels() -> None:
    """EDPs 10 x 9, 20 x 4 and 40 x 3: the second is the least."""
    loops = [HardwareLoop(8, 24, 4, "mnk"), HardwareLoop(4, 48, 4, "nmk"), HardwareLoop(16, 48, 4)]
    costs = [(10e3, 9e6), (20e3, 4e6), (40e3, 3e6)]
    points = [(loop.nest(("x",), DIMS, "gemmini", 16), *cost) for loop, cost in zip(loops, costs, strict=True)]
    info = front_points("title", points)
    assert info.x == pytest.approx((10.0, 20.0, 40.0))
    assert info.y == pytest.approx((9.0, 4.0, 3.0))
    assert info.differences() == (pytest.approx((1.0, 4 / 9 - 1)), pytest.approx((1.0, -0.25)))
    assert info.labels == ("128 x 384 x 64, mnk", "64 x 768 x 64, nmk", "256 x 768 x 64, mnk")
    assert info.best == 1
    axes = draw_front(info).axes[0]
    drawn = [np.asarray(line.get_xdata()).tolist() for line in axes.lines[1:]]
    assert drawn == [list(info.x), [info.x[1]]]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["+100.0%", "-55.6%", "+100.0%", "-25.0%", *info.labels]
    extents = [text.get_window_extent() for text in axes.texts]
    assert not any(a.overlaps(b) for a, b in combinations(extents, 2))


def test_a_front_fills_a_quarter_of_the_picture_at_least() -> None:
    """Extents 2 and 4: drawn up to 1 + 8 and 2 + 16; what lies beyond is counted, and nothing where all are near."""
    beaten = ((4.0, 7.0), (9.0, 18.0), (9.1, 7.0), (4.0, 18.1))
    info = FrontPoints("few", "x", "y", (1.0, 3.0), (6.0, 2.0), ("a", "b"), None, beaten)
    assert info.far() == (9.0, 18.0) and info.near() == [(4.0, 7.0), (9.0, 18.0)]
    labels = [text.get_text() for text in draw_front(info).legends[0].get_texts()]
    assert labels == ["beaten in both; 2 more lie outside", "not beaten in both"]
    assert replace(info, beaten=beaten[:1]).far() == (math.inf, math.inf)
    assert replace(info, x=(1.0,), y=(6.0,)).near() == list(beaten)


def test_many_points_are_not_labelled() -> None:
    loop = HardwareLoop(1, 1, 1).nest(("x",), DIMS, "gemmini", 16)
    points = [(loop, 1e3 * place, 1e6 / place) for place in range(1, LABELLED + 2)]
    assert len(draw_front(front_points("title", points)).axes[0].texts) <= 3


@pytest.mark.parametrize("space", [[], ["--mapspace", "loop-nest"]], ids=["hardware-loop", "loop-nest"])
def test_the_command_draws_fronts(space: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "front.svg"
    assert cli.main(["map", "64x96x80", "--objective", "pareto", *space, "--plot", str(target)]) == 0
    assert "</svg>" in target.read_text()
    capsys.readouterr()
