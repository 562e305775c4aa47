"""``tilewright plot``: every kind from the file of a run, and one line for what cannot be drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mapper import cli
from mapper.commands.plot import DRAWN
from mapper.commands.plot_options import OF_RUNS, OF_STORES


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("run") / "run.json"
    command = ["map", "64x64x64", "--finalists", "0", "--json", str(file), "--timeline", "--quiet"]
    assert cli.main(command) == 0
    return file


@pytest.mark.parametrize("kind", OF_RUNS)
def test_every_kind_is_drawn_the_same_every_time(kind: str, run: Path, tmp_path: Path) -> None:
    for name in ("first.svg", "second.svg"):
        assert cli.main(["plot", kind, str(run), "-o", str(tmp_path / name)]) == 0
    text = (tmp_path / "first.svg").read_text()
    assert "</svg>" in text and text == (tmp_path / "second.svg").read_text()
    assert set(DRAWN) == set(OF_RUNS)


def test_sizes_and_windows(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "timeline.pdf"
    command = ["plot", "timeline", str(run), "-o", str(target), "--size", "paper", "--window", "0:2000"]
    assert cli.main(command) == 0
    assert target.read_bytes().startswith(b"%PDF")


def test_every_command_draws_at_paper_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Seven inches at 300 dots each: the width is in a PNG's bytes 16 to 19."""
    shape = ["map", "16x16x16", "--finalists", "0", "--quiet", "--plot", str(tmp_path / "map.png"), "--size", "paper"]
    assert cli.main(shape) == 0
    assert int.from_bytes((tmp_path / "map.png").read_bytes()[16:20], "big") == 2100
    for kind in ("png", "svg", "pdf"):
        assert cli.main(["study", "partition", "--format", kind, "--out", str(tmp_path), "--size", "paper"]) == 0
    capsys.readouterr()
    assert (tmp_path / "partition.pdf").read_bytes().startswith(b"%PDF")
    assert "</svg>" in (tmp_path / "partition.svg").read_text()
    assert int.from_bytes((tmp_path / "partition.png").read_bytes()[16:20], "big") == 2100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["timeline", "--window", "5:5"], "--window 5:5: is empty"),
        (["timeline", "--window", "999999:1000000"], "nothing runs in the window 999999:1000000"),
        (["roofline", "--window", "0:5"], "--window is for timeline and occupancy, not for roofline"),
    ],
)
def test_pictures_of_nothing_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    kind, *more = arguments
    assert cli.main(["plot", kind, str(run), "-o", str(tmp_path / "x.png"), *more]) == 2
    assert words in (error := capsys.readouterr().err) and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "tilewright.report/9"}, "schema 'tilewright.report/9', not 'tilewright.report/1'"),
        ({"timeline": None}, "timeline: is 'None', which no report has there"),
        ({"simulation": {}}, "simulation.name: missing"),
    ],
)
def test_other_documents_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], words: str
) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**json.loads(run.read_text()), **change}))
    assert cli.main(["plot", "timeline", str(other), "-o", str(tmp_path / "x.png")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"tilewright: {other}: ") and words in error and error.count("\n") == 1


def test_a_run_without_timeline_says_what_to_do(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(run.read_text())
    del document["timeline"]
    short = tmp_path / "short.json"
    short.write_text(json.dumps(document))
    assert cli.main(["plot", "occupancy", str(short), "-o", str(tmp_path / "x.png")]) == 2
    assert capsys.readouterr().err == f"tilewright: {short}: has no timeline; run it again with --timeline\n"


def test_a_timeline_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["map", "8x8x8", "--timeline"]) == 2
    assert "--timeline needs --json" in capsys.readouterr().err


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    axes = "axes: {scratchpad.capacity: [4 KiB, 8 KiB], objective: [latency, energy]}"
    (folder / "small.yaml").write_text(f"model: 8x8x8\nmachine: tiny_4x4\n{axes}\n")
    target = folder / "small.sqlite"
    assert cli.main(["sweep", str(folder / "small.yaml"), "--store", str(target), "--no-cache"]) == 0
    return target


@pytest.mark.parametrize("kind", OF_STORES)
def test_every_kind_of_a_store_is_drawn(kind: str, store: Path, tmp_path: Path) -> None:
    assert cli.main(["plot", kind, str(store), "-o", str(tmp_path / "x.svg")]) == 0
    assert "</svg>" in (tmp_path / "x.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["heatmap", "--x", "objectiv"], "did you mean 'objective'"),
        (["heatmap", "--where", "objective == latency"], "a heat map needs two axes with several values"),
        (["front", "--where", "cycles < 0"], "no row has numbers in latency_s, energy_pj"),
        (["breakdown", "--x", "cycles"], "--x is for the store of a sweep"),
    ],
)
def test_what_a_store_cannot_show_is_told(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    kind, *more = arguments
    assert cli.main(["plot", kind, str(store), "-o", str(tmp_path / "x.png"), *more]) == 2
    assert words in (error := capsys.readouterr().err) and error.count("\n") == 1
