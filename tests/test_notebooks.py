"""Every notebook runs from top to bottom and shows its outputs; the cell tagged ``parameters`` is made small first."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

TINY = '"name": "tiny", "layers": 2, "d_model": 64, "heads": 2, "d_ffn": 128, "max_positions": 512, "source": "made"'
SMALL = {
    'MODEL = "bert-base"': f'MODEL = {{"family": "bert", {TINY}}}',
    'MODEL = "gpt2"': f'MODEL = {{"family": "gpt", {TINY}}}',
    "SEQ = 512": "SEQ = 32",
    "SEQ = 128": "SEQ = 32",
    "FINALISTS = None": "FINALISTS = 0",
    "CONTEXTS = [128, 512, 1024]": "CONTEXTS = [16]",
    "ARRAYS = [8, 16, 32]": "ARRAYS = [16]",
    "BANDWIDTHS = [4, 16]": "BANDWIDTHS = [16]",
    "ROWS = 40": "ROWS = 8",
}
"""Parameters as they are shown, and in this test."""

LARGEST_BYTES = 400_000
"""Of a notebook with its outputs."""


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


# Jupyter's own packages warn about their future paths and event loops; that is not for this project to fail on.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    assert any(large in parameters.source for large in SMALL)
    for large, small in SMALL.items():
        parameters.source = parameters.source.replace(large, small)
    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert [cell for cell in notebook.cells if cell.cell_type == "code" and not cell.execution_count] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_shown_with_its_outputs(path: Path) -> None:
    cells = code_cells(path)
    assert [cell.source for cell in cells if not cell.execution_count] == [], "run it once, and save it"
    assert any(cell.outputs for cell in cells)
    assert [out for cell in cells for out in cell.outputs if out.output_type == "error"] == []
    assert path.stat().st_size <= LARGEST_BYTES


def test_the_course_is_complete() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == [f"0{number}" for number in range(1, 8)]
    assert all(any(large in cell.source for path in NOTEBOOKS for cell in code_cells(path)) for large in SMALL)
