"""What the whole-product tests share: a place with the tiny plugin installed, and the command line."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import warm
from click.testing import CliRunner, Result
from support import TINY, install

from ftrun.cli import main
from ftrun.plugins.catalogue import Catalogue, installed
from ftrun_devkit import resume_check


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """ftrun's own plugins and the tiny one, loaded once: for tests that check many specs."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, "ftrun-tiny", TINY)
    sys.path.insert(0, str(folder))
    try:
        return installed()
    finally:
        sys.path.remove(str(folder))
        del sys.modules["ftrun_tiny"]  # another test's site has its own


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the tiny plugin, on the path of this process and of its children; the working folder is new."""
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "ftrun-tiny", TINY)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))  # no test knows what code another one has run
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


@pytest.fixture
def verify_resume(ftrun: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `ftrun verify-resume` with real kills, of processes that begin with torch loaded."""
    monkeypatch.setattr(resume_check.subprocess, "run", warm.run)
    return partial(ftrun, "verify-resume")


@pytest.fixture(scope="session")
def site_packages_without_plugins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For each folder of the path with ftrun's own plugins, one that has all else of it, as links."""
    folders = {}
    for place in map(Path, sys.path):
        if any(place.glob("ftrun_*.dist-info")):
            bare = tmp_path_factory.mktemp("site-packages")
            for each in place.iterdir():
                if not each.match("ftrun_*.dist-info"):
                    (bare / each.name).symlink_to(each)
            folders[str(place)] = str(bare)
    return folders


@pytest.fixture
def alone(site: Path, site_packages_without_plugins: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """`site`, and for this process no other plugin is installed: lists of parts are known word for word."""
    monkeypatch.setattr(sys, "path", [site_packages_without_plugins.get(place, place) for place in sys.path])
    return site
