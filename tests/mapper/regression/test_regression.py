"""Reference mappings: the shipped ones give their numbers, and every kind of drift is told by its cause."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mapper import cli, regression
from mapper.regression.drift import differences
from mapper.regression.reference_mapping import ReferenceMapping

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "mappings"


@pytest.mark.parametrize("entry", regression.entries(REFERENCE), ids=str)
def test_mapping(entry: ReferenceMapping) -> None:
    assert regression.drifts(entry) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(REFERENCE / "tiny.yaml", tmp_path)
    shutil.copy(REFERENCE / "ragged_lean.yaml", tmp_path)
    return tmp_path


def test_causes() -> None:
    numbers = regression.read_entry(REFERENCE / "tiny.yaml").expected
    assert numbers is not None
    assert differences(numbers, numbers) == []
    (timing,) = differences(numbers, replace(numbers, cycles=numbers.cycles + 7))
    assert timing.cause == "cycles" and "the counts are the same: the timing has changed" in timing.text
    counts = {**numbers.counts, "dram.read_byte": numbers.counts["dram.read_byte"] + 64}
    more, late = differences(numbers, replace(numbers, counts=counts, cycles=numbers.cycles + 7))
    assert (more.cause, late.cause) == ("counts", "cycles")
    assert "dram.read_byte 49,152 -> 49,216 (+0.13%)" in more.text and "with the counts" in late.text
    prices = {**numbers.prices_pj, "array.mac": 2 * numbers.prices_pj["array.mac"]}
    (table,) = differences(numbers, replace(numbers, prices_pj=prices, energy_pj=1.1 * numbers.energy_pj))
    assert table.cause == "energy table" and "array.mac" in table.text and "energy " in table.text
    (unknown,) = differences(numbers, replace(numbers, energy_pj=1.1 * numbers.energy_pj))
    assert "at the same counts, cycles and prices" in unknown.text
    (estimate,) = differences(numbers, replace(numbers, estimate_cycles=numbers.estimate_cycles + 1))
    assert estimate.cause == "estimate"


def test_drift_ends_with_1_and_update_shows_it_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "tiny.yaml"
    good = path.read_text(encoding="utf-8")
    path.write_text("# kept\n" + good.replace("cycles: ", "cycles: 1", 1), encoding="utf-8")
    assert cli.main(["regress", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "drift          tiny.yaml" in said and "    cycles: " in said and "ok             ragged_lean.yaml" in said
    assert "1 of 2 mappings give their numbers" in said
    assert cli.main(["regress", str(folder), "--update"]) == 0
    said = capsys.readouterr().out
    assert said.index("    cycles: ") < said.index("written        tiny.yaml")
    assert path.read_text(encoding="utf-8") == "# kept\n" + good
    assert cli.main(["regress", str(path), "--json", str(folder / "r.json"), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    (entry,) = json.loads((folder / "r.json").read_text(encoding="utf-8"))["entries"]
    assert (entry["outcome"], entry["drift"]) == ("ok", [])


def test_a_plain_mapping_gets_its_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new.yaml"
    assert cli.main(["map", "16x16x16", "--hw", "tiny_4x4", "--yaml", str(path), "--quiet"]) == 0
    assert cli.main(["regress", str(tmp_path)]) == 1
    assert "no numbers yet new.yaml" in capsys.readouterr().out
    assert cli.main(["regress", str(tmp_path), "--update"]) == 0
    assert cli.main(["regress", str(tmp_path)]) == 0
    assert cli.main(["map", "16x16x16", "--hw", "tiny_4x4", "--mapping", str(path)]) == 0


def test_a_machine_of_ones_own_beside_the_mapping(folder: Path) -> None:
    text = "extends: tiny_4x4\ndescription: slower\nsource: a test\ndram:\n  latency: 50\n  source: a test\n"
    (folder / "machines").mkdir()
    (folder / "machines" / "slow.machine").write_text(text, encoding="utf-8")
    path = folder / "slow.yaml"
    tiny = (folder / "tiny.yaml").read_text(encoding="utf-8").partition("expected:")[0]
    own = tiny.replace("machine: tiny_4x4", "machine: slow")
    path.write_text(own + "expected:\n  hw: machines/slow.machine\n", encoding="utf-8")
    assert cli.main(["regress", str(path), "--update"]) == 0
    entry = regression.read_entry(path)
    assert entry.expected is not None and regression.drifts(entry) == []
    assert "hw: machines/slow.machine" in path.read_text(encoding="utf-8")


def test_changes_alone_are_of_the_mapping_s_own_machine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not of the default machine, on which it would take a sixth of the cycles."""
    replaced = ["regress", str(folder / "tiny.yaml"), "--allow-other-machine", "--set", "dram.latency=60"]
    alone, named = (([*replaced]), [*replaced, "--hw", "tiny_4x4"])
    cli.main(alone)
    first = capsys.readouterr().out
    cli.main(named)
    assert capsys.readouterr().out == first


def test_another_machine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = ["--allow-other-machine", "--hw", "tiny_4x4", "--set", "dram.latency=60"]
    assert cli.main(["regress", str(folder / "tiny.yaml"), *other]) == 1
    assert "the counts are the same: the timing has changed" in capsys.readouterr().out
    assert cli.main(["regress", str(folder / "ragged_lean.yaml"), *other]) == 1
    assert "cannot run     ragged_lean.yaml" in capsys.readouterr().out
    replay = [
        "map",
        "32x128x64",
        "--hw",
        "tiny_4x4",
        "--set",
        "dram.latency=60",
        "--mapping",
        str(folder / "tiny.yaml"),
    ]
    assert cli.main(replay) == 2
    assert cli.main([*replay, "--allow-other-machine"]) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "nowhere: is no folder of mappings"),
        (["empty"], "empty: holds no mapping"),
        (["bad"], "expected.cycles: must be >= 0, got -1"),
        (["part"], "has some of cycles, estimate_cycles"),
        (["tiny.yaml", "--hw", "gemmini"], "needs --allow-other-machine"),
        (["tiny.yaml", "--allow-other-machine"], "needs the other machine"),
        (["tiny.yaml", "--allow-other-machine", "--hw", "gemmini", "--update"], "--update has no meaning"),
        (["tiny.yaml", "--json", "tiny.yaml"], "is read by this command"),
    ],
)
def test_bad_input(
    arguments: list[str], says: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    tiny = Path("tiny.yaml").read_text(encoding="utf-8")
    for name, text in {"empty": None, "bad": "cycles: -1", "part": "cycles: 1"}.items():
        Path(name).mkdir()
        if text is not None:
            head = tiny.partition("expected:")[0]
            (Path(name) / "m.yaml").write_text(f"{head}expected:\n  {text}\n", encoding="utf-8")
    assert cli.main(["regress", *arguments]) == 2
    assert says in capsys.readouterr().err
