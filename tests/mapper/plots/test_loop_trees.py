"""The picture of loop trees: one cell for each step and operator, as wide as what is below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mapper import cli
from mapper.fused.cut import FusedCutSearch
from mapper.fused.einsum import FusedGraph
from mapper.plots.loop_trees import BAND_COLUMNS, Band, Cell, TreePicture, draw_trees, tree_picture
from mapper.validation.fused_peers import peers_machine
from simulator.views.style import NOTEBOOK, PAPER
from tests.mapper.fused.random_trees import GRAPHS

GRAPH = FusedGraph("attention", {"m": 96, "e": 32, "p": 200, "f": 32}, tuple(GRAPHS["attention"]))


@pytest.fixture(scope="module")
def info() -> TreePicture:
    return tree_picture("attention", FusedCutSearch(GRAPH, peers_machine(64, 64)).run("edp").cuts[0])


def test_shared_tensors_are_as_wide_as_the_operators_that_share_them(info: TreePicture) -> None:
    """``s`` are the scores and ``w`` the weights that softmax makes of them."""
    assert info.groups == (3,)
    assert [cell.text for cell in info.cells if cell.kind == "operator"] == ["scores", "softmax", "context"]
    shared = {cell.text for cell in info.cells if cell.columns == 3 and cell.kind == "scratchpad"}
    assert shared >= {"s", "w"}
    assert all(cell.columns == 1 for cell in info.cells if cell.kind in ("operator", "registers", "accumulator"))


def test_every_column_is_filled_from_the_top_without_a_gap(info: TreePicture) -> None:
    for column in range(3):
        over = [cell for cell in info.cells if cell.first <= column < cell.first + cell.columns]
        assert [cell.row for cell in over] == list(range(len(over)))
        assert over[-1].kind == "operator"


def test_every_cell_is_drawn_with_its_text(info: TreePicture) -> None:
    figure = draw_trees(info)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == len(figure.axes[0].patches) == len(info.cells)
    assert all(cell.text in text for cell, text in zip(info.cells, texts, strict=True))


def test_groups_that_do_not_fit_side_by_side_go_below() -> None:
    """Groups of 4, 3, 2 and 9 operators: 4 and 3 fill a band, the last one is too wide for any and has its own."""
    sizes = (4, 3, 2, BAND_COLUMNS[NOTEBOOK.name] + 2)
    starts = (0, 4, 7, 9)
    cells = tuple(Cell("loop", "for m by 1", first, size, 0) for first, size in zip(starts, sizes, strict=True))
    info = TreePicture("many", cells, sizes)
    assert info.bands(BAND_COLUMNS[NOTEBOOK.name]) == [Band(0, 7, (4,)), Band(7, 9, ()), Band(9, 18, ())]
    assert [len(axes.patches) for axes in draw_trees(info).axes] == [2, 1, 1]
    paper = draw_trees(TreePicture("few", cells[:3], sizes[:3]), PAPER)
    assert [len(axes.patches) for axes in paper.axes] == [1, 1, 1], "a page's width has room for four"
    assert paper.get_figwidth() == PAPER.width_inches


def test_the_command_writes_it_and_not_of_a_front(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["map-block", "bert-base", "--seq", "16", "--hw", "gemmini_ibert", "--only", "scores,softmax"]
    assert cli.main([*wanted, "--plot", str(tmp_path / "trees.svg")]) == 0
    assert "<svg" in (tmp_path / "trees.svg").read_text(encoding="utf-8")
    assert cli.main([*wanted, "--plot", str(tmp_path / "front.svg"), "--objective", "pareto"]) == 2
    assert "--plot has no meaning with --objective pareto" in capsys.readouterr().err
