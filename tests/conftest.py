"""What the whole-product tests share: a place with the tiny plugin installed, and the command line."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support import TINY, install

from ftrun.cli import main


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the tiny plugin, on the path of this process and of its children; the working folder is new."""
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "ftrun-tiny", TINY)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def ftrun() -> Callable[..., Result]:
    """Run the command line in this process: quick, since torch is here already."""

    def invoke(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(main, [str(each) for each in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke
