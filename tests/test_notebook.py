"""The notebook of the examples runs from its first cell to its last one, and shows what it promises."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "from-python.ipynb"


QUICK = {
    '"efficientnet-lite0"': '{"name": "timm", "model": "test_resnet", "pretrained": False}',
    '"epochs": 4, "freeze": "features"': '"epochs": 1, "freeze": "features"',
}


@pytest.mark.parametrize(
    "changes", [pytest.param(QUICK, id="a smaller net"), pytest.param({}, id="as it is", marks=pytest.mark.slow)]
)
def test_the_notebook_runs_and_shows_tables_and_a_plot(changes, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for old, new in changes.items():
        (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source]
        cell.source = cell.source.replace(old, new)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute()
    shown = [output.get("data", {}) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    pages = [data["text/html"] for data in shown if "text/html" in data]
    assert any("test" in page and "accuracy" in page for page in pages)  # the run itself
    assert any("train/loss" in page for page in pages)  # its history
    assert any("predicted" in page for page in pages)
    assert any("image/png" in data for data in shown)
    assert len(list((tmp_path / "runs").iterdir())) == 4


def test_the_notebook_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
