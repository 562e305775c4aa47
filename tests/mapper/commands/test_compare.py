"""``tilewright compare``: machines, models, contexts and reports side by side, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mapper import cli
from mapper.reports.text import WIDTH

TINY = ["--model", "16x32x16"]


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["compare", *arguments]) == 0
    return capsys.readouterr().out


def complaint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["compare", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_machines_beside_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ratios are those of what each run says for itself."""
    file = tmp_path / "comparison.json"
    text = printed(["gemmini", "gemmini,array.size=32", "tiny_4x4", *TINY, "--json", str(file)], capsys)
    assert all(name in text for name in ("gemmini", "gemmini,array.size=32"[:20], "tiny_4x4"))
    assert max(map(len, text.splitlines())) <= WIDTH
    runs = json.loads(file.read_text(encoding="utf-8"))["runs"]
    assert [run["machine"] for run in runs] == ["gemmini", "gemmini + array.size=32", "tiny_4x4"]
    for run in runs:
        assert run["latency_ratio"] == pytest.approx(run["latency_s"] / runs[0]["latency_s"])
        assert run["edp_js"] == pytest.approx(run["energy_pj"] * 1e-12 * run["latency_s"])
        assert run["area_mm2"] > 0


def test_reports_beside_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A report that was written says the same as the run that it is of."""
    report, file = tmp_path / "report.json", tmp_path / "comparison.json"
    assert cli.main(["map", "16x32x16", "--hw", "tiny_4x4", "--json", str(report)]) == 0
    capsys.readouterr()
    printed([str(report), "16x32x16@tiny_4x4", "--json", str(file)], capsys)
    first, second = json.loads(file.read_text(encoding="utf-8"))["runs"]
    assert {**first, "run": ""} == {**second, "run": ""}


def test_energies_of_two_tables_are_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ratios of energies that are priced differently say as much of the tables as of the runs."""
    reports = []
    for table in ("horowitz_45nm", "conservative_22nm"):
        reports.append(str(tmp_path / f"{table}.json"))
        assert cli.main(["map", "16x32x16", "--hw", "tiny_4x4", "--energy", table, "--json", reports[-1]]) == 0
    capsys.readouterr()
    text = " ".join(printed(reports, capsys).split())
    assert "note: 2 tables of energies" in text
    assert "horowitz_45nm; " in text
    assert "note:" not in printed([reports[0], reports[0]], capsys)


def test_contexts_are_no_equal_work(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(["gpt2,context=4", "gpt2,context=8", "--phase", "decode", "--finalists", "0"], capsys)
    assert "note: not the same work" in text
    softmax = next(line for line in text.splitlines() if line.startswith("softmax"))
    assert softmax.split()[-1].startswith("x")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gemmini"], "compare needs at least two items"),
        (["gemmini", "tiny_4x4"], "gemmini is a machine: say with --model what it is to run"),
        (["gemini", "tiny_4x4", *TINY], "tilewright: gemini: no such machine; did you mean 'gemmini'?"),
        (["bert-bse@gemmini", "bert-base@gemmini", "--seq", "8"], "did you mean 'bert-base'?"),
        (["gemmini,contxt=5", "gemmini", *TINY], "gemmini,contxt=5: contxt: unknown field; did you mean 'context'?"),
        (["gemmini,array.sise=8", "gemmini", *TINY], "did you mean 'array.size'?"),
        (["gemmini,array.size", "gemmini", *TINY], "'array.size': must be KEY=VALUE"),
        (["@gemmini", "gemmini", *TINY], "write MODEL@MACHINE"),
        (["gone.json", "gemmini", *TINY], "gone.json: cannot be read: No such file or directory"),
        (["gemmini,array.size=0", "gemmini", *TINY], "gemmini,array.size=0: "),
        (
            ["gemmini,objective=pareto", "gemmini", *TINY],
            "gemmini,objective=pareto: objective: a point needs one mapping",
        ),
    ],
)
def test_bad_items(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = complaint(arguments, capsys)
    assert says in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"schema": "tilewright.front/1"}, "is no report of 'tilewright run --json': schema 'tilewright.front/1'"),
        ({"schema": "tilewright.report/1"}, "simulation: missing"),
        ({"schema": "tilewright.report/1", "simulation": {"macs": "many"}, "workload": {"name": "x"},
          "machine": {"name": "y"}}, "simulation.macs: is 'many', which no report has there"),
    ],
)  # fmt: skip
def test_documents_that_are_no_reports(
    document: object, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert says in complaint([str(path), "gemmini", *TINY], capsys)


def test_options_of_runs_are_of_no_use_to_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = str(tmp_path / "report.json")
    assert cli.main(["map", "8x8x8", "--hw", "tiny_4x4", "--finalists", "0", "--json", report]) == 0
    capsys.readouterr()
    assert "--seq, --set: of no use" in complaint([report, report, "--seq", "4", "--set", "dram.latency=3"], capsys)
    document = json.loads(Path(report).read_text(encoding="utf-8"))
    for key, value in (("cycles", 1e999), ("macs", -1), ("utilisation", 3), ("latency_s", True), ("cycles", 10**30)):
        changed = {**document, "simulation": {**document["simulation"], key: value}}
        (tmp_path / "bad.json").write_text(json.dumps(changed), encoding="utf-8")
        assert f"simulation.{key}" in complaint([report, str(tmp_path / "bad.json")], capsys)
