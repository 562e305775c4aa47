"""Lists of products as CSV: SCALE-Sim's commas and headers, and what is no such list."""

from __future__ import annotations

from pathlib import Path

import pytest

import workloads
from mapper import cli
from workloads import GraphError

SAME = [("q", 128, 768, 64, 1), ("scores", 32, 16, 32, 12)]
"""Layer, m, k, n, repeat."""


@pytest.mark.parametrize(
    "text",
    [
        "layer,M,N,K,repeat\nq,128,64,768,1\nscores,32,32,16,12\n",
        "Layer, M, N, K, Count,\nq, 128, 64, 768, ,\nscores, 32, 32, 16, 12,\n",
        "\ufeffq,128,64,768\r\nscores,32,32,16,12\r\n",
        "# a comment\nLayer name,K,M,N,Batch,Sparsity\n\nq,768,128,64,,\n\nscores,16,32,32,12,\n",
        'layer,m,n,k,repeat\n"q",128,64,768,1\n"scores",32,32,16,12',
    ],
)
def test_dresses_of_one_list(text: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    graph = workloads.build(path)
    assert [(op.name, *(op.m, op.k, op.n), op.repeat) for op in graph.operators] == SAME
    assert graph.macs == 128 * 768 * 64 + 12 * 32 * 16 * 32
    assert graph.name == "list"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("layer,M,N,K\n", "no products"),
        ("layer,M,N\nq,1,1\n", "list.csv:1: column k is missing"),
        ("layer,M,N,K,Kay\nq,1,1,1,1\n", "list.csv:1: 'Kay': unknown column"),
        ("layer,M,N,K,M\nq,1,1,1,1\n", "list.csv:1: column m is given twice"),
        ("q,1,1\n", "list.csv:1: K='': must be a whole number"),
        ("q,1,1,0\n", "K='0': must be a whole number in 1.."),
        ("q,1,1,1.5\n", "K='1.5'"),
        ("q,1,1,٣\n", "K='٣'"),
        ("q,1,1,1,1,1\n", "6 cells; the columns are layer, m, n, k, repeat"),
        ("q,1,1,99999999999\n", "K='99999999999'"),
        ("q,1,1,1\nq,2,2,2\n", "list.csv:2: layer 'q' is there already, in line 1"),
        (",1,1,1\n", "layer='': must be a name"),
        ('q,"1,1,1\n', "not a CSV file"),
        (
            "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\nc,1,",
            "is a list of convolutions",
        ),
    ],
)
def test_no_lists(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GraphError) as caught:
        workloads.build(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_a_list_has_none_of(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("q,4,4,4\n", encoding="utf-8")
    for option in ({"seq": 4}, {"context": 4}, {"batch": 2}):
        with pytest.raises(GraphError, match="must be left out"):
            workloads.build(path, **option)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="cannot read the list of products: No such file"):
        workloads.build(tmp_path / "none.csv")


def test_a_run_of_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("q,16,16,16\nscores,8,8,4,3\n", encoding="utf-8")
    assert cli.main(["run", str(path), "--hw", "tiny_4x4", "--finalists", "0"]) == 0
    said = capsys.readouterr().out
    assert "mine on tiny_4x4: 1 x 2 operators, 4,864 MACs" in said
