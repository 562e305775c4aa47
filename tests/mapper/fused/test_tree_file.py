"""Trees as YAML: the same costs bit for bit, and clear words for what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mapper.errors import MappingError
from mapper.fused.cut import Cut, FusedCutSearch
from mapper.fused.einsum import FusedGraph
from mapper.fused.rules import RELAXED, STRICT
from mapper.fused.tree_file import dump_cut, read_cut
from mapper.validation.fused_peers import peers_machine
from tests.mapper.fused.random_trees import GRAPHS

MACHINE = peers_machine(64, 64)
GRAPH = FusedGraph("attention", {"m": 96, "e": 32, "p": 200, "f": 32}, tuple(GRAPHS["attention"]))


@pytest.fixture(scope="module")
def cut() -> Cut:
    return FusedCutSearch(GRAPH, MACHINE).run("edp").cuts[0]


@pytest.fixture
def document(cut: Cut) -> dict:
    return yaml.safe_load(dump_cut(cut, GRAPH, MACHINE))


def read(document: object, tmp_path: Path, graph: FusedGraph = GRAPH) -> Cut:
    path = tmp_path / "trees.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return read_cut(path, graph, MACHINE, STRICT)


def test_a_cut_replays_bit_for_bit(cut: Cut, document: dict, tmp_path: Path) -> None:
    assert [group.operators for group in cut.groups] == [("scores", "softmax", "context")]
    again = read(document, tmp_path)
    assert again == cut
    assert (again.energy_pj, again.cycles) == (cut.energy_pj, cut.cycles)
    assert dump_cut(again, GRAPH, MACHINE) == dump_cut(cut, GRAPH, MACHINE)


def test_a_cut_in_several_groups_replays_too(tmp_path: Path) -> None:
    unfused = FusedCutSearch(GRAPH, MACHINE).run("latency", 1).cuts[0]
    path = tmp_path / "trees.yaml"
    path.write_text(dump_cut(unfused, GRAPH, MACHINE), encoding="utf-8")
    assert read_cut(path, GRAPH, MACHINE, RELAXED) == unfused


def leaf(document: dict, number: int) -> dict:
    return document["groups"][0]["tree"]["parts"][number]


def test_a_file_for_something_else_is_refused(document: dict, tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="is for the graph 'attention', not 'other'"):
        read(document, tmp_path, FusedGraph("other", GRAPH.sizes, GRAPH.operators))
    with pytest.raises(MappingError, match="is for the machine 'gemmini', not 'gemmini_flat'"):
        read({**document, "machine": "gemmini"}, tmp_path)
    with pytest.raises(MappingError, match=r"sizes: is for .*m=96.*, not .*m=97"):
        read(document, tmp_path, FusedGraph("attention", {**GRAPH.sizes, "m": 97}, GRAPH.operators))


def test_a_part_is_an_operator_or_has_parts(document: dict, tmp_path: Path) -> None:
    leaf(document, 0)["parts"] = []
    with pytest.raises(MappingError, match=r"parts\.0: needs either an operator or parts"):
        read(document, tmp_path)
    del leaf(document, 0)["operator"]
    with pytest.raises(MappingError, match=r"parts\.0\.parts: is empty"):
        read(document, tmp_path)


def test_operators_are_there_once_each_and_in_order(document: dict, tmp_path: Path) -> None:
    names = document["groups"][0]["operators"]
    document["groups"][0]["operators"] = names[:2]
    with pytest.raises(MappingError, match="operator 'context' is missing"):
        read(document, tmp_path)
    document["groups"][0]["operators"] = [*names, "norm"]
    with pytest.raises(MappingError, match="unknown operator 'norm'; it has scores, softmax, context"):
        read(document, tmp_path)
    document["groups"][0]["operators"] = [*names, names[0]]
    with pytest.raises(MappingError, match="operator 'scores' is there twice"):
        read(document, tmp_path)
    document["groups"][0]["operators"] = names
    parts = document["groups"][0]["tree"]["parts"]
    document["groups"][0]["tree"]["parts"] = parts[:2]
    with pytest.raises(MappingError, match="operator 'context' is missing in the tree"):
        read(document, tmp_path)
    document["groups"][0]["tree"]["parts"] = [parts[1], parts[0], parts[2]]
    with pytest.raises(MappingError, match="softmax comes before scores, whose result it reads"):
        read(document, tmp_path)


def test_groups_come_after_what_they_read(tmp_path: Path) -> None:
    unfused = FusedCutSearch(GRAPH, MACHINE).run("latency", 1).cuts[0]
    document = yaml.safe_load(dump_cut(unfused, GRAPH, MACHINE))
    document["groups"].reverse()
    with pytest.raises(MappingError, match=r"groups\.0: context comes before softmax"):
        read(document, tmp_path)


def test_tiles_that_do_not_fit_are_named_with_their_inequality(document: dict, tmp_path: Path) -> None:
    tree = document["groups"][0]["tree"]
    tree["steps"] = ["hold q in scratchpad", "hold k in scratchpad", *tree["steps"]]
    steps = leaf(document, 0)["steps"]
    leaf(document, 0)["steps"] = [step for step in steps if not step.startswith("loop")]
    with pytest.raises(MappingError, match=r"registers: k along p needs 200 elements > 16"):
        read(document, tmp_path)


def test_a_row_that_is_cut_or_too_long_names_what_would_do(document: dict, tmp_path: Path) -> None:
    leaf(document, 1)["steps"].insert(0, "loop p 50")
    with pytest.raises(MappingError, match=r"loop p: a whole row of softmax needs 200 elements > 50; take the loop"):
        read(document, tmp_path)
    long = FusedGraph("attention", {**GRAPH.sizes, "m": 1, "p": 20_000}, GRAPH.operators)
    message = "a whole row of softmax needs 20,000 words > 16,384; the smallest accumulator that would do has 78.12 KiB"
    with pytest.raises(MappingError, match=f"(?s)no loop nest of softmax fits gemmini_flat.*{message}"):
        FusedCutSearch(long, MACHINE).run("edp")
    found = FusedCutSearch(long, MACHINE.resized(accumulator=20_000)).run("edp").cuts[0]
    path = tmp_path / "long.yaml"
    path.write_text(dump_cut(found, long, MACHINE), encoding="utf-8")
    with pytest.raises(MappingError, match=message):
        read_cut(path, long, MACHINE, STRICT)


def test_partial_sums_stay_in_the_accumulator(document: dict, tmp_path: Path) -> None:
    leaf(document, 2)["steps"].insert(0, "loop p 100")
    with pytest.raises(MappingError, match=r"visits of c needs 2 times > 1"):
        read(document, tmp_path)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("loop p 0", "is neither 'loop DIM STEP' nor"),
        ("hold k in cache", "is neither 'loop DIM STEP' nor"),
        ("loop z 4", "loop over unknown dimension 'z'"),
        ("hold z in scratchpad", "holds 'z' in the scratchpad, which nobody here uses"),
        ("loop e 16", "scores, softmax, context|reads s inside a loop over e"),
    ],
)
def test_steps_that_mean_nothing(step: str, message: str, document: dict, tmp_path: Path) -> None:
    document["groups"][0]["tree"]["steps"].insert(0, step)
    with pytest.raises(MappingError, match=message):
        read(document, tmp_path)


def test_operands_need_places(document: dict, tmp_path: Path) -> None:
    steps = leaf(document, 2)["steps"]
    leaf(document, 2)["steps"] = [step for step in steps if step != "hold v in registers"]
    with pytest.raises(MappingError, match="context: nobody holds v in the registers"):
        read(document, tmp_path)


def test_files_of_another_form(document: dict, tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"schema: .* is not known; did you mean .tilewright-loop-trees-1"):
        read({**document, "schema": "tilewright-mapping-1"}, tmp_path)
    with pytest.raises(MappingError, match="colour: unknown key"):
        read({**document, "colour": 1}, tmp_path)
    document["groups"][0]["tree"] = {"steps": []}
    with pytest.raises(MappingError, match="needs either an operator or parts"):
        read(document, tmp_path)
    with pytest.raises(MappingError, match="cannot read the trees"):
        read_cut(tmp_path / "missing.yaml", GRAPH, MACHINE, STRICT)
