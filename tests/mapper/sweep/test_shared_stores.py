"""A store that several sweeps share, one whose notes are damaged, and sweeps that could never run."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mapper import cli
from mapper.errors import StoreError, SweepError
from mapper.settings import RunSettings
from mapper.sweep import Store, Sweep, run
from mapper.sweep.reproduce import reproduce
from tests.mapper.sweep.points import counted, trivial_sweep

FILE = "model: 8x8x8\nmachine: m.yaml\nfinalists: 0\naxes: {dram.latency: [20]}\n"


def sweep_over(**axes: object) -> Sweep:
    return Sweep.of("16x16x16", "tiny_4x4", RunSettings(), axes={name.replace("_", "."): axes[name] for name in axes})


def changed(store: Path | str, statement: str) -> None:
    connection = sqlite3.connect(store)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_row_that_two_sweeps_ask_for_finds_its_files_from_the_folder_of_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sweeps have one point, by the same file of a machine that each names from its own folder."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    (tmp_path / "a/m.yaml").write_text("extends: tiny_4x4\n")
    (tmp_path / "a/s.yaml").write_text(FILE)
    (tmp_path / "b/s.yaml").write_text(FILE.replace("m.yaml", "../a/m.yaml").replace("[20]", "[20, 30]"))
    for folder in ("a", "b"):
        monkeypatch.chdir(tmp_path / folder)
        run("s.yaml", tmp_path / "s.sqlite")
    monkeypatch.chdir(tmp_path)
    again = reproduce("s.sqlite", "1")
    assert again.stored.plan == 2
    assert again.is_same_point and not again.differences


def test_every_sweep_of_a_store_shows_its_own_axes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(sweep_over(dram_latency=[20, 30]), "s.sqlite", work=counted)
    run(sweep_over(seed=[0, 5]), "s.sqlite", work=counted)
    assert cli.main(["results", "s.sqlite"]) == 0
    heading = capsys.readouterr().out.splitlines()[2].split()
    assert heading[:5] == ["row", "plan", "status", "dram.latency", "seed"]
    assert cli.main(["results", "s.sqlite", "--where", "plan == 2"]) == 0
    assert "dram.latency" not in capsys.readouterr().out


@pytest.mark.parametrize("value", ["'x'", "'[]'", "'{'"])
@pytest.mark.parametrize("name", ["plans", "plan 1"])
def test_damaged_notes_of_a_store_are_told(tmp_path: Path, name: str, value: str) -> None:
    store = tmp_path / "s.sqlite"
    run(trivial_sweep(2), store, work=counted)
    changed(store, f"UPDATE about SET value = {value} WHERE name = '{name}'")
    with pytest.raises(StoreError, match="what it knows of its sweeps is damaged"):
        run(trivial_sweep(2), store, work=counted)


def test_rows_of_a_model_that_nobody_knows_are_never_added_to(tmp_path: Path) -> None:
    """An empty store that no driver has claimed, as after a kill at its first moment, is one to begin with."""
    store = tmp_path / "s.sqlite"
    run(trivial_sweep(2), store, work=counted)
    changed(store, "DELETE FROM about")
    with pytest.raises(StoreError, match="results of two models are never mixed"):
        run(trivial_sweep(3), store, work=counted)
    changed(store, "DELETE FROM points")
    assert run(trivial_sweep(3), store, work=counted).done == 3
    with Store.to_read(store) as opened:
        assert opened.model_version


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("machine: tiny_4x5", "s.yaml: machine: tiny_4x5: no such machine; did you mean 'tiny_4x4'"),
        ("model: bert-bose\nseq: 8", "s.yaml: model: unknown model 'bert-bose'; did you mean 'bert-base'"),
        ("seq: 8", "s.yaml: model: 8x8x8: a product has its sizes in its name"),
        ("filters: [dram.latency > 40]", "s.yaml: filters: none of the 1 combinations"),
    ],
)
def test_what_no_point_could_run_with_is_refused_before_a_store_is_made(tmp_path: Path, line: str, says: str) -> None:
    keys = [one.partition(":")[0] for one in line.splitlines()]
    kept = [one for one in FILE.replace("m.yaml", "tiny_4x4").splitlines() if one.partition(":")[0] not in keys]
    (tmp_path / "s.yaml").write_text("\n".join([*kept, line]))
    with pytest.raises(SweepError) as refused:
        run(tmp_path / "s.yaml", tmp_path / "s.sqlite", work=counted)
    assert says in str(refused.value)
    assert not (tmp_path / "s.sqlite").exists()


def test_shapes_that_an_axis_gives_are_no_part_of_the_base(tmp_path: Path) -> None:
    """A decode step needs a context: the base has none, its points have."""
    sweep = Sweep.of("gpt2", "tiny_4x4", RunSettings(phase="decode"), axes={"context": [4]})
    assert run(sweep, tmp_path / "s.sqlite", work=counted).done == 1


def test_a_sweep_without_a_result_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(FILE.replace("m.yaml", "tiny_4x4").replace("dram.latency: [20]", "array.size: [0]"))
    assert cli.main(["sweep", "s.yaml"]) == 1
    assert capsys.readouterr().err == (
        "tilewright: nothing could be computed; row 1: override: array.size: must be in 1 .. 65,536, got 0\n"
    )
