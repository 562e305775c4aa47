"""The architecture search: the table, the space, resuming, objective files; the whole study with ``-m slow``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mapper import cli, pipeline
from mapper.graph.fusion_cuts import fusion_groups
from mapper.studies import nas, nas_report, nas_search
from mapper.studies.nas import BASELINE, EXAMPLE, ColdCosts, Encoder, EncoderLayer, Price
from mapper.studies.nas_search import Evolution, NasError


def priced() -> dict[nas.Key, Price]:
    """A made table, whose costs grow with the sizes in the key."""
    return {
        key: Price(size, 2.0 * size, size, 2.0 * size)
        for key in nas.operators()
        for size in [sum(int(part.split("=")[1]) for part in key[1:])]
    }


def evolved(rounds: int, state: Path | None = None, seed: int = 3) -> Evolution:
    search = Evolution(seed, state=state, table=priced())
    for _ in range(rounds):
        nas_search._evolve(search, 12)
    return search


def test_the_space_has_284_operators_and_the_paper_s_example() -> None:
    assert len(set(nas.operators())) == len(nas.operators()) == 284
    assert (BASELINE.macs, EXAMPLE.macs) == (24_159_191_040, 12_733_906_944)
    for network in (BASELINE, EXAMPLE):
        assert {key for key, _ in nas.of_network(network)} <= set(nas.operators())


def test_an_entry_is_what_the_operator_costs_in_any_block() -> None:
    """Of the operators that are quick to price; all of 50 random networks with ``-m slow``."""
    costs = ColdCosts()
    groups = fusion_groups(nas.block(480, 6, 896), costs.spec)
    for key in (("softmax", "heads=6"), ("attention_norm", "width=480"), ("attention_add", "width=480")):
        (group,) = (one for one in groups if one.name == key[0])
        assert costs.entry(key) == costs.group(group, groups)
    assert costs.entry(("gelu", "hidden=896")) == nas.FREE, "it is applied by the stores of ffn1"


def test_survivors_are_the_pareto_front() -> None:
    search = evolved(5)
    front = search.candidates()
    assert search.evaluated == 60 and 1 < len(front) <= 12
    for one in front:
        for other in front:
            assert one is other or one.loss < other.loss or one.price.edp < other.price.edp
    assert [one.loss for one in front] == sorted(one.loss for one in front)


def test_a_seed_repeats_and_another_differs() -> None:
    assert evolved(4).population == evolved(4).population
    assert evolved(4).population != evolved(4, seed=4).population


def test_a_killed_search_goes_on_to_the_same_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nas_search, "ColdCosts", lambda: Asked())
    straight = Evolution(7)
    steps = list(nas_search.run(straight, rounds=5, population=8))
    assert len(steps) == 284 + 5
    state = tmp_path / "state.json"
    cut = nas_search.run(Evolution(7, state=state), rounds=5, population=8)
    for _ in range(286):
        next(cut)
    cut.close()
    resumed = Evolution(7, state=state)
    list(nas_search.run(resumed, rounds=5, population=8))
    assert resumed.population == straight.population
    assert (resumed.rounds_done, resumed.evaluated) == (5, 40)
    with pytest.raises(NasError, match="seed is 7, not 8"):
        next(nas_search.run(Evolution(8, state=state)))
    document = json.loads(state.read_text(encoding="utf-8"))
    document["table"]["scores heads=4"][0] += 1
    state.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(NasError, match="another version of the model made it; scores heads=4 costs something else now"):
        next(nas_search.run(Evolution(7, state=state)))
    state.write_text("{", encoding="utf-8")
    with pytest.raises(NasError, match="is no state of a search"):
        next(nas_search.run(Evolution(7, state=state)))


class Asked:
    """Costs of a made table."""

    def entry(self, key: nas.Key) -> Price:
        return priced()[key]


def losses(path: Path, left_out: str = "") -> Path:
    lines = ["choice,loss", *(f"layers={count},{6 - count}" for count in nas.LAYERS)]
    lines += [f"width={width},{768 - width}" for width in nas.WIDTHS] + [f"heads={heads},0" for heads in nas.HEADS]
    lines += [f"hidden={hidden},{(3072 - hidden) / 1000}" for hidden in nas.HIDDEN]
    path.write_text("\n".join(line for line in lines if not line.startswith(f"{left_out},")), encoding="utf-8")
    return path


def test_an_objective_file_gives_the_loss_and_names_what_is_missing(tmp_path: Path) -> None:
    loss = nas_search.read_loss(losses(tmp_path / "loss.csv"))
    assert loss(BASELINE) == 0
    assert loss(Encoder(672, (EncoderLayer(12, 2944),) * 5)) == pytest.approx(1 + 96 + 5 * 0.128)
    with pytest.raises(NasError, match="no entry for 'hidden=1280'"):
        nas_search.read_loss(losses(tmp_path / "less.csv", "hidden=1280"))
    (tmp_path / "bad.csv").write_text("choice,loss\nlayers=3,much\n", encoding="utf-8")
    with pytest.raises(NasError, match=r"bad.csv:2: must have a column"):
        nas_search.read_loss(tmp_path / "bad.csv")


def test_the_report_stands_beside_the_paper() -> None:
    search = evolved(3)
    text = nas_report.text(search)
    assert "paper, +0.1 perplexity" in text and "x2.24" in text
    assert "is no quality" in text
    assert all(len(line) <= 120 for line in text.splitlines())
    assert nas_report.front_csv(search).count("\n") == 1 + len(search.candidates())
    nas_report.draw(search)
    assert nas_report.text(Evolution(0)).startswith("0 of 284 operators")


def test_bad_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "nas", "--loss", "absent.csv"]) == 2
    assert "absent.csv: cannot be read" in capsys.readouterr().err
    assert cli.main(["study", "nas", "--seed", "-1"]) == 2
    assert "--seed -1: must not be negative" in capsys.readouterr().err


@pytest.mark.slow
def test_the_whole_study(tmp_path: Path) -> None:
    """Bands of the example, 50 random networks against their graphs; minutes."""
    search = Evolution(0)
    list(nas_search.run(search))
    base, example = nas.cost(BASELINE, search.table), nas.cost(EXAMPLE, search.table)
    assert 1.3 <= base.cycles / example.cycles <= 1.9
    assert 1.4 <= base.energy_pj / example.energy_pj <= 2.0
    assert 1.8 <= base.edp / example.edp <= 3.6
    costs, random = ColdCosts(), np.random.default_rng(5)
    for network in (nas_search._random(random) for _ in range(50)):
        whole = nas.FREE
        for layer in network.layers:
            whole += costs.layer(network.width, layer.heads, layer.hidden)
        summed = nas.cost(network, search.table)
        assert (summed.cycles, summed.estimated_cycles) == (whole.cycles, whole.estimated_cycles)
    for network in (BASELINE, EXAMPLE):
        runs = [
            pipeline.run_graph(nas.block(network.width, one.heads, one.hidden), costs.spec, finalists=0).simulation
            for one in network.layers
        ]
        assert nas.cost(network, search.table).cycles == pytest.approx(sum(run.cycles for run in runs), rel=0.02)
