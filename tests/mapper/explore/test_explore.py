"""Search over hardware: the true front, the same end after any interruption, limits, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mapper import cli
from mapper.errors import SweepError
from mapper.explore.definition import Exploration, read_exploration
from mapper.explore.driver import Explored, explore
from mapper.explore.limits import LIMITS, Limit
from mapper.settings import RunSettings
from mapper.sweep.definition import Sweep
from mapper.sweep.outcome import Outcome
from mapper.sweep.points import Task
from mapper.sweep.store import Store

SIZES, CAPACITIES = (4, 8, 16), ("32 KiB", "64 KiB", "128 KiB", "256 KiB")
AXES = {"array.size": list(SIZES), "scratchpad.capacity": list(CAPACITIES)}


def exploration(trials: int = 12, limits: tuple[Limit, ...] = (), **options: object) -> Exploration:
    sweep = Sweep.of("16x16x16", "gemmini", axes=AXES)
    chosen: dict[str, object] = {"objectives": ("latency", "area"), **options}
    return Exploration(sweep=sweep, trials=trials, limits=limits, batch=3, **chosen)  # type: ignore[arg-type]


def made_up(task: Task) -> Outcome:
    """A larger array is faster, a larger scratchpad only larger, and 8 rows of 256 KiB cannot run."""
    assert task.spec is not None
    rows, kib = task.spec.array.rows, task.spec.scratchpad.capacity_bytes // 1024
    if (rows, kib) == (8, 256):
        return Outcome(reason="made up")
    return Outcome({"latency_s": 1.0 / rows, "area_mm2": float(rows * rows + kib), "energy_pj": 1.0}, "digest")


def counted(calls: list[str], stop_after: int | None = None) -> Callable[[Task], Outcome]:
    def work(task: Task) -> Outcome:
        if len(calls) == stop_after:
            raise KeyboardInterrupt
        calls.append(task.key)
        return made_up(task)

    return work


def rows_of(path: Path) -> list[tuple[int, str, str]]:
    with Store.to_read(path) as store:
        return [(row.row, row.key, row.status) for row in store.rows()]


def front_of(found: Explored) -> list[tuple[object, ...]]:
    return [tuple(row.point.values.values()) for row in found.front]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_all_machines_give_the_true_front(sampler: str, tmp_path: Path) -> None:
    """With as many trials as machines every one is tried once, whatever the sampler repeats."""
    calls: list[str] = []
    found = explore(exploration(20, sampler=sampler), tmp_path / "all.sqlite", work=counted(calls))
    assert len(calls) == len(set(calls)) == found.tried == len(SIZES) * len(CAPACITIES)
    assert found.exhausted
    assert found.failed == 1
    assert front_of(found) == [(16, "32 KiB"), (8, "32 KiB"), (4, "32 KiB")]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_the_end_is_the_same_after_any_interruption(sampler: str, tmp_path: Path) -> None:
    """Stopped after 1, 4 and 7 machines: none computed twice, rows and front those of an uninterrupted search."""
    chosen = exploration(10, sampler=sampler, seed=5)
    whole = explore(chosen, tmp_path / "whole.sqlite", work=made_up)
    calls: list[str] = []
    for stop in (1, 4, 7):
        with pytest.raises(KeyboardInterrupt):
            explore(chosen, tmp_path / "pieces.sqlite", work=counted(calls, stop))
    pieces = explore(chosen, tmp_path / "pieces.sqlite", work=counted(calls))
    assert len(calls) == len(set(calls)) == 10
    assert pieces.computed == 3
    assert front_of(pieces) == front_of(whole)
    assert rows_of(tmp_path / "pieces.sqlite") == rows_of(tmp_path / "whole.sqlite")
    assert explore(chosen, tmp_path / "pieces.sqlite", work=counted(calls)).computed == 0


def test_seeds_ask_for_other_machines(tmp_path: Path) -> None:
    orders: list[list[str]] = []
    for seed in (1, 1, 2):
        calls: list[str] = []
        explore(exploration(6, seed=seed), tmp_path / f"{len(orders)}.sqlite", work=counted(calls))
        orders.append(calls)
    assert orders[0] == orders[1] != orders[2]


def test_limits_are_kept(tmp_path: Path) -> None:
    """What breaks a limit is left out and not computed: here the large scratchpads."""
    memory = Limit(LIMITS["memory"], (64 + 64 + 512) * 1024)
    calls: list[str] = []
    found = explore(exploration(12, (memory,)), tmp_path / "limits.sqlite", work=counted(calls))
    with Store.to_read(tmp_path / "limits.sqlite") as store:
        values = [row.point.values for row in store.rows()]
    assert {value["scratchpad.capacity"] for value in values} == {"32 KiB", "64 KiB"}
    assert found.tried == len(calls) == len(values) == 6
    assert found.refused == 6


@pytest.mark.parametrize(("name", "most"), [("bandwidth", 1e9), ("area", 0.5), ("leakage", 0.1), ("memory", 2**10)])
def test_limits_that_nothing_keeps(name: str, most: float, tmp_path: Path) -> None:
    nothing = explore(exploration(12, (Limit(LIMITS[name], most),)), tmp_path / "none.sqlite", work=made_up)
    assert (nothing.tried, nothing.refused, nothing.front) == (0, 12, ())


def test_a_search_without_a_machine_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    body = "model: 8x8x8\nmachine: tiny_4x4\nfinalists: 0\naxes: {array.size: [0, 3]}\n"
    for explored, says in (
        ("{trials: 2, limits: {area: 1 um2}}", "no machine keeps the limits"),
        ("{trials: 2}", "no machine could be computed"),
    ):
        Path("s.yaml").write_text(f"{body.replace('0, 3', '4') if 'um2' in explored else body}explore: {explored}\n")
        assert cli.main(["explore", "s.yaml"]) == 1
        out = capsys.readouterr().out
        assert out.startswith(says)
        assert ("'tilewright results s.sqlite' shows the reasons" in out) == ("um2" not in explored)


def test_a_store_of_a_sweep_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine that the sweep computed under other axes is on the front with the axes of the search."""
    monkeypatch.chdir(tmp_path)
    body = "model: 8x8x8\nmachine: tiny_4x4\nfinalists: 0\naxes: "
    Path("s.yaml").write_text(f"{body}{{dram.latency: [20]}}\n")
    Path("e.yaml").write_text(f"{body}{{scratchpad.capacity: [1 KiB], dram.latency: [20]}}\nexplore: {{trials: 1}}\n")
    assert cli.main(["sweep", "s.yaml", "--store", "s.sqlite", "--no-cache"]) == 0
    capsys.readouterr()
    assert cli.main(["explore", "e.yaml", "--store", "s.sqlite", "--no-cache"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[:4] == ["1", "1", "KiB", "20"]


def test_worker_processes_find_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command with one and with two jobs, on machines that are really simulated; then once more from the store."""
    file = tmp_path / "small.yaml"
    file.write_text(
        "model: 8x8x8\nmachine: tiny_4x4\nfinalists: 0\n"
        "axes:\n  scratchpad.capacity: [1 KiB, 2 KiB, 4 KiB]\n  dram.bandwidth: [1 B/cycle, 4 B/cycle]\n"
        "explore: {objectives: [latency, energy, area], trials: 4, batch: 2, limits: {memory: 6 KiB}}\n",
        encoding="utf-8",
    )
    printed = []
    for jobs, store in (("1", "a"), ("2", "b"), ("1", "a")):
        assert cli.main(["explore", str(file), "--jobs", jobs, "--store", str(tmp_path / f"{store}.sqlite")]) == 0
        printed.append(capsys.readouterr().out.replace(f"{store}.sqlite", "x.sqlite"))
    assert printed[0] == printed[1]
    assert printed[2] == printed[0].replace("4 computed now", "0 computed now")
    assert rows_of(tmp_path / "a.sqlite") == rows_of(tmp_path / "b.sqlite")


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("{objectives: [latncy]}", "3: explore: objectives: 'latncy' is none; did you mean 'latency'?"),
        ("{objectives: [area, area]}", "different names"),
        ("{objectives: []}", "at least one"),
        ("{objectives: area}", "must be a list of names"),
        ("{trial: 5}", "3: explore: trial: unknown key; did you mean 'trials'?"),
        ("{trials: 0}", "trials: must be a whole number in 1..100,000, got 0"),
        ("{seed: -1}", "seed: must be a whole number"),
        ("{batch: 1.5}", "batch: must be a whole number"),
        ("{sampler: tpee}", "'tpee' is none; did you mean 'tpe'?"),
        ("{limits: {aera: 3}}", "limits: aera: unknown limit; did you mean 'area'?"),
        ("{limits: {area: 3 KiB}}", "limits: area: '3 KiB' is not a limit of the area"),
        ("{limits: {area: -3 mm2}}", "limits: area: must be above 0, got '-3 mm2'"),
        ("{limits: {memory: 0}}", "limits: memory: must be above 0, got 0"),
        ("{limits: 3}", "limits: must be a section"),
        ("7", "explore: must be a section"),
    ],
)
def test_bad_sections(section: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(f"model: 8x8x8\naxes: {{array.size: [4, 8]}}\nexplore: {section}\n", encoding="utf-8")
    with pytest.raises(SweepError) as problem:
        read_exploration(file)
    assert says in str(problem.value)
    assert len(str(problem.value).splitlines()) == 1


def test_only_machines_are_searched(tmp_path: Path) -> None:
    file = tmp_path / "seq.yaml"
    file.write_text("model: gpt2\naxes: {seq: [4, 8]}\nexplore: {trials: 2}\n", encoding="utf-8")
    with pytest.raises(SweepError, match="axes: seq: an exploration searches machines"):
        read_exploration(file)


def test_a_workload_that_cannot_be(tmp_path: Path) -> None:
    """Told at once, not once for every machine; and no store."""
    sweep = Sweep.of("bert-bse", "gemmini", axes=AXES)
    with pytest.raises(SweepError, match="bert-bse on gemmini: .*did you mean 'bert-base'"):
        explore(Exploration(sweep=sweep), tmp_path / "none.sqlite", work=made_up)
    assert not (tmp_path / "none.sqlite").exists()


def test_without_optuna(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One line that names the extra, and no store."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SweepError, match=r"explore needs optuna: python -m pip install 'tilewright\[dse\]'"):
        explore(exploration(), tmp_path / "none.sqlite", work=made_up)
    assert not (tmp_path / "none.sqlite").exists()


def test_objectives_that_are_no_names() -> None:
    with pytest.raises(SweepError, match=r"objectives: \['latency'\] is none"):
        exploration(objectives=(["latency"],))


def test_what_asks_for_an_unknown_area_is_refused(tmp_path: Path) -> None:
    """``flat_peers`` prices accesses alone: every machine would break the limit."""
    sweep = Sweep.of("16x16x16", "gemmini", RunSettings(energy="flat_peers"), axes={"array.size": [4, 8]})
    with pytest.raises(SweepError, match="area: the energy table flat_peers knows no die"):
        explore(Exploration(sweep=sweep), tmp_path / "s.sqlite")


def test_filters_that_nothing_keeps(tmp_path: Path) -> None:
    sweep = Sweep.of("16x16x16", "gemmini", axes={"array.size": [4, 8]}, filters=["array.size > 100"])
    with pytest.raises(SweepError, match="filters: none of"):
        explore(Exploration(sweep=sweep), tmp_path / "s.sqlite")


def test_failed_machines_are_tried_again_on_request(tmp_path: Path) -> None:
    store, calls = tmp_path / "s.sqlite", list[str]()
    explore(exploration(12), store, work=made_up)
    explore(exploration(12), store, work=counted(calls))
    assert not calls
    found = explore(exploration(12), store, work=counted(calls), retry_failed=True)
    assert len(calls) == found.failed == 1


def test_machines_share_what_was_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second search takes settled mappings and simulations from the cache, and finds the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = explore(exploration(2, sampler="random"), tmp_path / "a.sqlite")
    assert (tmp_path / "cache/tilewright/points.sqlite").is_file()
    again = explore(exploration(2, sampler="random"), tmp_path / "b.sqlite", cache=False)
    assert front_of(first) == front_of(again)
