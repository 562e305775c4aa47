"""``tilewright map``: searches, budgets, fronts, loop nests, mappings that are run again; and what makes no sense."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mapper import cli
from mapper.commands import nests
from mapper.mapping.mapping_file import read_mapping

SMALL = ["map", "64x96x80"]
NESTS = [*SMALL, "--mapspace", "loop-nest", "--set", "l2=null"]


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert cli.main(arguments) == code
    return capsys.readouterr().out


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """One clear line and code 2."""
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("tilewright: ")
    return line


def test_the_door_knows_the_same_names() -> None:
    assert tuple(nests.ACCOUNTINGS) == cli.ACCOUNTINGS


@pytest.mark.parametrize("search", cli.SEARCHES)
def test_every_search_finds_a_mapping_and_says_what_it_proved(search: str, capsys: pytest.CaptureFixture[str]) -> None:
    budget = [] if search in ("optimal", "exhaustive") else ["--budget", "300", "--seed", "3"]
    out = printed([*SMALL, "--search", search, *budget], capsys)
    assert ("optimal: " if not budget else "not proved: ") in out
    assert "matmul 64x96x80 on gemmini" in out
    if budget:
        assert "300 evaluated" in out
        assert re.search(r"at most \d+\.\d% above", " ".join(out.split()))


def test_a_searched_mapping_is_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed([*SMALL, "--search", "genetic", "--budget", "200", "--json", str(tmp_path / "r.json")], capsys)
    search = json.loads((tmp_path / "r.json").read_text())["searches"]["matmul"]
    assert (search["search"], search["status"], search["evaluated"]) == ("genetic", "budget", 200)
    assert search["gap"] == pytest.approx(search["value"] / search["lower_bound"] - 1)


def test_workers_and_seed_give_the_same_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for workers in ("1", "2"):
        target = tmp_path / f"{workers}.yaml"
        printed([*SMALL, "--search", "random", "--budget", "5000", "--workers", workers, "--yaml", str(target)], capsys)
        texts.append(target.read_text())
    assert texts[0] == texts[1]


def test_a_written_mapping_runs_again_to_the_same_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "best.yaml")
    first = printed([*SMALL, "--objective", "edp", "--yaml", target], capsys)
    second = printed([*SMALL, "--mapping", target], capsys)
    assert f"fixed: {target}, not searched" in second
    assert first[first.index("matmul 64") :] == second[second.index("matmul 64") :]


def test_finalists_are_simulated_and_the_best_of_them_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The total of the run is the winner's, which is simulated on cold caches as well."""
    out = printed([*SMALL, "--finalists", "3"], capsys)
    (winner,) = re.findall(r"^ +1\. .* ([\d,]+) +[+-]\d", out, flags=re.MULTILINE)
    assert re.search(r"\d+ finalists by latency", out)
    assert re.search(rf"^total +{winner} ", out, flags=re.MULTILINE)


def test_finalists_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(
        ["run", "gpt2", "--phase", "decode", "--context", "8", "--hw", "gemmini_ibert", "--finalists", "2"], capsys
    )
    assert re.search(r"finalists: \d+ to \d+ simulated for each matmul; other than the best by the estimate: ", out)


@pytest.mark.parametrize("space", [SMALL, NESTS], ids=["hardware-loop", "loop-nest"])
def test_fronts(space: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "front.json"
    out = printed([*space, "--objective", "pareto", "--json", str(target)], capsys)
    assert "optimal: the whole front" in out
    front = json.loads(target.read_text())["front"]
    assert f"{len(front)} mapping" in out
    cycles, energy = ([point[key] for point in front] for key in ("cycles", "energy_pj"))
    assert cycles == sorted(set(cycles))
    assert energy == sorted(set(energy), reverse=True)


def test_nests_are_proved_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Energy by memory and the words add up; the written nest gives the same bits again."""
    yaml, report, again = (tmp_path / name for name in ("nest.yaml", "nest.json", "again.json"))
    out = printed([*NESTS, "--objective", "edp", "--yaml", str(yaml), "--json", str(report)], capsys)
    for expected in ("optimal: least EDP, proved", "mappings covered", "classes of loop orders", "reads", "EDP"):
        assert expected in out
    assert "Gemmini cannot execute this nest" in out or "--mapspace hardware-loop simulates" in out
    first = json.loads(report.read_text())
    assert first["energy_pj"] == pytest.approx(sum(first["energy_pj_by_memory"].values()), rel=1e-12)
    assert first["words"]["array"]["weight"]["reads"] == first["macs"] == 64 * 96 * 80
    printed([*NESTS, "--mapping", str(yaml), "--json", str(again)], capsys)
    second = json.loads(again.read_text())
    for key in ("cycles", "energy_pj", "edp_js", "words", "footprint_words", "mapping"):
        assert second[key] == first[key]


@pytest.mark.parametrize("accounting", cli.ACCOUNTINGS)
@pytest.mark.parametrize("search", ["random", "annealing", "genetic"])
def test_searched_nests_come_close_to_the_proved_ones(
    search: str, accounting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = {}
    for name, budget in (("optimal", []), (search, ["--budget", "4000"])):
        target = tmp_path / f"{name}.json"
        arguments = [*NESTS, "--objective", "edp", "--accounting", accounting, "--search", name, *budget]
        printed([*arguments, "--json", str(target)], capsys)
        value[name] = json.loads(target.read_text())["search"]["value"]
    assert value["optimal"] <= value[search] * (1 + 1e-12)
    if search != "random":
        assert value[search] <= 1.05 * value["optimal"]


def test_constraints_fix_parts_of_a_nest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = tmp_path / "limits.yaml"
    limits.write_text("levels:\n  dram: {tile: {m: 32}, order: nmk}\n")
    target = tmp_path / "nest.yaml"
    printed([*NESTS, "--constraints", str(limits), "--yaml", str(target)], capsys)
    outer = read_mapping(target).level("dram").temporal
    assert [loop.dim for loop in outer] == ["n", "m", "k"]
    assert outer[1].tile == 32


def test_a_budget_leaves_a_gap(capsys: pytest.CaptureFixture[str]) -> None:
    """One row of thousands: nothing can be proved."""
    large = ["map", "512x3072x768", "--mapspace", "loop-nest", "--set", "l2=null", "--objective", "edp"]
    assert "not proved: end of the budget; at most" in printed([*large, "--budget", "1"], capsys)


def test_a_budget_of_the_proved_search(capsys: pytest.CaptureFixture[str]) -> None:
    """Thousands of candidates have bounds below what ten of them cost."""
    out = " ".join(printed(["map", "512x768x768", "--budget", "10"], capsys).split())
    assert "not proved: least latency of 10 evaluated of" in out
    assert "above what is possible at all" in out


def test_an_interrupted_search_prints_its_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after the first batch: the best so far with its gap, the file, code 130, no simulation."""
    from mapper.search.driver import _Drive

    step = _Drive.step

    def once(self: _Drive, *rest: object) -> bool:
        if self.evaluated:
            raise KeyboardInterrupt
        return step(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(_Drive, "step", once)
    target = tmp_path / "best.yaml"
    for space in (SMALL, NESTS):
        out = printed([*space, "--search", "genetic", "--yaml", str(target)], capsys, code=130)
        assert "interrupted" in out
        assert "above what is possible" in " ".join(out.split())
        assert read_mapping(target).dims == {"m": 64, "k": 96, "n": 80}
        target.unlink()


@pytest.mark.parametrize("budget", ["0", "-5", "0s", "-1s", "many", "3 parsecs", "1e3", ""])
@pytest.mark.parametrize("space", [SMALL, NESTS], ids=["hardware-loop", "loop-nest"])
def test_budgets_that_make_no_sense(space: list[str], budget: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "budget" in refused([*space, "--search", "random", f"--budget={budget}"], capsys)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([*SMALL, "--accounting", "timeloop"], "--accounting needs --mapspace loop-nest"),
        ([*SMALL, "--constraints", "x.yaml"], "--constraints needs --mapspace loop-nest"),
        ([*SMALL, "--factors", "perfect"], "--factors needs --mapspace loop-nest"),
        ([*SMALL, "--seed", "1"], "--seed has no effect on --search optimal"),
        ([*SMALL, "--search", "exhaustive", "--seed", "1"], "--seed has no effect"),
        ([*SMALL, "--search", "random", "--seed", "-1"], "seed=-1"),
        ([*SMALL, "--workers", "2"], "--workers has no effect on --search optimal"),
        ([*SMALL, "--search", "random", "--workers", "0"], "workers=0"),
        ([*SMALL, "--finalists", "257"], "--finalists 257: must be 0 to 256"),
        ([*SMALL, "--finalists", "2", "--search", "random"], "--finalists needs --search optimal"),
        ([*SMALL, "--finalists", "2", "--objective", "pareto"], "--finalists needs"),
        ([*SMALL, "--finalists", "2", "--budget", "9"], "--budget has no effect with --finalists"),
        ([*SMALL, "--objective", "pareto", "--yaml", "x.yaml"], "--yaml is for one mapping"),
        ([*SMALL, "--objective", "pareto", "--trace", "x.json"], "--trace is for one mapping"),
        ([*SMALL, "--mapping", "gemmini_auto", "--search", "random"], "nothing is searched"),
        ([*SMALL, "--mapping", "gemmini_outo"], "did you mean 'gemmini_auto'"),
        ([*SMALL, "--mapping", "missing.yaml"], "nor a file"),
        ([*NESTS, "--mapping", "gemmini_auto"], "is a hardware loop"),
        ([*NESTS, "--finalists", "2"], "take --mapspace hardware-loop"),
        ([*NESTS, "--trace", "x.json"], "--trace needs a simulation"),
        ([*NESTS, "--explain"], "--explain needs a simulation"),
        ([*NESTS, "--search", "exhaustive"], "too many to walk"),
        ([*NESTS, "--accounting", "timeloop", "--factors", "imperfect"], "perfect factors only"),
        ([*NESTS, "--constraints", "missing.yaml"], "missing.yaml"),
        ([*SMALL, "--units", "m=1"], "--units needs --mapspace loop-nest"),
        ([*NESTS, "--units", "q=1"], "unknown dimension 'q'; there are m, k, n"),
        ([*NESTS, "--units", "m=0"], "m=0: must be at least 1"),
        ([*NESTS, "--units", "m=1,m=2"], "m is given twice"),
        ([*NESTS, "--units", "m:1"], "as in m=1,k=16,n=16"),
        ([*NESTS, "--units", "k=24"], "24 must divide or be a multiple of 16"),
        ([*NESTS, "--units", "m=1", "--factors", "perfect"], "--units has no effect with perfect factors"),
        ([*NESTS, "--mapping", "missing.yaml", "--units", "m=1"], "nor a file"),
        (["map", "65536x64x64", *NESTS[2:], "--units", "m=1"], "65,536 sizes of tiles in units of 1, more than 16,384"),
        (["map", "65536x65536x65536", *NESTS[2:4], "--search", "random"], "take coarser units"),
    ],
)
def test_options_that_make_no_sense_together(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in refused(arguments, capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_mapping_for_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both sides are named: the problem, the machine, and a nest whose levels the machine has not."""
    loop, nest = str(tmp_path / "loop.yaml"), str(tmp_path / "nest.yaml")
    printed([*SMALL, "--yaml", loop], capsys)
    printed([*NESTS, "--yaml", nest], capsys)
    said = refused(["map", "64x96x96", "--mapping", loop], capsys)
    assert "m=64 k=96 n=80" in said and "m=64 k=96 n=96" in said
    said = refused([*SMALL, "--hw", "gemmini_chip", "--mapping", loop], capsys)
    assert "'gemmini'" in said and "'gemmini_chip'" in said
    said = refused([*SMALL, "--mapping", nest], capsys)
    assert "'gemmini + l2=null'" in said and "'gemmini'" in said


def test_a_nest_is_no_hardware_loop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for by name it is refused; otherwise the file decides."""
    nest = str(tmp_path / "nest.yaml")
    printed([*NESTS, "--yaml", nest], capsys)
    arguments = [*SMALL, "--set", "l2=null", "--mapping", nest]
    assert "not a hardware loop" in refused([*arguments, "--mapspace", "hardware-loop"], capsys)
    assert "estimated by formulas" in printed(arguments, capsys)


def test_a_mapping_that_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tile of the whole problem in a scratchpad of 64 rows: the inequality is shown."""
    nest = tmp_path / "nest.yaml"
    printed([*NESTS, "--yaml", str(nest)], capsys)
    wide = re.sub(
        r"^machine: .*", "machine: gemmini + l2=null, scratchpad.capacity=1 KiB", nest.read_text(), flags=re.M
    )
    nest.write_text(wide)
    assert cli.main([*NESTS, "--set", "scratchpad.capacity=1 KiB", "--mapping", str(nest)]) == 2
    said = capsys.readouterr().err
    assert re.search(r"scratchpad: .*needs [\d,]+ words > 1,024", said)


def test_a_nest_without_its_operands_in_dram_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nest = tmp_path / "nest.yaml"
    printed([*NESTS, "--yaml", str(nest)], capsys)
    nest.write_text(nest.read_text().replace("  - input\n", "", 1))
    assert "dram must keep input too" in refused([*NESTS, "--mapping", str(nest)], capsys)


@pytest.mark.parametrize(
    ("shape", "given", "units"),
    [
        ("1024x96x80", [], {"m": 1, "k": 16, "n": 16}),
        ("1025x96x80", [], {"m": 16, "k": 16, "n": 16}),
        ("65536x65536x20000", [], {"m": 64, "k": 64, "n": 64}),
        ("64x96x80", ["--units", "m=4,k=8"], {"m": 4, "k": 8, "n": 16}),
    ],
)
def test_units_are_those_of_the_size_or_as_given(
    shape: str, given: list[str], units: dict[str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At most 1,024 per dimension; said in the proof and in the file."""
    out = printed(["map", shape, *NESTS[2:], *given, "--json", str(tmp_path / "r.json")], capsys)
    steps = ", ".join(f"{dim} {unit}" for dim, unit in units.items())
    assert f"holds for tiles of any size in units of {steps}," in " ".join(out.split())
    assert json.loads((tmp_path / "r.json").read_text())["search"]["units"] == units


@pytest.mark.parametrize("search", cli.SEARCHES)
def test_a_problem_without_end_is_refused_at_once(search: str, capsys: pytest.CaptureFixture[str]) -> None:
    """2,147,483,647 rows in 512 steps: the least tile does not fit, and that is said with its bound."""
    budget = [] if search == "optimal" else ["--budget", "10"]
    assert cli.main(["map", "2147483647x1x1", *NESTS[2:], "--search", search, *budget]) == 2
    assert "accumulator: the smallest tile of output needs 67,108,864 words > 16,384" in capsys.readouterr().err


@pytest.mark.parametrize("search", ["optimal", "random"])
def test_an_interrupt_before_anything_was_evaluated(
    search: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mapper.search.exact.loop_nests.search_class", interrupt)
    monkeypatch.setattr("mapper.nest.mapspace.nest_space.NestSpace.sample", interrupt)
    assert cli.main([*NESTS, "--search", search, "--yaml", str(tmp_path / "b.yaml")]) == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "tilewright: interrupted; nothing has been evaluated yet\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", ["9" * 5_000 + "x1x1", "1x٣x3", "99999999999x1x1"], ids=["long", "arabic", "large"])
def test_shapes_that_are_no_numbers_of_ten_digits(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is no matmul: write MxKxN" in refused(["map", shape], capsys)


def test_constraints_that_contradict_are_named_with_their_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("levels: {scratchpad: {tile: {q: 4}}}\n")
    assert cli.main([*NESTS, "--constraints", str(rules)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"tilewright: {rules}:" and "scratchpad.tile.q: unknown dimension" in second
    rules.write_text("levels: {scratchpad: {tile: {m: 8}}, accumulator: {tile: {m: 16}}}\n")
    assert refused([*NESTS, "--constraints", str(rules)], capsys).startswith(f"tilewright: {rules}: contradictory")
