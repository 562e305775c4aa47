"""The main path from the command line, at small sizes: table, files, and the same bytes every time."""

from __future__ import annotations

import gc
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import hwconfigs
import workloads
from mapper import cli, pipeline
from mapper.commands.outputs import Output
from mapper.commands.progress import OperatorProgress
from mapper.commands.reporting import position_lines
from mapper.errors import MappingError
from mapper.mapping.hardware_loop import hardware_loop_of
from mapper.mapping.mapping_file import read_mapping

ROOT = Path(cli.__file__).parents[1]
SMALL = ["run", "bert-base", "--hw", "gemmini_ibert", "--seq", "16", "--finalists", "0"]
DECODE = ["run", "gpt2", "--hw", "gemmini_ibert", "--phase", "decode", "--context", "64", "--finalists", "0"]
"""Winners are the estimate's: who wins the contest is of no matter here."""


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


@pytest.mark.parametrize(
    ("model", "seq", "config", "says"),
    [("bert-base", 1024, 512, True), ("bert-base", 512, 512, False), ("bert-large", 513, 512, True)],
)
def test_longer_than_trained(model: str, seq: int, config: int, says: bool) -> None:
    lines = position_lines(workloads.build(model, seq=seq))
    assert lines == ([f"note: sequence {seq} is longer than the {config} positions {model} was trained with"] * says)


def test_longer_than_trained_in_decode(capsys: pytest.CaptureFixture[str]) -> None:
    """The new token is position 1025 of 1024; images and matmuls have no positions."""
    arguments = ["run", "gpt2", "--hw", "gemmini_ibert", "--phase", "decode", "--context", "1024", "--finalists", "0"]
    lines = printed(arguments, capsys).splitlines()
    assert lines[1] == "note: sequence 1025 is longer than the 1024 positions gpt2 was trained with"
    assert cli.main([*arguments, "--strict-positions"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "tilewright: gpt2: 1025 positions exceed max_positions=1024\n")
    assert position_lines(workloads.build("resnet50")) == []


def test_table_has_every_operator_and_the_total(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(SMALL, capsys)
    for name in ("scores", "softmax", "ffn1", "ffn_norm", "total of 12 blocks"):
        assert any(line.startswith(name) for line in text.splitlines())
    assert "latency" in text and "energy by unit" in text and "EDP" in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_host_kernel_without_a_cost_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A machine file without GELU's line takes 125 cycles per element and says so, in the text and in JSON."""
    shipped = (Path(hwconfigs.__file__).parent / "gemmini.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(shipped.replace("    gelu: 160\n", ""), encoding="utf-8")
    reports = []
    for name in (str(tmp_path / "mine.yaml"), "gemmini"):
        file = tmp_path / "r.json"
        text = printed(
            ["run", "bert-base", "--hw", name, "--seq", "16", "--finalists", "0", "--json", str(file)], capsys
        )
        reports.append((text, json.loads(file.read_text())))
    (told, default), (silent, named) = reports
    host = "on the host: no unit of this machine runs it"
    note = f"{host}; mine names no host.kernel_cycles.gelu: 125 per element, an estimate"
    assert f"ffn_activation: {note}" in " ".join(told.split())
    assert default["placements"]["ffn_activation"]["note"] == note
    assert "an estimate" not in silent
    assert named["placements"]["ffn_activation"]["note"] == host
    assert default["host_constants"]["operators"]["ffn_activation"] == "estimated"
    cycles = [
        next(part["cycles"] for part in report["simulation"]["operators"] if part["name"] == "ffn_activation")
        for report in (default, named)
    ]
    assert cycles[1] - cycles[0] == 16 * 3072 * (160 - 125)


def test_decode_is_bandwidth_bound_and_never_below_the_dram_floor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights and cache cross 8 bytes a cycle: (84,934,656 + 2 x 12 x 768 x 65) / 8 cycles at least."""
    text = printed([*DECODE, "--json", str(tmp_path / "r.json")], capsys)
    report = json.loads((tmp_path / "r.json").read_text())
    floor = -(-(84_934_656 + 2 * 12 * 768 * 65) // 8)
    assert report["limit"]["dram_floor_cycles"] == floor
    assert report["simulation"]["cycles"] >= floor
    assert report["estimate"]["cycles"] >= floor
    assert report["limit"]["kind"] == report["simulation"]["bound"] == "bandwidth"
    assert "bandwidth-bound" in text and f"{floor:,} cycles" in text


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("json") / "report.json"
    assert cli.main([*SMALL, "--json", str(path), "--set", "scratchpad.capacity=128 KiB"]) == 0
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def test_json_says_what_was_run(report: dict[str, Any]) -> None:
    assert report["schema"] == "tilewright.report/1"
    assert (report["workload"]["config"]["seq"], report["workload"]["blocks"]) == (16, 12)
    assert report["machine"]["scratchpad"]["capacity_bytes"] == 128 * 1024
    assert set(report["mappings"]) == {"q", "k", "v", "scores", "context", "out", "ffn1", "ffn2"}


@pytest.mark.parametrize("source", ["estimate", "simulation"])
def test_json_parts_sum_to_the_whole(report: dict[str, Any], source: str) -> None:
    whole = report[source]
    parts = whole["operators"]
    assert sum(part["macs"] for part in parts) * 12 == whole["macs"] == report["workload"]["macs"]
    assert sum(part["dram_bytes"] for part in parts) * 12 == whole["dram_bytes"]
    assert sum(part["energy_pj"] for part in parts) * 12 == pytest.approx(whole["energy_pj"])
    by_action = [pj for actions in whole["energy_pj_by_action"].values() for pj in actions.values()]
    assert sum(by_action) == pytest.approx(whole["energy_pj"])


def test_estimate_and_simulation_count_the_same_actions(report: dict[str, Any]) -> None:
    for expected, measured in zip(report["estimate"]["operators"], report["simulation"]["operators"], strict=True):
        assert (expected["name"], expected["counts"]) == (measured["name"], measured["counts"])


def test_files_are_the_same_in_two_processes(tmp_path: Path) -> None:
    """Different hash seeds, so that no order of a set can leak into a result."""
    contents = []
    for seed in ("1", "2"):
        place = tmp_path / seed
        place.mkdir()
        wanted = ["--json", "r.json", "--trace", "t.json.gz", "--plot", "p.svg"]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "mapper.cli", *SMALL, *wanted]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, check=True)
        contents.append({"stdout": done.stdout, **{path.name: path.read_bytes() for path in sorted(place.iterdir())}})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"stdout", "r.json", "t.json.gz", "p.svg"}


def test_trace_has_the_units_and_the_operators(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed([*SMALL, "--trace", str(tmp_path / "t.json.gz")], capsys)
    events = json.loads(gzip.decompress((tmp_path / "t.json.gz").read_bytes()))["traceEvents"]
    threads = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {"operators", "load", "execute", "store"} <= threads
    assert {event["name"] for event in events if event.get("cat") == "operator"} >= {"q", "softmax", "ffn_norm"}
    operators = {event["name"]: event for event in events if event.get("cat") == "operator"}
    for event in events:
        if event["ph"] == "X" and event["cat"] != "operator":
            around = operators[event["args"]["operator"]]
            assert around["ts"] <= event["ts"] + 1e-9
            assert event["ts"] + event["dur"] <= around["ts"] + around["dur"] + 1e-6


def test_plot_is_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed([*SMALL, "--plot", str(tmp_path / "p.png")], capsys)
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_mappings_of_a_changed_machine_are_not_those_of_the_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mapping.yaml"
    text = printed(["map", "64x64x64", "--set", "scratchpad.capacity=64 KiB", "--yaml", str(path)], capsys)
    assert "on gemmini + scratchpad.capacity=64 KiB: " in text
    read_mapping(path, machine="gemmini + scratchpad.capacity=64 KiB")
    with pytest.raises(MappingError, match="not 'gemmini'"):
        read_mapping(path, machine="gemmini")


def test_map_prints_and_writes_a_mapping_that_show_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mapping.yaml"
    text = printed(["map", "100x70x33", "--hw", "gemmini", "--objective", "energy", "--yaml", str(path)], capsys)
    nest = printed(["show", "mapping", str(path)], capsys)
    assert text.startswith(nest.rstrip("\n"))


def test_a_mapping_for_a_machine_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mapping.yaml"
    printed(["map", "64x64x64", "--yaml", str(path)], capsys)
    path.write_text(path.read_text().replace("machine: gemmini", "machine: gemini"))
    text = printed(["show", "mapping", str(path)], capsys)
    assert text.endswith("\n\nnote: machine 'gemini' is no preset; did you mean 'gemmini'?\n")


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    listed = printed(["list"], capsys)
    assert "bert-base" in listed and "gemmini_ibert" in listed
    assert "scratchpad.capacity_bytes" in printed(["show", "hw", "gemmini"], capsys)
    assert "total" in printed(["show", "model", "gpt2", "--phase", "decode"], capsys)
    assert "conv2d" in printed(["show", "model", "resnet50"], capsys)


def test_objectives_order_as_they_promise() -> None:
    """The estimate's best latency, energy and EDP are each found by the search that asked for it.

    Without an L2 the search and the final estimate are one number; with one, the final estimate knows the replay.
    """
    best = {
        goal: pipeline.map_matmul(64, 256, 128, "gemmini", objective=goal, overrides={"l2": None}).estimate
        for goal in cli.OBJECTIVES
    }
    assert min(best.values(), key=lambda report: report.cycles).cycles == best["latency"].cycles
    assert min(best.values(), key=lambda report: report.energy_pj).energy_pj == best["energy"].energy_pj
    assert min(best.values(), key=lambda report: report.edp_js).edp_js == best["edp"].edp_js


def test_interrupt_prints_what_is_known_and_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = OperatorProgress.__call__

    def interrupted(self: OperatorProgress, *arguments: Any) -> None:
        plain(self, *arguments)
        if len(self.finished) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(OperatorProgress, "__call__", interrupted)
    assert cli.main([*SMALL, "--json", str(tmp_path / "r.json")]) == 130
    captured = capsys.readouterr()
    assert "interrupted: 3 of 14 operators" in captured.out
    assert captured.err == "tilewright: interrupted\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sent", "code", "says"),
    [(signal.SIGINT, 130, "tilewright: interrupted\n"), (signal.SIGTERM, 143, "")],
)
def test_a_signal_ends_a_real_process(tmp_path: Path, sent: signal.Signals, code: int, says: str) -> None:
    process = at_work(tmp_path, "run bert-large --seq 4096 --json r.json", signal.default_int_handler)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, says)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_right_after_a_file_was_created_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the creation of the temporary file and the block that removes it no statement is safe from a signal."""
    plain = Output.__enter__

    def ended(self: Output) -> Output:
        plain(self)
        assert list(tmp_path.iterdir()) != []
        raise SystemExit(143)

    monkeypatch.setattr(Output, "__enter__", ended)
    with pytest.raises(SystemExit):
        cli.main([*SMALL, "--json", str(tmp_path / "r.json")])
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_job_in_the_background_of_a_script_is_not_interrupted(tmp_path: Path) -> None:
    """Shells start such jobs with SIGINT ignored: Ctrl-C ends what is in the foreground only, SIGTERM the others."""
    process = at_work(tmp_path, "map 512x768x768 --json r.json", signal.SIG_IGN)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def at_work(folder: Path, arguments: str, on_sigint: Any) -> subprocess.Popen[str]:
    """The command in a process of its own, past its checks, started as a parent does that treats SIGINT so.

    A child inherits that a signal is ignored, not the function that handles it: whatever started these tests, the one
    who starts the command here is known.
    """
    before = signal.signal(signal.SIGINT, on_sigint)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "mapper.cli", *arguments.split()],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    # The temporary output file shows that the command is at work.
    deadline = time.monotonic() + 30
    while not list(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


def test_explain_adds_a_table_of_causes(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed([*SMALL, "--explain"], capsys)
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("cycles by cause"))
    loads = lines[start].split().index("load") - len(["cycles", "by", "cause"])
    row = next(line for line in lines[start:] if line.startswith("ffn1"))
    shares = [float(share.rstrip("%")) for share in row.split()[1:]]
    bandwidth, latency = shares[loads + 1 : loads + 3]
    assert bandwidth + latency == pytest.approx(shares[loads], abs=0.2)
    assert sum(shares) - bandwidth - latency == pytest.approx(100, abs=0.6)
    assert max(map(len, lines)) <= 120


def test_the_library_s_mapping_can_be_compared() -> None:
    library = pipeline.map_matmul(512, 768, 768, "gemmini", search="gemmini_auto")
    (mapping,) = library.mappings.values()
    assert hardware_loop_of(mapping).tiles == (5, 48, 5), "gemmini_rtl.csv: 512x768x768 runs as 5x5x48"
    best = pipeline.map_matmul(512, 768, 768, "gemmini")
    assert best.simulation.cycles < library.simulation.cycles
    kept = pipeline.map_matmul(64, 64, 256, "gemmini_chip", search="gemmini_auto")
    assert hardware_loop_of(next(iter(kept.mappings.values()))).held
