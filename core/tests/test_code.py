"""What tells one state of code from another: the files of what is ours to change, the versions of libraries."""

import importlib
import sys
import sysconfig
from importlib.metadata import version

import pytest
import torch

import ftrun_inputs
from ftrun.data import code
from ftrun.data.code import code_of
from ftrun.plugins import localparts


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A module, the neighbour that it imports in a function, and a package that this one imports."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "code_part.py").write_text(
        '"""A part\nfrom pictures to classes."""\nimport torch\nclass Layer(torch.nn.Identity):\n'
        "    def forward(self, x):\n        from code_neighbour import scaled, other\n        return scaled(x)\n"
    )
    (tmp_path / "code_neighbour.py").write_text("import json, code_package.deep as deep\n")
    (tmp_path / "code_package" / "inner").mkdir(parents=True)
    for name in ("__init__.py", "deep.py", "table.json"):
        (tmp_path / "code_package" / name).write_text("1")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "large.py").write_text("")
    importlib.invalidate_caches()
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("code_")]:
        del sys.modules[name]


def state():
    sys.modules.pop("code_part", None)
    return code_of([importlib.import_module("code_part").Layer])


@pytest.mark.parametrize(
    "changed", ["code_part.py", "code_neighbour.py", "code_package/deep.py", "code_package/table.json"]
)
def test_a_change_of_what_is_imported_is_one(project, changed):
    before = state()
    assert state() == before
    with (project / changed).open("a") as file:
        file.write("\n# changed")
    assert state() != before


def test_local_parts_count_as_they_were_read(project):
    def loaded():
        return code_of([localparts.PartsFile.read(project / "code_part.py").load().Layer])

    before = loaded()
    (project / "code_package" / "deep.py").write_text("2")
    module = sys.modules["code_part"]
    assert code_of([module.Layer]) == before
    assert loaded() != before
    localparts._forget()


def test_libraries_count_by_their_version_and_the_core_by_its_files(project):
    found = state()
    assert found["torch"] == torch.__version__.partition("+")[0] or found["torch"] == torch.__version__
    assert len(found["ftrun"]) == 64
    assert set(found) == {"torch", "python", "ftrun", "code_part", "code_neighbour", "code_package"}


def test_a_folder_of_data_is_no_code(project):
    assert "pictures" not in state()


def test_a_part_of_an_installed_plugin_counts_by_its_files_and_by_the_libraries_that_they_import():
    found = code_of([ftrun_inputs.ImageInput])
    assert len(found["ftrun_inputs"]) == 64
    assert found["tokenizers"] == version("tokenizers")
    assert len(found["PIL"]) == 64  # whose distribution has another name


def test_what_builds_on_ftrun_counts_by_its_files_where_it_is_installed_too(tmp_path, monkeypatch):
    """A library that reads images for a dataset, say: what it reads them with has to count."""
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "code_reader.py").write_text("import code_decoder\nclass Reader: ...\n")
    (tmp_path / "code_decoder.py").write_text("")
    (tmp_path / "code_reader-1.0.dist-info").mkdir()
    metadata = tmp_path / "code_reader-1.0.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\nName: code-reader\nVersion: 1.0\n")
    importlib.invalidate_caches()
    reader = importlib.import_module("code_reader").Reader
    code._library.cache_clear()
    assert code_of([reader])["code_reader"] == "1.0"
    metadata.write_text(metadata.read_text() + "Requires-Dist: ftrun\n")
    code._library.cache_clear()
    found = code_of([reader])
    assert len(found["code_reader"]) == 64
    assert len(found["code_decoder"]) == 64
    code._library.cache_clear()
