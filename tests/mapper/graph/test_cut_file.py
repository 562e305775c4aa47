"""Cuts in files: read back as they were meant, refused with the reason when they make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

import workloads
from mapper.errors import MappingError
from mapper.graph.cut_file import read_cut
from mapper.graph.fusion_cuts import fusion_groups
from tests.mapper.tiny import machine

BERT = workloads.build("bert-base", seq=32)


def written(folder: Path, text: str) -> Path:
    path = folder / "cut.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_groups_are_those_of_the_file_and_the_rest_is_cut_as_by_default(tmp_path: Path) -> None:
    path = written(tmp_path, "model: bert-base\ngroups:\n  - [attention_add, attention_norm]\n  - [scores, softmax]\n")
    groups = fusion_groups(BERT, machine("gemmini_ibert"), read_cut(path, BERT, machine("gemmini_ibert")))
    joined = [[op.name for op in group.operators] for group in groups if group.epilogue]
    assert joined == [["scores", "softmax"], ["attention_add", "attention_norm"], ["ffn1", "ffn_activation"]]
    assert sum(len(group.operators) for group in groups) == len(BERT.operators)


def test_a_file_without_groups_is_the_default_cut(tmp_path: Path) -> None:
    spec = machine("gemmini_ibert")
    nothing = read_cut(written(tmp_path, "model: bert-base\ngroups: []\n"), BERT, spec)
    assert fusion_groups(BERT, spec, nothing) == fusion_groups(BERT, spec)


def test_an_operator_that_is_named_alone_leaves_its_default_group(tmp_path: Path) -> None:
    spec = machine("gemmini_ibert")
    cut = read_cut(written(tmp_path, "model: bert-base\ngroups: [[ffn1]]\n"), BERT, spec)
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
        ("model: bert-base\ngroups: []\nfuse: true\n", "fuse: unknown key; allowed: groups, model"),
        ("model: bert-base\ngroup: []\n", "group: unknown key; did you mean 'groups'"),
        ("- [scores, softmax]\n", "must be a mapping with the keys model, groups"),
        ("groups: [[", "cut.yaml"),
        ("model: bert-base\nmodel: bert-base\ngroups: []\n", "cut.yaml:2"),
    ],
)
def test_files_that_make_no_sense_name_the_reason(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(MappingError, match=says):
        read_cut(written(tmp_path, text), BERT, machine("gemmini_ibert"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="nowhere.yaml: cannot read the groups: No such file"):
        read_cut(tmp_path / "nowhere.yaml", BERT, machine("gemmini_ibert"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MappingError, match="not a UTF-8 text file"):
        read_cut(tmp_path / "binary", BERT, machine("gemmini_ibert"))


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
        fusion_groups(BERT, machine(hw), read_cut(path, BERT, machine("gemmini_ibert")))


def test_rows_that_do_not_fit_name_the_inequality(tmp_path: Path) -> None:
    long = workloads.build("bert-base", seq=4096)
    path = written(tmp_path, "model: bert-base\ngroups: [[scores, softmax]]\n")
    with pytest.raises(
        MappingError, match=r"262,144 bytes > 131,072; the smallest accumulator that would do has 256 KiB"
    ):
        fusion_groups(long, machine("gemmini_ibert"), read_cut(path, long, machine("gemmini_ibert")))
