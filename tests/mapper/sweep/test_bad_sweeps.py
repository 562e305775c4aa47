"""Sweeps that make no sense are refused before any work, each with one line that names file, key and nearest name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mapper.errors import SweepError
from mapper.settings import RunSettings
from mapper.sweep import Sweep, read_sweep, run
from mapper.sweep.driver import MANY, count_points
from tests.mapper.sweep.points import counted

GOOD = "model: bert-base\nseq: 64\n"


def refused(tmp_path: Path, text: str, match: str) -> None:
    """Check that the file of a sweep is refused, that the message names the file, and that no store is made."""
    file = tmp_path / "s.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SweepError, match=match) as caught:
        run(file, tmp_path / "s.sqlite", work=counted)
    assert not (tmp_path / "s.sqlite").exists()
    for line in str(caught.value).splitlines():
        assert line.startswith((str(file), "filters: "))


@pytest.mark.parametrize(
    ("axes", "match"),
    [
        ("axes: {scratchpad.capasity: [1 KiB]}", "unknown field; did you mean 'scratchpad.capacity'"),
        ("axes: {objectiv: [latency]}", "objectiv: unknown field; did you mean 'objective'"),
        ("axes: {name: [a, b]}", "name: unknown field"),
        ("axes: {description: [a, b]}", "description: unknown field"),
        ("axes: {workers: [1, 2]}", "workers: unknown field"),
        ("axes: {}", "axes: is empty"),
        ("axes:", "axes: is empty"),
        ("", "axes: is empty"),
        ("axes: {array.size: []}", "array.size: is empty"),
        ("axes: [8, 16]", "axes: must be a section"),
        ("axes: {array.size: 8}", "array.size: must be a list"),
        ("axes: {array.size: [8, 8]}", "array.size: the value 8 is given twice"),
        ("axes: {array.size: [8, 8.0]}", "array.size: the value 8 is given twice"),
        ("axes: {array.size: [8], array.size: [16]}", "repeated key"),
        ("axes: {array.size: [8], array.rows: [8]}", "array.rows: is given twice, also as array.size"),
        ("axes: {scratchpad.capacity: [8 KiB], scratchpad.capacity_bytes: [8192]}", "is given twice, also as"),
        ("axes: {search: [optimal], mapping: [best]}", "mapping: is given twice, also as search"),
        ("set: {array.size: 8}\naxes: {array.size: [8]}", "array.size: is given twice"),
        ("axes: {seq: [1]}\nlinked: [{seq: [2], batch: [1]}]", "seq: is given twice"),
        ("linked: [{seq: [1, 2], batch: [1]}]", "equally many values: seq has 2, batch has 1"),
        ("linked: [{seq: [1, 2]}]", "at least two axes"),
        ("linked: [{seq: [1, 1], batch: [2, 2]}]", "are given twice"),
        ("linked: {seq: [1, 2]}", "linked: must be a list"),
        ("axes: {seq: {from: 1, to: 8}}", "either step or factor"),
        ("axes: {seq: {from: 1, to: 8, step: 1, factor: 2}}", "either step or factor"),
        ("axes: {seq: {from: 1, to: 8, stop: 1}}", "unknown key of a range; did you mean 'step'"),
        ("axes: {seq: {from: 1, to: 8, step: -1}}", "no number of steps"),
        ("axes: {seq: {from: 8, to: 1, factor: 2}}", "no number of factors"),
        ("axes: {seq: {from: 1, to: 8, factor: 1}}", "no number of factors"),
        ("axes: {seq: {from: 0, to: 8, factor: 2}}", "no number of factors"),
        ("axes: {seq: {from: 1, to: 1e9, step: 1}}", "more than 100,000 values"),
        ("axes: {seq: {from: one, to: 8, step: 1}}", "neither a number nor a quantity"),
        ("axes: {scratchpad.capacity: {from: 1 KiB, to: 8 MiB, factor: 2}}", "one unit"),
        ("axes: {objective: [latency, speed]}", "unknown objective 'speed'"),
        ("axes: {objective: [pareto]}", "objective: a point needs one mapping"),
        ("axes: {batch: [one]}", "batch='one': must be a whole number"),
        ("axes: {budget: [forever]}", "budget 'forever'"),
        ("axes: {search: [optimum]}", "unknown search 'optimum'"),
        ("axes: {model: [3]}", "model: 3 is no name"),
        ("axes: {seq: [1]}\nfilters: [seq > 1]", "none of the 1 combinations"),
        ("axes: {seq: [1]}\nfilters: [sek > 1]", "names no axis of this sweep; did you mean 'seq'"),
        ("axes: {seq: [1]}\nfilters: [seq]", "must be a comparison"),
        ("axes: {seq: [1]}\nfilters: [seq < 2 < 3]", "must be a comparison"),
        ("axes: {seq: [1]}\nfilters: ['seq < scratchpad.capacity']", "scratchpad.capacity is no axis"),
        ("axes: {seq: [1]}\nfilters: [seq < big]", "is not a number"),
        ("axes: {seq: [1]}\nfilters: seq < 2", "filters: must be a list"),
        ("axes: {seq: [1]}\nfilters: [__import__('os').system('true')]", "must be a comparison"),
        ("axes: {seq: [1]}\naxis: {}", "axis: unknown key; did you mean 'axes'"),
        ("axes: {seq: [1]}\nhw: gemmini", "hw: unknown key; did you mean 'machine'"),
        ("axes: {seq: [1]}\ntimeout: soon", "timeout: 'soon': must be a time"),
        ("axes: {seq: [1]}\ntimeout: -1", "timeout: -1.0: must be a time above"),
        ("axes: {seq: [1]}\nmemory: 1 GB", "memory: .*did you mean 'GiB'"),
        ("axes: {seq: [1]}\nmemory: 1 KiB", "at least 64 MiB"),
        ("axes: {batch: [1]}\nmachine: [a]", "machine: must be a name"),
        ("axes: {batch: [1]}\nobjective: fast", "unknown objective"),
        ("axes: {batch: [1]}\nextends: &a x", "extends: unknown key"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, axes: str, match: str) -> None:
    refused(tmp_path, GOOD + axes, match)


def test_no_model(tmp_path: Path) -> None:
    refused(tmp_path, "axes: {seq: [1]}", "model: missing")


@pytest.mark.parametrize(
    ("text", "match"), [("", "empty"), ("- a\n", "must consist of"), ("a: [", "not readable"), ("\0", "not readable")]
)
def test_files_that_are_no_sweeps(tmp_path: Path, text: str, match: str) -> None:
    refused(tmp_path, text, match)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    fifo, large, image = tmp_path / "fifo", tmp_path / "large", tmp_path / "image"
    os.mkfifo(fifo)
    large.write_bytes(b"# \n" * 2_000_000)
    image.write_bytes(b"\xff\xfe\x00\x01")
    for path, match in (
        (fifo, "not a regular file"), (tmp_path, "not a regular file"), (Path("/dev/zero"), "not a regular file"),
        (tmp_path / "none.yaml", "cannot be read"), (large, "larger than the 1,048,576 bytes"),
        (image, "not a UTF-8 text file"),
    ):  # fmt: skip
        with pytest.raises(SweepError, match=match):
            read_sweep(path)


def test_a_million_points_are_asked_about() -> None:
    axes = {name: {"from": 1, "to": 101, "step": 1} for name in ("seq", "batch", "seed")}
    sweep = Sweep.of("bert-base", axes=axes)
    with pytest.raises(SweepError, match=r"1,030,301 combinations are more than 1,000,000; give --yes"):
        count_points(sweep)
    assert count_points(sweep, allow_many=True) > MANY


def test_jobs(tmp_path: Path) -> None:
    sweep = Sweep.of("bert-base", axes={"seq": [1]})
    for jobs in (0, -1, 10**6):
        with pytest.raises(SweepError, match="jobs: "):
            run(sweep, tmp_path / "s.sqlite", jobs=jobs)


def test_contradictions_of_some_points_are_rows(tmp_path: Path) -> None:
    """What only some combinations of values cannot do does not stop the others."""
    axes = {"search": ["random", "optimal"], "finalists": [None, 3]}
    sweep = Sweep.of("16x16x16", "tiny_4x4", RunSettings(), axes=axes)
    result = run(sweep, tmp_path / "s.sqlite", work=counted_or_failed)
    assert (result.done, result.failed) == (3, 1)


def counted_or_failed(task):  # type: ignore[no-untyped-def]  # pickled by nobody
    from mapper.sweep.outcome import Outcome

    return Outcome(reason=task.problem) if task.problem else counted(task)
