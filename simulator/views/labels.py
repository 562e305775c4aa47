"""Names beside points that cover neither each other nor the points; names of points in one place share a label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.views.style import Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAME_PLACE = 0.45
"""Distance of points that share a label [heights of a letter]."""

LETTER_WIDTH = 0.6
"""Of a letter [heights of a letter]."""

NAMES = 4
"""Names in a label; the others are counted."""

DIRECTIONS = (0, 4, 12, 8, 1, 15, 3, 13, 2, 14, 6, 10, 5, 11, 7, 9)
"""Sixteenths of a turn, in the order in which they are tried."""

DISTANCES = (0.9, 2.0, 3.4, 5.2, 7.5, 10.5)
"""[heights of a letter]"""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the canvas [pixels]."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """Return the area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return width * height if width > 0 and height > 0 else 0.0

    def outside(self, other: Box) -> float:
        """Return the area of this one that the other does not cover."""
        return (self.right - self.left) * (self.top - self.bottom) - self.overlap(other)


@dataclass(frozen=True, slots=True)
class Placed:
    """A label, and where it stands."""

    text: str
    point: tuple[float, float]
    """What it names [pixels]."""
    box: Box


def place_labels(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    size: Size,
    avoid: Sequence[tuple[float, float]] = (),
) -> list[Placed]:
    """Write the names beside their points; limits and scales of the axes must be final.

    Parameters
    ----------
    axes, size
        Where, and in which letters.
    points, names
        What to name.
    avoid
        More places that no label should cover, such as those of a line.

    Returns
    -------
    The labels, so that somebody can test that they are apart.
    """
    if not points:
        return []
    # The layout decides where a point is on the canvas.
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    height = size.font_points * 0.8 * size.dots_per_inch / 72
    places = [(float(x), float(y)) for x, y in axes.transData.transform(list(points))]
    frame = axes.get_window_extent()
    inside = Box(frame.x0, frame.y0, frame.x1, frame.y1)
    lines = [(float(x), float(y)) for x, y in axes.transData.transform(list(avoid))] if avoid else []
    extents = [text.get_window_extent() for text in axes.texts if text.get_text()]
    texts = [Box(extent.x0, extent.y0, extent.x1, extent.y1) for extent in extents]
    placed = arranged(_shared(places, names, height), places, inside, height, lines, texts)
    for label in placed:
        _write(axes, label, height, size)
    return placed


def arranged(
    labels: Sequence[tuple[tuple[float, float], str]],
    points: Sequence[tuple[float, float]],
    inside: Box,
    height: float,
    lines: Sequence[tuple[float, float]] = (),
    texts: Sequence[Box] = (),
) -> list[Placed]:
    """Find a place for each label, the crowded ones first.

    Parameters
    ----------
    labels
        Point and text of each [pixels].
    points
        All that must stay visible.
    inside
        What no label should leave.
    height
        Of a letter.
    lines, texts
        Places on lines, and what is written already, which should not be covered either.
    """
    dots = [Box(x - height / 2, y - height / 2, x + height / 2, y + height / 2) for x, y in points]
    dots += [Box(x - 2, y - 2, x + 2, y + 2) for x, y in lines]
    taken: list[Box] = list(texts)
    done: dict[int, Placed] = {}
    crowd = [sum(math.dist(point, other) < 6 * height for other in points) for point, _ in labels]
    for index in sorted(range(len(labels)), key=lambda index: (-crowd[index], index)):
        point, text = labels[index]
        choices = _choices(point, text, height)
        costs = [sum(box.overlap(other) for other in (*taken, *dots)) + 3.0 * box.outside(inside) for box in choices]
        best = next((place for place, cost in enumerate(costs) if cost <= 0.0), costs.index(min(costs)))
        taken.append(choices[best])
        done[index] = Placed(text, point, choices[best])
    return [done[index] for index in range(len(labels))]


def _choices(point: tuple[float, float], text: str, height: float) -> list[Box]:
    """Return boxes around a point, near ones first."""
    width = LETTER_WIDTH * height * len(text)
    boxes = []
    for distance in DISTANCES:
        for direction in DIRECTIONS:
            angle = math.tau * direction / 16
            # The box touches the circle with the side or corner that is nearest to the point.
            x = point[0] + distance * height * math.cos(angle) + width / 2 * (math.cos(angle) * 1.0001)
            y = point[1] + distance * height * math.sin(angle)
            boxes.append(Box(x - width / 2, y - height * 0.6, x + width / 2, y + height * 0.6))
    return boxes


def _shared(
    places: Sequence[tuple[float, float]], names: Sequence[str], height: float
) -> list[tuple[tuple[float, float], str]]:
    """Return a label for each place; points that lie on each other have one together."""
    groups: list[tuple[tuple[float, float], list[str]]] = []
    for place, name in zip(places, names, strict=True):
        near = next((group for group in groups if math.dist(group[0], place) < SAME_PLACE * height), None)
        if near is None:
            groups.append((place, [name]))
        else:
            near[1].append(name)
    return [(place, _joined(group)) for place, group in groups]


def _joined(names: Sequence[str]) -> str:
    rest = len(names) - NAMES
    return ", ".join([*names[:NAMES], *([f"{rest} more"] if rest > 0 else [])])


def _write(axes: Axes, label: Placed, height: float, size: Size) -> None:
    """Write a label; a thin line leads to its point if that is not beside it."""
    to_points = 72 / size.dots_per_inch
    x, y = axes.transData.inverted().transform(label.point)
    across = (label.box.left + label.box.right) / 2 - label.point[0]
    up = (label.box.bottom + label.box.top) / 2 - label.point[1]
    gap = max(label.box.left - label.point[0], label.point[0] - label.box.right, 0.0)
    is_far = math.hypot(gap, max(abs(up) - 0.6 * height, 0.0)) > 1.2 * height
    axes.annotate(
        label.text, (x, y), xytext=(across * to_points, up * to_points), textcoords="offset points", ha="center",
        va="center", fontsize=size.font_points * 0.8,
        arrowprops={"arrowstyle": "-", "color": "#888888", "linewidth": 0.5} if is_far else None,
        zorder=2,
    )  # fmt: skip
