"""``tilewright validate --timeloop``: the reference file, single wrong values, and files that make no sense."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mapper.cli import main
from mapper.nest.model.accounting import TIMELOOP
from mapper.nest.model.cost import evaluate
from mapper.nest.model.from_mapping import batch_of
from mapper.validation.timeloop import compare
from mapper.validation.timeloop_runs import read_runs

REFERENCE = Path(__file__).resolve().parents[2] / "reference"
WHOLE = json.loads((REFERENCE / "timeloop_model.json").read_text())


def part(*names: str) -> dict[str, Any]:
    """Some runs of the reference, free to be changed."""
    chosen: dict[str, Any] = copy.deepcopy({**WHOLE, "runs": [run for run in WHOLE["runs"] if run["id"] in names]})
    return chosen


def written(tmp_path: Path, content: object) -> str:
    path = tmp_path / "runs.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_every_perfect_run_agrees_in_every_value(capsys: pytest.CaptureFixture[str]) -> None:
    comparison = compare(REFERENCE / "timeloop_model.json")
    assert (comparison.mismatches, comparison.problems) == ((), ())
    assert len(comparison.compared) == sum(run["counts_expected_exact"] for run in WHOLE["runs"]) == 53
    assert comparison.values > 70 * len(comparison.compared)
    assert main(["validate", "--timeloop", str(REFERENCE / "timeloop_model.json")]) == 0
    printed = capsys.readouterr().out
    assert "timeloop: 53 of 53 runs agree" in printed
    assert "RTL" not in printed


def test_imperfect_runs_are_those_of_the_true_problem() -> None:
    """197 rows are 197 rows, 1000 columns are 63 passes: arithmetic in plain numbers."""
    by_run = {row.run: (row.macs, row.cycles) for row in compare(REFERENCE / "timeloop_model.json").approximate}
    assert by_run == {
        "tl-079": (197 * 768 * 768, 197 * 48 * 48),
        "tl-081": (128 * 256 * 1000, 128 * 16 * 63),
        "tl-082": (128 * 100 * 256, 128 * 7 * 16),
    }


FIELDS = [
    (("levels", "dram", "tensors", "I", "reads"), "dram          input   reads"),
    (("levels", "accumulator", "tensors", "O", "fills_per_instance"), "accumulator   output  fills_per_instance"),
    (("levels", "register", "tensors", "W", "instances"), "register      weight  instances"),
    (("levels", "scratchpad", "tensors", "W", "tile_words"), "scratchpad    weight  tile_words"),
    (("levels", "dram", "cycles"), "dram          -       cycles"),
    (("cycles",), "-             -       cycles"),
]


@pytest.mark.parametrize(("keys", "line"), FIELDS)
def test_one_wrong_value_is_one_line(
    keys: tuple[str, ...], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = part("tl-003", "tl-057")
    place = content["runs"][0]["result"]
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] += 2
    assert main(["validate", "--timeloop", written(tmp_path, content)]) == 1
    printed = capsys.readouterr().out
    (printed_row,) = [row for row in printed.splitlines() if row.startswith("tl-003")]
    assert line in printed_row and f"{place[keys[-1]]:,}" in printed_row and f"{place[keys[-1]] - 2:,}" in printed_row
    assert "1 of 2 runs agree" in printed and "1 values differ in 1 runs" in printed


@pytest.mark.parametrize(("key", "factor"), [("energy_pj", 1 + 2e-6), ("utilization", 1 - 2e-6)])
def test_ratios_must_agree_to_a_millionth(key: str, factor: float, tmp_path: Path) -> None:
    content = part("tl-003")
    content["runs"][0]["result"][key] *= factor
    assert main(["validate", "--timeloop", written(tmp_path, content)]) == 1
    content["runs"][0]["result"][key] /= 1 + (factor - 1) * 0.8
    assert main(["validate", "--timeloop", written(tmp_path, content)]) == 0


def rename(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(run: dict[str, Any]) -> None:
        run["mapping"] = json.loads(json.dumps(run["mapping"]).replace(f'"{old}"', f'"{new}"'))

    return change


BAD = [
    (lambda run: run.update(arch="gemmini17"), "tl-003: arch: unknown 'gemmini17'"),
    (rename("scratchpad", "scratchpod"), "tl-003: mapping: unknown level 'scratchpod'; did you mean 'scratchpad'?"),
    (rename("W", "V"), "tl-003: mapping.register: unknown tensor 'V'; use I, W, O"),
    (rename("M", "Q"), "tl-003: mapping.accumulator: unknown dimension 'Q'; the problem has M, K, N"),
    (rename("x", "z"), "tl-003: mapping.accumulator: axis 'z' must be x (columns) or y (rows)"),
    (lambda run: run.pop("problem"), "tl-003: problem: missing"),
    (lambda run: run["mapping"]["levels"][0].pop("keep"), "tl-003: mapping.levels.0.keep: missing"),
    (lambda run: run["result"]["levels"]["dram"]["tensors"]["I"].pop("fills"), "tensors.I.fills: missing"),
    (lambda run: run["mapping"]["levels"].pop(), "tl-003: mapping: level register missing"),
    (
        lambda run: run["problem"].update(M=500),
        "tl-003: mapping: the loops over M (4 x 128) cover 512 elements; the problem",
    ),
    (lambda run: run["problem"].update(R=3), "tl-003: problem: needs the dimensions K, M, N, has M, K, N, R"),
    (
        lambda run: run["mapping"]["levels"][0]["temporal"].append(["K", 0]),
        "tl-003: mapping.dram: bound of K must be an int",
    ),
    (
        lambda run: (
            run["mapping"]["levels"][2].update(spatial=[["N", 32, "x"], ["K", 16, "y"]])
            or run["problem"].update(N=1536)
        ),
        "tl-003: no legal loop nest for tl-003 on gemmini16_sp256_acc64",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_a_bad_run_is_named_and_the_others_run(
    change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = part("tl-003", "tl-057")
    change(content["runs"][0])
    assert main(["validate", "--timeloop", written(tmp_path, content)]) == 2
    printed = capsys.readouterr().out
    assert message in printed
    assert "1 of 1 runs agree" in printed


def test_a_misspelt_rate_is_not_an_unlimited_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = part("tl-057")
    level = content["architectures"]["gemmini16_sp256_acc64"]["levels"]["dram"]
    level["shared_read_write_word_per_cycle"] = level.pop("shared_read_write_words_per_cycle")
    assert main(["validate", "--timeloop", written(tmp_path, content)]) == 2
    assert "did you mean 'shared_read_write_words_per_cycle'?" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "architectures and runs missing"),
        ({"runs": []}, "architectures missing"),
        ({"architectures": {}, "runs": {}}, "runs a list"),
        ({"architectures": {}, "runs": []}, "no runs"),
        ('{"runs": [], "runs": []}', "key 'runs' is given twice"),
        ('{"runs": NaN}', "NaN is no number"),
    ],
)
def test_files_without_anything_to_run(
    content: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "--timeloop", written(tmp_path, content)]) == 2
    assert message in capsys.readouterr().err


def test_runs_that_are_no_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = part("tl-057")
    content["runs"] += [7, {"id": 5}, copy.deepcopy(content["runs"][0])]
    content["architectures"]["other"] = {"array_rows": 16}
    assert main(["validate", "--timeloop", written(tmp_path, content)]) == 2
    printed = capsys.readouterr().out
    for line in ("runs[1]: ", "runs[2]: ", "tl-057: the id occurs twice", "architectures.other: levels: missing"):
        assert line in printed


def test_comparison_as_json(tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    assert main(["validate", "--timeloop", written(tmp_path, part("tl-003", "tl-079")), "--json", str(target)]) == 0
    document = json.loads(target.read_text())
    assert document["runs"] == ["tl-003"] and [row["run"] for row in document["approximate"]] == ["tl-079"]


def test_what_does_not_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, part("tl-003"))
    assert main(["validate", "--timeloop", file, "--plot", str(tmp_path / "a.png")]) == 2
    assert main(["validate", "--timeloop", file, "--rtl", file, "--json", str(tmp_path / "a.json")]) == 2
    assert main(["validate", "--timeloop", str(tmp_path / "nowhere.json")]) == 2
    assert "nowhere.json: cannot be read" in capsys.readouterr().err


def test_any_depth_and_any_tensors_of_the_format(tmp_path: Path) -> None:
    """A batched product with spatial loops at two levels: per-column accumulators under a row of scratchpads."""
    content = part("tl-003")
    content["meta"]["tensors"] = {"I": ["B", "M", "K"], "W": ["B", "K", "N"], "O": ["B", "M", "N"]}
    run = content["runs"][0]
    run["problem"]["B"] = 3
    levels = run["mapping"]["levels"]
    levels[0]["temporal"].insert(0, ["B", 3])
    levels[1]["spatial"] = [entry for entry in levels[2]["spatial"] if entry[2] == "x"]
    levels[2]["spatial"] = [entry for entry in levels[2]["spatial"] if entry[2] == "y"]
    accumulator = content["architectures"][run["arch"]]["levels"]["accumulator"]
    accumulator.update(instances=16, capacity_words=1024, read_words_per_cycle=1, write_words_per_cycle=1)
    (parsed,) = read_runs(Path(written(tmp_path, content))).runs
    costs = evaluate(batch_of(parsed.mapping, parsed.problem, parsed.hierarchy), TIMELOOP)
    assert costs.cycles[0] == 3 * run["result"]["cycles"]
    assert costs.energy_pj[0] == pytest.approx(3 * run["result"]["energy_pj"])


def optima() -> list[Any]:
    content = json.loads((REFERENCE / "timeloop_optima.json").read_text())["exhaustive_optimum"]
    return [pytest.param(arch, layer, id=name) for arch, layers in content.items() for name, layer in layers.items()]


@pytest.mark.parametrize(("arch", "best"), optima())
def test_exhaustive_optima_to_the_last_digit(arch: str, best: dict[str, Any], tmp_path: Path) -> None:
    content = part("tl-003")
    content["runs"][0].update(arch=arch, problem=best["problem"], mapping=best["mapping"])
    (parsed,) = read_runs(Path(written(tmp_path, content))).runs
    costs = evaluate(batch_of(parsed.mapping, parsed.problem, parsed.hierarchy), TIMELOOP)
    assert costs.valid[0]
    assert (costs.cycles[0], costs.energy_pj[0], costs.edp[0]) == (best["cycles"], best["energy_pj"], best["edp"])
