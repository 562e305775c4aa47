"""Points share searches and simulations, and no number depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import hwconfigs
import workloads
from hwconfigs import HardwareSpec
from mapper import pipeline
from mapper.search import recalled_mappings
from mapper.settings import RunSettings
from mapper.sweep.cache import PointCache
from mapper.sweep.work import digest_of
from simulator.machine import Machine
from workloads import OpGraph


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """No search of another test is remembered."""
    recalled_mappings._SEARCHES.clear()
    yield
    recalled_mappings._SEARCHES.clear()


@pytest.fixture
def simulations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the programs that are simulated."""
    names: list[str] = []
    run = Machine.run

    def counted(machine: Machine) -> int:
        names.append("simulated")
        return run(machine)

    monkeypatch.setattr(Machine, "run", counted)
    return names


@pytest.fixture(scope="module")
def graph() -> OpGraph:
    return workloads.build("bert-base", seq=16, overrides={"d_model": 64, "heads": 2, "d_ffn": 128, "layers": 2})


@pytest.fixture(scope="module")
def machine() -> HardwareSpec:
    return hwconfigs.load("gemmini_ibert")


FEW = (RunSettings(), RunSettings(finalists=0), RunSettings(objective="edp", finalists=0))
MANY = (RunSettings(), RunSettings(objective="edp"), RunSettings(search="random", seed=3), RunSettings(fusion="auto"))


@pytest.mark.parametrize("several", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
def test_no_number_depends_on_the_cache(
    tmp_path: Path, graph: OpGraph, machine: HardwareSpec, several: tuple[RunSettings, ...]
) -> None:
    """Settings one after another on one cache, each at first with what the others left and then with its own."""
    cache = PointCache(tmp_path / "c.sqlite")
    for settings in several:
        plain = digest_of(pipeline.run_graph(graph, machine, settings))
        for _ in range(2):
            recalled_mappings._SEARCHES.clear()
            assert digest_of(pipeline.run_graph(graph, machine, settings, recall=cache)) == plain, settings


ALWAYS = ({"vector.lanes": 4}, {"supply_v": 0.9})
OFTEN_ENOUGH: tuple[dict[str, object], ...] = (
    {"dram.latency": 60}, {"front_end.store_entries": 3},
    {"vector.command_gap_cycles": 9}, {"vector": None}, {"host.kernel_cycles.softmax": 3}, {"host.call_cycles": 77},
    {"clock_mhz": 500.0}, {"energy": "horowitz_45nm"}, {"l2.capacity": "256 KiB"}, {"scratchpad.banks": 8},
    {"dma.max_in_flight": 8},
)  # fmt: skip


@pytest.mark.parametrize(
    "changes", [*ALWAYS, *(pytest.param(changes, marks=pytest.mark.slow) for changes in OFTEN_ENOUGH)]
)
def test_a_machine_finds_nothing_of_another_that_would_be_wrong(
    tmp_path: Path, graph: OpGraph, machine: HardwareSpec, changes: dict[str, object]
) -> None:
    try:
        other = hwconfigs.override(machine, changes)
    except hwconfigs.SpecError as problem:
        pytest.skip(str(problem))
    cache = PointCache(tmp_path / "c.sqlite")
    pipeline.run_graph(graph, machine, RunSettings(), recall=cache)
    plain = digest_of(pipeline.run_graph(graph, other, RunSettings()))
    assert digest_of(pipeline.run_graph(graph, other, RunSettings(), recall=cache)) == plain


def test_what_no_cycle_depends_on_is_simulated_once(
    tmp_path: Path, graph: OpGraph, machine: HardwareSpec, simulations: list[str]
) -> None:
    cache = PointCache(tmp_path / "c.sqlite")
    pipeline.run_graph(graph, machine, RunSettings(), recall=cache)
    first = len(simulations)
    pipeline.run_graph(graph, machine, RunSettings(), recall=cache)
    assert len(simulations) <= first + 5  # streams that run once are simulated as they are
    simulations.clear()
    pipeline.run_graph(graph, hwconfigs.override(machine, {"host.kernel_cycles.softmax": 3}), recall=cache)
    assert len(simulations) < first / 2


def test_it_stays_small_and_forgets_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapper.sweep.cache.LOOKED_AFTER", 16)
    cache = PointCache(tmp_path / "c.sqlite", most_bytes=100_000)
    keys = [f"{number:064x}" for number in range(400)]
    for number, key in enumerate(keys):
        cache.keep(key, "".join(f"{number * step:x}" for step in range(1, 400)))
    assert cache.find(keys[0]) is None
    assert cache.find(keys[-1]) is not None
    assert (tmp_path / "c.sqlite").stat().st_size < 200_000


def test_another_model_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PointCache(tmp_path / "c.sqlite").keep("ab" * 32, "text")
    assert PointCache(tmp_path / "c.sqlite").find("ab" * 32) == "text"
    monkeypatch.setattr("mapper.sweep.cache.model_version", lambda: "9.9.9+later")
    assert PointCache(tmp_path / "c.sqlite").find("ab" * 32) is None


@pytest.mark.parametrize("content", [b"no database" * 100, b""], ids=["damaged", "empty"])
def test_a_damaged_cache_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.sqlite").write_bytes(content)
    cache = PointCache(tmp_path / "c.sqlite")
    cache.keep("ab" * 32, "text")
    assert cache.find("ab" * 32) == (None if content else "text")
    assert cache.is_open == (not content)


def test_a_place_that_cannot_be_written_is_left_alone() -> None:
    cache = PointCache(Path("/proc/none/c.sqlite"))
    cache.keep("ab" * 32, "text")
    assert not cache.is_open and cache.find("ab" * 32) is None


def test_a_custom_strategy_is_not_recalled(tmp_path: Path, graph: OpGraph, machine: HardwareSpec) -> None:
    """Nobody can tell two strategies of one's own apart; their simulations are shared all the same."""
    from mapper.search.strategies import SearchStrategy

    cache = PointCache(tmp_path / "c.sqlite")
    strategy = SearchStrategy("latency", "optimal")

    def own(problem, spec, prices):  # type: ignore[no-untyped-def]
        return replace(strategy(problem, spec, prices), statement="mine")

    result = pipeline.run_graph(graph, machine, RunSettings(), strategy=own, recall=cache)
    assert digest_of(result) == digest_of(pipeline.run_graph(graph, machine, RunSettings()))
    assert all("mine" in search.statement for search in result.searches.values())
