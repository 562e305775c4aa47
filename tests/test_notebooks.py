"""Every notebook runs from top to bottom; the cell tagged ``parameters`` is made small first."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"SEQ = 512": "SEQ = 32"}


# Jupyter's own packages warn about their future paths and event loops; that is not for this project to fail on.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.name)
def test_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    for large, small in SMALL.items():
        assert large in parameters.source
        parameters.source = parameters.source.replace(large, small)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert [cell for cell in notebook.cells if cell.cell_type == "code" and not cell.execution_count] == []
