"""A run ends after the first epochs that are good enough, and says why."""

import json
from pathlib import Path
from typing import Any

import pytest
from ftrun_goal import Goal
from pydantic import ValidationError

from ftrun_devkit import TinyRun, run_command, tiny_run, tiny_spec

TRAIN = {**tiny_spec()["train"], "epochs": 4}


def run(place: Path, **options: Any) -> TinyRun:
    return tiny_run(place, train=TRAIN, observers=[{"name": "goal", **options}])


def status(ended: TinyRun) -> dict[str, Any]:
    return json.loads((ended.folder / "status.json").read_text())


@pytest.mark.parametrize(
    ("options", "epochs", "reason"),
    [
        ({"at_most": 1e9}, 1, "stopped early: val/loss is at most 1e+09"),
        ({"at_least": 0, "metric": "train/loss"}, 1, "stopped early: train/loss is at least 0"),
        ({"at_most": 1e9, "epochs": 3}, 3, "stopped early: val/loss is at most 1e+09 in 3 epochs"),
        ({"at_most": -1}, 4, ""),
        ({"at_least": 1e9}, 4, ""),
    ],
)
def test_it_ends_after_the_epoch_that_is_good_enough(
    tmp_path: Path, options: dict[str, Any], epochs: int, reason: str
) -> None:
    ended = run(tmp_path, **options)
    assert len(ended.metrics) == epochs
    assert (status(ended)["state"], status(ended)["reason"]) == ("finished", reason)
    assert 1 <= ended.results["best_epoch"] <= epochs


def test_it_stays_ended(tmp_path: Path) -> None:
    ended = run(tmp_path, at_most=1e9)
    before = (ended.folder / "metrics.jsonl").read_text()
    assert "already finished" in run_command("resume", ended.folder).output
    assert (ended.folder / "metrics.jsonl").read_text() == before


def test_a_metric_that_the_run_does_not_have_is_told_and_ends_nothing(tmp_path: Path) -> None:
    ended = run(tmp_path, metric="val/los", at_most=1e9)
    assert len(ended.metrics) == 4
    assert "the run has no metric 'val/los'. Did you mean 'val/loss'?" in ended.log


@pytest.mark.parametrize("options", [{}, {"at_least": 1, "at_most": 2}, {"at_least": 1, "epochs": 0}])
def test_what_is_no_goal_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Goal(name="goal", **options)
