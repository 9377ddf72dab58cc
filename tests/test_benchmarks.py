"""The benchmarks run, each contender does the work that it is asked for, and their results are shown."""

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import distribution, distributions
from pathlib import Path
from types import ModuleType

import pytest

from ftrun.plugins.catalogue import installed
from ftrun.plugins.localparts import PartsFile
from ftrun.spec.check import check_spec

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RESNET18_10_CLASSES = 11_181_642
RUN_ONCE = {"steps": 2, "parameters": RESNET18_10_CLASSES}


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module(name)


def race(results: Path, *options: str) -> dict:
    """Run the row resnet18-32 with next to no work, and give what was kept of it."""
    command = [sys.executable, BENCHMARKS / "run.py", "--quick", "--threads", "1", "--results", results, *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert ended.returncode == 0, ended.stderr
    return json.loads((results / "resnet18-32.json").read_text())


@pytest.mark.slow
def test_ftrun_and_the_hand_written_loops_do_the_same_work(tmp_path):
    kept = race(tmp_path / "results", "--contenders", "article,tensors")
    assert list(kept["rounds"]) == ["ftrun", "article", "tensors"]
    for (figures,) in kept["rounds"].values():
        assert {key: figures[key] for key in RUN_ONCE} == RUN_ONCE
        assert 0 <= figures["accuracy"] <= 1
        assert 0 < figures["train_seconds"] < figures["total_seconds"]
        assert 0 < figures["startup_seconds"] < figures["total_seconds"]
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| article |" in page
    assert str(tmp_path) not in page
    assert str(tmp_path) not in json.dumps(kept)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("contender", "package"),
    [("lightning", "lightning"), ("hf-trainer", "transformers"), ("hf-trainer", "accelerate"), ("fastai", "fastai")],
)
def test_a_peer_does_the_same_work_or_is_said_to_be_missing(contender, package, tmp_path):
    from importlib.util import find_spec

    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: uv sync --group benchmarks")
    kept = race(tmp_path / "results", "--contenders", contender)
    (figures,) = kept["rounds"][contender]
    assert {key: figures[key] for key in RUN_ONCE} == RUN_ONCE


def test_a_row_that_runs_again_replaces_its_own_section_alone(tmp_path, monkeypatch):
    results, rows = load("results", monkeypatch), load("rows", monkeypatch)
    machine = load("machine", monkeypatch).describe(threads=2)

    def keep(name: str, rates: list[float]) -> str:
        about = {
            "command": f"run {name}",
            "data": "made up",
            "machine": machine,
            "missing": {"fastai": "not installed"},
        }
        rounds = {
            "ftrun": [{"images_per_second": rate} for rate in rates],
            "article": [{"images_per_second": 50.0} for _ in rates],
        }
        results.save(tmp_path, rows.ROWS[name], about, rounds)
        return results.render(tmp_path)

    keep("resnet18-64", [100.0])
    before = keep("resnet18-32", [100.0, 200.0, 400.0])
    after = keep("resnet18-64", [300.0])
    assert "| ftrun | 1.00 | 200 |" in before
    assert "| article | 0.25 | 50 |" in before
    assert "Not run: fastai (not installed)." in before
    assert "| ftrun | 1.00 | 300 |" in after
    assert (
        before.partition("## ResNet-18 from scratch, 64 px")[0]
        == after.partition("## ResNet-18 from scratch, 64 px")[0]
    )


def test_every_row_names_scripts_that_are_there(monkeypatch):
    for row in load("rows", monkeypatch).ROWS.values():
        assert row.contenders
        assert len({each.name for each in row.contenders}) == len(row.contenders)
        for contender in row.contenders:
            assert (BENCHMARKS / contender.script).is_file()


def test_images_of_a_folder_are_shared_out_without_overlap(tmp_path, monkeypatch):
    images = load("images", monkeypatch)
    counts = {"train": 40, "val": 20, "test": 20}
    images.prepare(tmp_path / "made", counts, None, 32)
    images.prepare(tmp_path / "linked", {"train": 20, "val": 10, "test": 10}, tmp_path / "made", 32)
    found = {split: [each.resolve() for each in (tmp_path / "linked" / split).rglob("*.jpg")] for split in counts}
    assert {split: len(each) for split, each in found.items()} == {"train": 20, "val": 10, "test": 10}
    assert len({path for each in found.values() for path in each}) == 40


SLOW = (pytest.param(row, marks=pytest.mark.slow) for row in ("auto", "size", "folder-96"))


@pytest.mark.parametrize("row", ["overhead", *SLOW])
def test_ftrun_is_measured_from_the_inside(row, tmp_path, monkeypatch):
    """These measures use ftrun's inner names, which change."""
    first = {"overhead": "ftrun", "auto": "torchvision/resnet18, 32 px", "size": "1,000", "folder-96": "ftrun"}[row]
    command = [sys.executable, BENCHMARKS / "run.py", "--quick", "--threads", "1", "--rows", row]
    command += ["--results", tmp_path / "results", "--contenders", first]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert ended.returncode == 0, ended.stderr
    kept = json.loads((tmp_path / "results" / f"{row}.json").read_text())
    assert first in kept["rounds"], ended.stdout
    columns = load("rows", monkeypatch).ROWS[row].columns
    assert all(kept["rounds"][first][0][column.key] is not None for column in columns), kept


def test_the_workspace_on_the_path_offers_what_is_installed(tmp_path):
    command = [sys.executable, BENCHMARKS / "workspace.py", tmp_path / "site"]
    path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(":")
    on_path = {each.name: each for each in distributions(path=path[:1])}
    assert "ftrun" in on_path
    for name, each in on_path.items():
        assert set(each.entry_points) == set(distribution(name).entry_points), name
    assert all((Path(folder) / "ftrun").is_dir() or list(Path(folder).glob("ftrun_*")) for folder in path[1:])


def test_the_specs_of_the_minutes_are_valid(monkeypatch):
    minutes = load("minutes", monkeypatch)
    every = minutes.specs("images")
    assert len(every) == 12
    for spec in every.values():
        catalogue = installed(PartsFile.read(Path(spec["parts"])) if "parts" in spec else None)
        checked = check_spec({**spec, "train": {**spec.get("train", {}), "minutes": 0.5}}, catalogue)
        assert checked.recipe is not None
    row = minutes.line("a", 0.5, 34.0, {"knots": [], "test": None})
    assert row == "| a | 0.5 | 34.0 s | +13.3 % **off** | 0 | - |"
