"""The occupancy of the memories: numbers of the levels, the same in picture and trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hwconfigs
from mapper import pipeline
from simulator.report import Level, Report
from simulator.residency import OTHER_PROGRAMS
from simulator.views.occupancy import REST, SHOWN, draw_occupancy, occupancy
from simulator.views.perfetto import trace_events
from simulator.views.style import PAPER, SIZES, save

LEVELS = (
    Level("scratchpad", "a", 0, 1024),
    Level("scratchpad", "b", 10, 2048),
    Level("scratchpad", "a", 30, 0),
    Level("l2", OTHER_PROGRAMS, 0, 4096),
    Level("l2", "zero", 0, 0),
)


@pytest.fixture(scope="module")
def real() -> Report:
    graph = pipeline.matmul_graph(64, 64, 64)
    return pipeline.run_graph(graph, hwconfigs.load("gemmini_ibert"), finalists=0, spans=True).simulation


def report(levels: tuple[Level, ...] = LEVELS) -> Report:
    return Report("one", "simulate", "tiny", 500.0, 100, {}, {}, 16, levels=levels)  # type: ignore[arg-type]


def test_numbers_hold_from_their_cycle_to_the_next() -> None:
    (scratchpad, l2) = occupancy(report()).memories
    assert scratchpad.cycles == (0, 10, 30)
    assert scratchpad.size_bytes == {"a": (1024, 1024, 0), "b": (0, 2048, 2048)}
    assert scratchpad.peak_bytes == 3072
    assert l2.size_bytes == {OTHER_PROGRAMS: (4096,)}


def test_a_window_begins_with_what_was_there() -> None:
    (scratchpad, _) = occupancy(report(), (20, 50)).memories
    assert (scratchpad.cycles, scratchpad.size_bytes) == ((20, 30), {"a": (1024, 0), "b": (2048, 2048)})


@pytest.mark.parametrize(
    ("window", "words"), [((5, 5), "is empty"), ((100, 120), "nothing runs in the window 100:120"), (None, "recorded")]
)
def test_a_picture_of_nothing_is_refused(window: tuple[int, int] | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        occupancy(report(() if window is None else LEVELS), window)


def test_peaks_are_those_of_the_report(real: Report) -> None:
    peaks = {memory.memory: memory.peak_bytes for memory in occupancy(real).memories}
    assert all(size / 2 <= peaks[memory] <= size for memory, size in real.peak_bytes.items())


def test_the_trace_counts_the_same(real: Report) -> None:
    """Counters hold until the next one of their tensor."""
    counters: list[Any] = [
        event for event in trace_events(real) if event["ph"] == "C" and "[KiB]" in str(event["name"])
    ]
    assert {event["name"] for event in counters} == {"scratchpad [KiB]", "accumulator [KiB]", "L2 [KiB]"}
    for memory in occupancy(real).memories:
        own = [event for event in counters if event["name"].lower().startswith(memory.memory)]
        now = dict.fromkeys(memory.size_bytes, 0.0)
        largest = 0.0
        for event in own:
            now.update(event["args"])
            largest = max(largest, sum(now.values()))
        assert largest * 1024 == memory.peak_bytes
        assert {tensor: sizes[-1] / 1024 for tensor, sizes in memory.size_bytes.items()} == now


def test_many_tensors_are_one_area() -> None:
    many = tuple(Level("scratchpad", f"t{number}", 0, 64 * (number + 1)) for number in range(SHOWN + 3))
    figure = draw_occupancy(occupancy(report(many)))
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == SHOWN + 1 and names[-1] == REST and "t0" not in names


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_files_are_the_same_every_time(real: Report, tmp_path: Path, kind: str) -> None:
    for name in ("first", "second"):
        save(draw_occupancy(occupancy(real, None, {"l2": 524288}), PAPER), tmp_path / name, kind)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_axes_have_units_and_capacities(real: Report, size: Any) -> None:
    figure = draw_occupancy(occupancy(real, None, {"scratchpad": 262144}), size)
    strip, scratchpad, *_ = figure.axes
    assert [text.get_text() for text in strip.texts] == ["matmul"]
    assert scratchpad.get_ylabel() == "scratchpad [KiB]"
    assert figure.axes[-1].get_xlabel() == "simulated time [µs]"
    assert [text.get_text() for text in scratchpad.texts] == ["capacity 256 KiB"]
