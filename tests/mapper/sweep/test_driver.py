"""A sweep computes each point once, whatever the engine, and goes on where it was."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from mapper.settings import RunSettings
from mapper.sweep import Store, Sweep, SweepError, run
from mapper.sweep.driver import _apart
from mapper.sweep.engines import KILLED
from mapper.sweep.points import CacheChoice, Resolver, points_of
from mapper.sweep.results import table_of
from tests.mapper.sweep.points import LOG, counted, deadly, endless, trivial_sweep


def rows(store: Path) -> list[tuple[object, ...]]:
    """Return what must not depend on how a sweep ran: all columns but the CPU time."""
    with Store.to_read(store) as opened:
        table = table_of(opened)
    return [tuple(cell for name, cell in row.items() if name != "seconds") for row in table.dicts()]


def test_points_of_the_real_model_are_the_same_in_one_process_and_in_two(tmp_path: Path) -> None:
    sweep = Sweep.of("24x16x40", "tiny_4x4", axes={"dram.latency": [20, 40], "objective": ["latency", "energy"]})
    for jobs in (1, 2):
        assert run(sweep, tmp_path / f"{jobs}.sqlite", jobs=jobs).done == 4
    assert rows(tmp_path / "1.sqlite") == rows(tmp_path / "2.sqlite")


def test_a_second_run_computes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    store = tmp_path / "s.sqlite"
    assert run(trivial_sweep(5), store, work=counted).done == 5
    again = run(trivial_sweep(8), store, work=counted)
    assert (again.done, again.skipped) == (3, 5)
    lines = (tmp_path / "log").read_text().split()
    assert len(lines) == len(set(lines)) == 8
    with pytest.raises(SweepError, match="has rows already"):
        run(trivial_sweep(5), store, resume=False, work=counted)


def test_equal_machines_are_one_row(tmp_path: Path) -> None:
    """An axis that only renames a machine's own value makes no second point."""
    sweep = Sweep.of("16x16x16", "tiny_4x4", axes={"machine": ["tiny_4x4"], "array.size": [4], "seed": [1, 2]})
    assert run(sweep, tmp_path / "s.sqlite", work=counted).done == 2
    plain = Sweep.of("16x16x16", "tiny_4x4", axes={"seed": [1, 2]})
    assert run(plain, tmp_path / "s.sqlite", work=counted).skipped == 2


def test_what_cannot_run_is_a_row_with_its_reason_and_is_tried_again_on_request(tmp_path: Path) -> None:
    sweep = Sweep.of("64x64x64", "tiny_4x4", axes={"accumulator.capacity": ["3 B", "4 KiB"]})
    store = tmp_path / "s.sqlite"
    first = run(sweep, store)
    assert (first.done, first.failed) == (1, 1)
    with Store.to_read(store) as opened:
        bad, good = opened.rows()
    assert "accumulator" in bad.reason and bad.status == "failed" and good.status == "done"
    assert run(sweep, store).skipped == 2
    assert run(sweep, store, retry_failed=True).failed == 1


def test_a_point_that_kills_its_worker_fails_alone(tmp_path: Path) -> None:
    result = run(trivial_sweep(12), tmp_path / "s.sqlite", jobs=2, work=deadly)
    assert (result.done, result.failed) == (11, 1)
    with Store.to_read(tmp_path / "s.sqlite") as store:
        (failed,) = store.rows(statuses=("failed",))
    assert failed.point.values == {"seed": 5}
    assert "killed" in failed.reason


def test_a_point_that_takes_too_long_is_interrupted(tmp_path: Path) -> None:
    sweep = Sweep.of("512x512x512", "gemmini", RunSettings(exact=True), axes={"seed": [0]}, timeout_s=0.02)
    run(sweep, tmp_path / "s.sqlite")
    with Store.to_read(tmp_path / "s.sqlite") as store:
        assert [row.reason for row in store.rows()] == ["took longer than 0.02 s"]


def test_a_point_that_cannot_be_interrupted_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapper.sweep.engines.GRACE_SECONDS", 0.5)
    monkeypatch.setattr("mapper.sweep.engines.START_SECONDS", 20.0)
    result = run(trivial_sweep(6, timeout_s=0.2), tmp_path / "s.sqlite", jobs=2, work=endless)
    assert (result.done, result.failed) == (5, 1)


def test_a_point_that_needs_too_much_memory_is_refused_it(tmp_path: Path) -> None:
    sweep = Sweep.of("4096x4096x4096", "gemmini", axes={"seed": [0]}, memory_bytes=64 * 2**20)
    run(sweep, tmp_path / "s.sqlite")
    with Store.to_read(tmp_path / "s.sqlite") as store:
        (row,) = store.rows()
    # Where code has to be compiled first, the compiler ends its process.
    assert row.reason in ("needs more memory than there is: more than 64 MiB", f"{KILLED}: its limit is 64 MiB")


def test_tasks_travel_whole_and_share_machine_and_workload() -> None:
    resolver = Resolver("v", 5.0, 2**30)
    tasks = [resolver.task(point) for point in points_of(trivial_sweep(3))]
    there = [pickle.loads(pickle.dumps(task)) for task in tasks]
    assert there[0].graph is there[2].graph and there[0].spec is there[1].spec
    for task, twin in zip(tasks, there, strict=True):
        assert (twin.key, twin.point, twin.spec) == (task.key, task.point, task.spec)
        assert (twin.problem, twin.timeout_s, twin.memory_bytes, twin.cache) == ("", 5.0, 2**30, None)
        assert [repr(op) for op in twin.graph.operators] == [repr(op) for op in task.graph.operators]


def test_machines_that_share_most_are_not_computed_at_once() -> None:
    """Four supplies of two memories: both memories come first. What shares nothing keeps its place."""
    axes = {"dram.latency": [20, 30], "supply": ["0.7 V", "0.8 V", "0.9 V", "1 V"]}
    sweep = Sweep.of("8x8x8", "tiny_4x4", axes=axes)
    resolver = Resolver("v", cache=CacheChoice("none", 2**20))
    order = _apart([resolver.shared(resolver.task(point)) for point in points_of(sweep)])
    assert order == [0, 4, 1, 5, 2, 6, 3, 7]
    alone = Resolver("v")
    assert _apart([alone.shared(alone.task(point)) for point in points_of(sweep)]) == list(range(8))
    assert _apart(["", "a", "", "a", "a"]) == [0, 1, 2, 3, 4]
