"""The plugins of examples/third-party, written from the guide alone, pass their own tests."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support import install

THIRD_PARTY = Path(__file__).parents[1] / "examples" / "third-party"


@pytest.mark.slow
@pytest.mark.parametrize("folder", sorted(THIRD_PARTY.iterdir()), ids=lambda folder: folder.name)
def test_a_third_partys_tests_pass(folder: Path, tmp_path: Path) -> None:
    plugin = tmp_path / folder.name  # away from the workspace, and so from its settings of pytest
    shutil.copytree(folder, plugin)
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    ((_, module),) = project["entry-points"]["ftrun"].items()
    site = tmp_path / "site"
    site.mkdir()
    install(site, project["name"], "", module=module)
    (site / f"{module}.py").unlink()  # the module itself is in the folder
    path = os.pathsep.join([str(plugin), str(site)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(plugin)],
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_all_are_there() -> None:
    names = {folder.name for folder in THIRD_PARTY.iterdir()}
    assert names == {
        "ftrun-balanced-accuracy",
        "ftrun-boxes-toy",
        "ftrun-cosine-head",
        "ftrun-csv-images",
        "ftrun-csv-log",
        "ftrun-goal",
        "ftrun-leaderboard",
        "ftrun-lookahead",
        "ftrun-plain-net",
        "ftrun-waves",
    }
