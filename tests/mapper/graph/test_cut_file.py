"""Cuts in files: read back as they were meant, refused with the reason when they make no sense."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import hwconfigs
import workloads
from mapper import pipeline
from mapper.errors import MappingError
from mapper.graph.cut_file import dump_plan, read_plan
from mapper.graph.fusion_cuts import fusion_groups
from mapper.graph.interleaving import Interleaving
from mapper.mapping.hardware_loop import HardwareLoop
from tests.mapper.tiny import machine

BERT = workloads.build("bert-base", seq=32)
PATH = hwconfigs.override(machine("gemmini_ibert"), {"vector.writes_scratchpad": True})
"""Its normaliser writes to the scratchpad."""


def written(folder: Path, text: str) -> Path:
    path = folder / "cut.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_groups_are_those_of_the_file_and_the_rest_is_cut_as_by_default(tmp_path: Path) -> None:
    path = written(tmp_path, "model: bert-base\ngroups:\n  - [attention_add, attention_norm]\n  - [scores, softmax]\n")
    groups = fusion_groups(BERT, machine("gemmini_ibert"), read_plan(path, BERT, machine("gemmini_ibert")).cut)
    joined = [[op.name for op in group.operators] for group in groups if group.epilogue]
    assert joined == [["scores", "softmax"], ["attention_add", "attention_norm"], ["ffn1", "ffn_activation"]]
    assert sum(len(group.operators) for group in groups) == len(BERT.operators)


def test_a_file_without_groups_is_the_default_cut(tmp_path: Path) -> None:
    spec = machine("gemmini_ibert")
    nothing = read_plan(written(tmp_path, "model: bert-base\ngroups: []\n"), BERT, spec).cut
    assert fusion_groups(BERT, spec, nothing) == fusion_groups(BERT, spec)


def test_an_operator_that_is_named_alone_leaves_its_default_group(tmp_path: Path) -> None:
    spec = machine("gemmini_ibert")
    cut = read_plan(written(tmp_path, "model: bert-base\ngroups: [[ffn1]]\n"), BERT, spec).cut
    assert not any(group.epilogue for group in fusion_groups(BERT, spec, cut))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model: gpt2\ngroups: []\n", "model: groups of 'gpt2', and the graph is of 'bert-base'"),
        ("model: bert-base\ngroups: [[score, softmax]]\n", "number 1: .*no operator 'score'; did you mean 'scores'?"),
        ("model: bert-base\ngroups: [[q], [scores, q]]\n", "number 2: operator 'q' is named twice"),
        ("model: bert-base\ngroups: [[]]\n", "groups.0: must not be empty"),
        ("model: bert-base\ngroups: [[scores, softmax], [q, k]]\n", "number 2: q, k cannot run as one group"),
        ("model: bert-base\n", "groups: missing"),
        (
            "model: bert-base\ngroups: []\nfuse: true\n",
            "fuse: unknown key; allowed: groups, machine, mappings, model, turns",
        ),
        ("model: bert-base\ngroup: []\n", "group: unknown key; did you mean 'groups'"),
        ("- [scores, softmax]\n", "must be a mapping with the keys model, groups, machine, turns, mappings"),
        ("groups: [[", "cut.yaml"),
        ("model: bert-base\nmodel: bert-base\ngroups: []\n", "cut.yaml:2"),
    ],
)
def test_files_that_make_no_sense_name_the_reason(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(MappingError, match=says):
        read_plan(written(tmp_path, text), BERT, machine("gemmini_ibert"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="nowhere.yaml: cannot read the groups: No such file"):
        read_plan(tmp_path / "nowhere.yaml", BERT, machine("gemmini_ibert"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MappingError, match="not a UTF-8 text file"):
        read_plan(tmp_path / "binary", BERT, machine("gemmini_ibert"))


@pytest.mark.parametrize(
    ("hw", "groups", "says"),
    [
        ("gemmini", "[scores, softmax]", "softmax: gemmini has no unit that evaluates softmax"),
        ("gemmini_ibert", "[scores, context]", "context: reads softmax, v, not scores alone"),
        ("gemmini_ibert", "[softmax, scores]", "softmax: runs on the normaliser"),
    ],
)
def test_groups_that_the_machine_cannot_join_name_rule_and_operator(
    tmp_path: Path, hw: str, groups: str, says: str
) -> None:
    """A matmul that reads what a group's own epilogue makes waits for it: the dependency is named as well."""
    path = written(tmp_path, f"model: bert-base\ngroups:\n  - {groups}\n")
    with pytest.raises(MappingError, match=says):
        fusion_groups(BERT, machine(hw), read_plan(path, BERT, machine("gemmini_ibert")).cut)


def test_rows_that_do_not_fit_name_the_inequality(tmp_path: Path) -> None:
    long = workloads.build("bert-base", seq=4096)
    path = written(tmp_path, "model: bert-base\ngroups: [[scores, softmax]]\n")
    with pytest.raises(
        MappingError, match=r"262,144 bytes > 131,072; the smallest accumulator that would do has 256 KiB"
    ):
        fusion_groups(long, machine("gemmini_ibert"), read_plan(path, long, machine("gemmini_ibert")).cut)


TURNS = """model: bert-base
groups: [[scores, softmax]]
turns: [{producer: scores, consumer: context, rows: 16, outside: rows, between: scratchpad}]
mappings: {context: {tiles: {n: 64, m: 32, k: 16}, double_buffered: false}}
"""


def test_turns_and_mappings_are_those_of_the_file(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, TURNS), BERT, PATH)
    assert plan.turns == (Interleaving("scores", "context", 16, rows_outside=True, in_scratchpad=True),)
    assert plan.mappings == {"context": HardwareLoop(2, 1, 4, "nmk", double_buffered=False)}
    again = read_plan(written(tmp_path, dump_plan(plan, BERT, PATH)), BERT, PATH)
    assert again == plan


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("rows: 16", "rows: 0", "turns.0.rows: "),
        ("rows: 16", "rows: 33", "turns: scores: blocks of 33 rows, and an instance has 32"),
        ("outside: rows", "outside: heads", "turns.0.outside: "),
        ("between: scratchpad", "between: l1", "turns.0.between: "),
        ("consumer: context", "consumer: softmax", "turns: no group is led by 'softmax'"),
        ("consumer: context", "consumer: ffn1", "scores and ffn1 cannot take turns"),
        ("consumer: context", "consumer: scores", "scores and scores cannot take turns"),
        ("groups: [[scores, softmax]]", "groups: []", "scores and context cannot take turns"),
        ("scratchpad}]", "scratchpad}, {producer: scores, consumer: context, rows: 8}]", "scores takes turns with one"),
        ("{context: {", "{softmax: {", "mappings: no matmul leads a group 'softmax'"),
        ("n: 64, m: 32", "n: 60, m: 32", "mappings: context: tiles n=60 are no multiples of the array's 16"),
        ("n: 64, m: 32, k: 16", "n: 64, m: 32", "mappings: context: tiles must be of m, k, n"),
        ("model: bert-base", "model: bert-base\nmachine: gemmini", "machine: plan for 'gemmini'"),
        ("rows: 16", "rows: 32", "no room for a block between them\n.*32 rows of 32.* 1,024 bytes > 1,024"),
    ],
)
def test_turns_and_mappings_that_make_no_sense_name_the_reason(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in TURNS
    spec = hwconfigs.override(PATH, {"scratchpad.capacity": "1 KiB"})
    with pytest.raises(MappingError, match=says):
        read_plan(written(tmp_path, TURNS.replace(old, new)), BERT, spec)
    with pytest.raises(MappingError, match=r"gemmini_ibert has no path into the scratchpad"):
        read_plan(written(tmp_path, TURNS), BERT, machine("gemmini_ibert"))


def test_a_mapping_that_does_not_fit_is_refused_before_anything_runs(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, TURNS.replace("n: 64, m: 32", "n: 64, m: 64")), BERT, PATH)
    with pytest.raises(MappingError, match="context: mapping does not fit"):
        pipeline.run_graph(BERT, PATH, cut=plan)


def test_what_a_run_did_is_done_again_bit_for_bit(tmp_path: Path) -> None:
    """A search takes whole heads in turns; so does the file, and one with blocks of rows is repeated as well."""
    config = {"name": "bert", "family": "bert", "layers": 1, "d_model": 64, "heads": 4, "d_ffn": 64}
    graph = workloads.build(config, seq=64)
    spec = hwconfigs.load("gemmini_ibert", {"l2.capacity": "8 KiB", "l2.ways": 4})
    first = pipeline.run_graph(graph, spec, objective="edp", fusion="auto")
    assert [(how.consumer, how.rows) for how in first.plan.turns] == [("context", 64)]
    rows = (Interleaving("scores", "context", 32, rows_outside=True),)
    for plan in (first.plan, replace(first.plan, turns=rows)):
        runs = []
        for given in (plan, read_plan(written(tmp_path, dump_plan(plan, graph, spec)), graph, spec)):
            runs.append(pipeline.run_graph(graph, spec, objective="edp", cut=given))
            assert (runs[-1].simulation, runs[-1].estimate) == (runs[0].simulation, runs[0].estimate)
            assert runs[-1].plan == plan
        if plan == first.plan:
            assert (runs[0].simulation, runs[0].estimate) == (first.simulation, first.estimate)
