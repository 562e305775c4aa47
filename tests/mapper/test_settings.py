"""Settings of a run: one value that can be hashed, written, read back and named by a key."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import FrozenInstanceError, fields, replace
from importlib import resources
from pathlib import Path

import pytest

import hwconfigs
from mapper import pipeline
from mapper.search.budget import Budget
from mapper.settings import NOT_IN_KEY, Overrides, RunOptions, RunSettings, SettingsError

FULL = RunSettings(
    seq=512,
    overrides={"l2": None, "scratchpad.capacity": "64 KiB", "array.dataflows": ["weight_stationary"]},
    energy="horowitz_45nm",
    objective="edp",
    search="genetic",
    budget=Budget(evaluations=100),
    seed=3,
)


@pytest.mark.parametrize("settings", [RunSettings(), FULL, RunSettings(phase="decode", context=64, finalists=4)])
def test_settings_survive_json_and_pickle(settings: RunSettings) -> None:
    read = RunSettings.from_dict(json.loads(json.dumps(settings.to_dict())))
    for other in (read, pickle.loads(pickle.dumps(settings))):
        assert other == settings
        assert hash(other) == hash(settings)
        assert other.key == settings.key


def test_the_key_is_that_of_the_first_version() -> None:
    """A store finds its results again as long as this digest stays."""
    assert RunSettings().key == "ae55010e429f664691ed9224971a5a7fc427c5ccc600a73eb59a94eba4c593c1"


def test_whatever_changes_a_result_changes_the_key() -> None:
    """Everything does but the number of processes, and the recording of spans beside an exact run."""
    changed = {
        "seq": 7, "phase": "decode", "context": 7, "batch": 2, "strict_positions": True, "overrides": {"l2": None},
        "energy": "x", "objective": "edp", "search": "random", "budget": Budget(evaluations=7), "seed": 7,
        "finalists": 7, "exact": True, "workers": 7, "spans": True, "fusion": "auto", "source": 7, "causal": "skip",
        "lm_head": True, "bits": "weight=4", "dims": "seq=7", "routing": "uniform",
    }  # fmt: skip
    assert set(changed) == {field.name for field in fields(RunSettings)} == set(RunOptions.__annotations__)
    for name, value in changed.items():
        other = replace(RunSettings(), **{name: value})  # type: ignore[arg-type]
        assert (other.key == RunSettings().key) == (name in NOT_IN_KEY - {"spans"})


def test_spans_are_recorded_of_exact_runs() -> None:
    """Their cycles are those of ``exact``, so the key is, too."""
    spans = RunSettings(seq=32, spans=True, finalists=0)
    exact = replace(spans, spans=False, exact=True)
    assert spans.key == exact.key == replace(spans, exact=True).key != replace(spans, spans=False).key
    cycles = [pipeline.run("bert-base", "gemmini_ibert", settings=each).simulation.cycles for each in (spans, exact)]
    assert cycles[0] == cycles[1]


def test_overrides_are_a_value() -> None:
    """Their order means nothing, the caller's mapping may change later, and nobody can change them."""
    changes: dict[str, object] = {"a.b": [1, 2], "c": None}
    kept = Overrides(changes)
    changes["a.b"] = 3
    assert kept == Overrides({"c": None, "a.b": [1, 2]})
    assert hash(kept) == hash(Overrides({"c": None, "a.b": [1, 2]}))
    assert kept != Overrides({"a.b": [2, 1], "c": None})
    with pytest.raises(TypeError):
        kept["c"] = 1  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        FULL.seq = 3  # type: ignore[misc]
    with pytest.raises(SettingsError, match="overrides: must be texts"):
        RunSettings(overrides={"a": object()})


def test_a_path_of_an_energy_table_is_kept_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare file name stays a file, even one called as a preset."""
    (tmp_path / "horowitz_45nm").write_text(resources.files(hwconfigs).joinpath("energy/flat_peers.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    for path in (Path("horowitz_45nm"), tmp_path / "horowitz_45nm"):
        settings = RunSettings(energy=path)
        assert RunSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
        assert settings.key != RunSettings(energy="horowitz_45nm").key
        energies = [
            pipeline.map_matmul(8, 8, 8, "tiny_4x4", energy=energy).simulation.energy_pj
            for energy in (path, settings.energy, "flat_peers")
        ]
        assert len(set(energies)) == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "version None cannot be read; this is version 1"),
        ({"version": 2}, "version 2 cannot be read; this is version 1"),
        ({"version": 1, "sequ": 3}, "sequ: unknown key; did you mean 'seq'?"),
        ({"version": 1, "budget": {"evaluation": 3}}, "budget.evaluation: unknown key; did you mean 'evaluations'?"),
        ({"version": 1, "seq": "16"}, "seq: "),
        ({"version": 1, "batch": 1.5}, "batch: "),
        ({"version": 1, "phase": "training"}, "phase: "),
        ({"version": 1, "search": "tabu"}, "unknown search 'tabu'; use optimal, exhaustive"),
        ({"version": 1, "finalists": 257}, "finalists=257: must be 0 to 256"),
        ({"version": 1, "budget": {"evaluations": 0}}, "budget 0: must be 1 to"),
        ({"version": 1, "seed": -1}, "seed=-1: must not be negative"),
        ({"version": 1, "seq": {3}}, "only what JSON can hold"),
    ],
)
def test_bad_data_is_refused(data: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        RunSettings.from_dict(data)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"finalists": 2, "search": "genetic"}, "ranks none; use optimal"),
        ({"budget": Budget(evaluations=9), "search": "gemmini_auto"}, "searches nothing"),
        ({"objective": "speed"}, "unknown objective 'speed'; use latency, energy, edp"),
        ({"workers": 0}, "workers=0: must be 1 to 256"),
        ({"workers": 10**18}, "workers=1000000000000000000: must be 1 to 256"),
    ],
)
def test_options_that_make_no_sense_together(options: RunOptions, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        RunSettings(**options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"seq": "8"}, "seq='8': must be a whole number"),
        ({"batch": None}, "batch=None: must be a whole number"),
        ({"seed": "1", "finalists": 2.5}, "seed='1': must be a whole number\nfinalists=2.5: must be a whole number"),
        ({"workers": True}, "workers=True: must be a whole number"),
        ({"exact": "no"}, "exact='no': must be True or False"),
        ({"budget": "2s"}, "budget='2s': must be a mapper.search.budget.Budget, as in"),
        ({"energy": 5}, "energy=5: must be a name or a path"),
        ({"fusion": True}, "fusion=True: must be none, auto, gemmini or a path"),
    ],
)
def test_values_of_wrong_types_are_refused(options: RunOptions, says: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(says)):
        RunSettings(**options)
    assert RunSettings(seq=None, context=None, finalists=None, budget=None, energy=None) == RunSettings()


def test_the_pipeline_takes_settings_or_options() -> None:
    settings = RunSettings(objective="energy", overrides={"scratchpad.capacity": "64 KiB"})
    result = pipeline.map_matmul(32, 48, 16, "gemmini", settings)
    same = pipeline.map_matmul(32, 48, 16, "gemmini", objective="energy", overrides={"scratchpad.capacity": "64 KiB"})
    assert result.simulation == same.simulation
    assert result.settings == same.settings == settings
    assert "64 KiB" in result.spec.name


def test_what_is_no_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'sequ'"):
        pipeline.run("bert-base", "gemmini", sequ=16)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="seq: give either settings or options"):
        pipeline.run("bert-base", "gemmini", RunSettings(), seq=16)
    with pytest.raises(ValueError, match="unknown objective 'pareto'; use latency, energy, edp"):
        pipeline.map_matmul(16, 16, 16, "gemmini", objective="pareto")
