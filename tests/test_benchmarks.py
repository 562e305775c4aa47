"""Benchmarks can be held against a second checkout: toy scripts in two folders, and rows that the real ones print."""

from __future__ import annotations

import argparse
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.report import Counts

FOLDER = Path(__file__).parent / "benchmarks"
SCRIPTS = sorted(
    path.name for path in FOLDER.glob("*.py") if path.name != "pairs.py" and "import pairs" in path.read_text("utf-8")
)
"""Those that take ``--against``; others print errors, not times."""

NAME = "QK^T, one head + 512 KiB L2, all keep sets [timeloop rules, ragged tiles]"
PRINTED = {
    "default_against_exact.py": (
        "more than 1% off: 0\nCPU seconds: default 20.5, exact 1,050.0, with searches 1,300.0\n",
        {"default": 20.5, "exact": 1050.0},
    ),
    "hardware_loop_search.py": (
        "machine  shape\ngemmini  512x64x512  9,020  156  0.072  0.030  0.055  0.159  0.5  14%\n",
        {
            "gemmini 512x64x512 latency": 0.072, "gemmini 512x64x512 energy": 0.03,
            "gemmini 512x64x512 edp": 0.055, "gemmini 512x64x512 front": 0.159,
        },
    ),
    "nest_kernel.py": (
        "default     two tiles   8,192 rows    8.00 M mappings/s\ndefault       one by one        20.00 k mappings/s\n",
        {"default two tiles 8,192 rows": 0.125, "default one by one": 0.05},
    ),
    "optimal_search.py": (
        f"{'QKV [default]':72s}   0.033 s of 0.2  optimal\n{NAME:72s}   1.250 s of 1.0 TOO SLOW optimal\n",
        {"QKV [default]": 0.033, NAME: 1.25},
    ),
    "peers.py": (
        "| FFN2 | edp | 1.5 uJ, 5,013,504, 7.8e+06, 0.35 s | 1.6 uJ, 4,841,472, 7.9e+06, 0.50 s | - |\n"
        "| bert_qk | 3.5 uJ, 65,536, 2.3e+05, 0.03 s | 3.5 uJ, 65,536, 2.3e+05, 64.00 s | 1.01 |\n",
        {"FFN2, edp": 0.35, "bert_qk, random search": 0.03},
    ),
    "simulation_speed.py": (
        "model seq\ngpt2   128 library  default    156    4.1   0.55 s     7.5    0.71 s 0.45% context\n",
        {"gpt2 128 library default: simulation": 0.55, "gpt2 128 library default: whole run": 0.71},
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``python tests/benchmarks/SCRIPT.py`` does."""
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_benchmark_reads_the_times_that_it_prints(script: str) -> None:
    benchmark = runpy.run_path(str(FOLDER / script), run_name="benchmark")
    printed, times = PRINTED[script]
    assert benchmark["read_seconds"](printed) == pytest.approx(times)


def checkout(root: Path, seconds: float) -> Path:
    """A checkout whose only benchmark says at once that it took some time."""
    script = root / "tests" / "benchmarks" / "toy.py"
    script.parent.mkdir(parents=True)
    script.write_text(f"import sys; print('toy', {seconds} * float(sys.argv[1]))\n", encoding="utf-8")
    return script


def read(printed: str) -> dict[str, float]:
    name, seconds = printed.split()
    return {name: float(seconds)}


def test_two_checkouts_run_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = checkout(tmp_path / "ours", 3.0)
    checkout(tmp_path / "before", 2.0)
    monkeypatch.setattr(sys, "argv", [str(script), "4", "--against", str(tmp_path / "before"), "--pairs", "2"])
    import pairs  # type: ignore[import-not-found]

    assert pairs.compared(str(script), read)
    captured = capsys.readouterr()
    table = captured.out.splitlines()
    assert table[1].split() == ["toy", "1.500", "1.500", "1.500", "8", "s"]
    assert [line[:16].strip() for line in table[2:]] == ["sum of the cases", "whole process"]
    assert captured.err.count("pair ") == 2


def test_rows_are_whole_processes_of_either_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Toy checkouts: one works, the other refuses, and one that takes too long is stopped."""
    import speed_rows  # type: ignore[import-not-found]

    for name, code in (("ours", "sum(range(10**6))"), ("other", "raise SystemExit(2)")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "toy.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(speed_rows, "ROOT", tmp_path / "ours")
    monkeypatch.setitem(speed_rows.ROWS, "toy", speed_rows.Row(("-c", "import toy"), cpu=0.5, memory=0.4))
    _, same = speed_rows.compare(["toy"], tmp_path / "ours", 2, 60.0)
    assert 0.2 < float(same.split()[3]) < 5.0
    assert same.split()[4] == "0.50"
    assert same.split()[-1] == "0.40"
    _, refused = speed_rows.compare(["toy"], tmp_path / "other", 2, 60.0)
    assert refused.endswith("other: exit code 2")
    assert refused.split()[2:4] == ["-", "-"]
    slow = speed_rows.Row(("-c", "import time; time.sleep(60)"))
    assert speed_rows.measured(slow, tmp_path / "ours", tmp_path, 1.0).why == "stopped after 1 s"


def test_without_a_second_checkout_nothing_is_compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import pairs

    monkeypatch.setattr(sys, "argv", ["toy.py", "4"])
    assert not pairs.compared("toy.py", read)
    monkeypatch.setattr(sys, "argv", ["toy.py", "4", "--against", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"there is no tests.benchmarks.toy\.py"):
        pairs.compared(str(checkout(tmp_path / "ours", 1.0)), read)


def test_the_default_is_as_good_as_its_rivals_on_a_few_machines() -> None:
    """A small version of ``winner.py``: machines and matmuls whose simulations are short."""
    winner = runpy.run_path(str(FOLDER / "winner.py"), run_name="benchmark")
    asked = argparse.Namespace(pairs=2, seed=5, first=1, seconds=0.023, reported=False)
    losses = [loss for bench, rng in winner["benches"](asked) for loss in winner["losses"](bench, rng)]
    assert {loss.rival.split(" of ")[0] for loss in losses} >= {"library", "other", "best"}
    assert [loss for loss in losses if loss.fraction > winner["BOUND"]] == []


@pytest.mark.parametrize(
    ("seed", "number"),
    [
        (60, 56),
        pytest.param(60, 124, marks=pytest.mark.slow),
        pytest.param(61, 157, marks=pytest.mark.slow),
        pytest.param(61, 174, marks=pytest.mark.slow),
        pytest.param(62, 305, marks=pytest.mark.slow),
    ],
)
def test_pairs_that_the_default_once_lost(seed: int, number: int) -> None:
    """A kind far from the best by the estimate, errors of similar tiles that differ, and energies far off."""
    winner = runpy.run_path(str(FOLDER / "winner.py"), run_name="benchmark")
    asked = argparse.Namespace(pairs=1, seed=seed, first=number, seconds=0.05, reported=False)
    ((bench, rng),) = winner["benches"](asked)
    assert bench.name.startswith(f"{number}: ")
    rows = [loss for loss in winner["losses"](bench, rng) if not loss.rival.startswith("half")]
    assert [loss for loss in rows if loss.fraction > winner["BOUND"]] == []


def test_winners_that_are_known_are_not_asked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    winner = runpy.run_path(str(FOLDER / "winner.py"), run_name="benchmark")
    asked: list[str] = []

    def losses(bench: argparse.Namespace, _: object) -> list[object]:
        asked.append(bench.name)
        return [winner["Loss"]("library", "latency", 0.001, bench.name)]

    all_losses = winner["all_losses"]
    monkeypatch.setitem(all_losses.__globals__, "losses", losses)
    monkeypatch.setitem(
        all_losses.__globals__,
        "benches",
        lambda options: ((argparse.Namespace(name=name), None) for name in options.names),
    )
    keep = tmp_path / "pairs"
    first = list(all_losses(argparse.Namespace(keep=keep, names=["a"])))
    both = list(all_losses(argparse.Namespace(keep=keep, names=["a", "b"])))
    assert both[:1] == first
    assert [loss.case for loss in both] == asked == ["a", "b"]


SMALL = {"name": "bert", "family": "bert", "layers": 2, "d_model": 64, "heads": 2, "d_ffn": 96}


def test_small_blocks_hold_end_to_end_with_the_best_fusion() -> None:
    """A small version of ``fused_end_to_end.py``, simulated and on numbers, and what it says of results that are not
    right."""
    benchmark = runpy.run_path(str(FOLDER / "fused_end_to_end.py"), run_name="benchmark")
    options = {"seq": 24, "search": "gemmini_auto"}
    row = benchmark["Row"](SMALL, options, SMALL, options)
    cells, problems = benchmark["simulated"](row, "path", "edp")
    assert problems == []
    assert float(cells.split("|")[4]) < 1.0
    cells, problems = benchmark["checked"](row, "path", "edp")
    assert problems == []
    assert int(cells.split("|")[1]) > 8
    result = benchmark["run"](SMALL, "gemmini_ibert", "latency", options)
    whole = result.simulation
    slower = replace(whole, cycles=2 * whole.cycles)
    assert list(benchmark["problems"](replace(result, simulation=slower))) == [
        "worse than unfused",
        f"{whole.name}: its energy is not that of its counts",
    ]
    fewer = replace(whole.by_op[0], counts=Counts())
    told = list(benchmark["problems"](replace(result, simulation=replace(whole, by_op=(fewer, *whole.by_op[1:])))))
    assert told == [
        f"{fewer.name}: counts of estimate and simulation differ",
        f"{fewer.name}: its energy is not that of its counts",
    ]
