"""Runs are ranked by what their results hold; what is left out is listed."""

import json
import shutil
from pathlib import Path

import pytest

from ftrun_devkit import run_command, tiny_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of one run, with results of their own."""
    folder = tmp_path_factory.mktemp("runs")
    run = tiny_run(tmp_path_factory.mktemp("run")).folder
    results = json.loads((run / "results.json").read_text())
    split = "test" if results["test"] else "val"
    for name, accuracy in [("a", 0.5), ("b", 0.75), ("c", 0.5), ("plain", None), ("going", 0.9), ("torn", 0.9)]:
        shutil.copytree(run, folder / name)
        values = {"loss": 0.1} if accuracy is None else {"loss": 1 - accuracy, "accuracy": accuracy}
        (folder / name / "results.json").write_text(json.dumps(results | {split: values}))
    (folder / "going" / "status.json").write_text('{"state": "failed", "epoch": 1, "step": 4, "reason": "x"}')
    (folder / "torn" / "results.json").write_text("{")
    (folder / "notes").mkdir()
    (folder / "a file").write_text("")
    return folder


def test_the_best_is_first_and_equal_runs_share_a_rank(runs: Path) -> None:
    result = run_command("leaderboard", runs, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [(each["rank"], each["run"], each["value"]) for each in found["runs"]] == [
        (1, "b", 0.75),
        (2, "a", 0.5),
        (2, "c", 0.5),
    ]
    assert {each["backbone"] for each in found["runs"]} == {"tiny-net"}
    reasons = {each["run"]: each["reason"] for each in found["left_out"]}
    assert reasons.pop("torn").startswith("its files are damaged: ")
    assert reasons == {"plain": "has no accuracy", "going": "failed"}


def test_the_lowest_first_of_the_top(runs: Path) -> None:
    found = json.loads(run_command("leaderboard", runs, "--metric", "loss", "--lowest", "--top", "2", "--json").stdout)
    assert [each["run"] for each in found["runs"]] == ["plain", "b"]


def test_the_table(runs: Path) -> None:
    lines = run_command("leaderboard", runs).output.splitlines()
    assert lines[0].split() == ["rank", "run", "accuracy", "on", "epochs", "backbone"]
    assert lines[1].split()[:3] == ["1", "b", "0.7500"]
    assert lines[4].startswith("3 runs left out: going (failed), plain (has no accuracy), torn (its files are damaged")


def test_a_folder_without_runs(tmp_path: Path) -> None:
    assert run_command("leaderboard", tmp_path).output == "no finished run\n"


def test_what_is_mistyped(runs: Path) -> None:
    metric = run_command("leaderboard", runs, "--metric", "acuracy")
    assert (metric.exit_code, "no run has it. Did you mean 'accuracy'?" in metric.output) == (2, True)
    folder = run_command("leaderboard", runs / "nowhere")
    assert (folder.exit_code, "there is no such folder" in folder.output) == (2, True)
