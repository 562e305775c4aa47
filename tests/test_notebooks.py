"""Every notebook runs from top to bottom and shows its outputs; the cell tagged ``parameters`` is made small first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
jupyter_client = pytest.importorskip("jupyter_client")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

TINY = '"name": "tiny", "layers": 2, "d_model": 64, "heads": 2, "d_ffn": 128, "max_positions": 512, "source": "made"'
SMALL = {
    'MODEL = "bert-base"': f'MODEL = {{"family": "bert", {TINY}}}',
    'MODEL = "gpt2"': f'MODEL = {{"family": "gpt", {TINY}}}',
    "SEQ = 512": "SEQ = 16",
    "SEQ = 128": "SEQ = 16",
    "FINALISTS = None": "FINALISTS = 0",
    "CONTEXTS = [128, 512, 1024]": "CONTEXTS = [16]",
    "ARRAYS = [8, 16, 32]": "ARRAYS = [16]",
    "BANDWIDTHS = [4, 16]": "BANDWIDTHS = [16]",
    "ROWS = 40": "ROWS = 8",
    "ACCUMULATORS = [64, 128, 256]": "ACCUMULATORS = [64]",
}
"""Parameters as they are shown, and in this test."""

LARGEST_BYTES = 400_000
"""Of a notebook with its outputs."""


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[jupyter_client.KernelManager]:
    """One process for all notebooks of a worker: what they import is loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("notebooks")))
        manager = jupyter_client.KernelManager(client_class="jupyter_client.asynchronous.AsyncKernelClient")
        manager.start_kernel(cwd=str(ROOT / "notebooks"))
        yield manager
        manager.shutdown_kernel(now=True)


# Jupyter's own packages warn about their future paths and event loops; that is not for this project to fail on.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs(path: Path, kernel: jupyter_client.KernelManager) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    assert any(large in parameters.source for large in SMALL)
    for large, small in SMALL.items():
        parameters.source = parameters.source.replace(large, small)
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    client = nbclient.NotebookClient(notebook, timeout=240, km=kernel)
    client.execute()
    client.kc.stop_channels()
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
