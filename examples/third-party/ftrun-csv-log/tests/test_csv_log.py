"""What stands in the file, of a run that is straight, resumed or fails."""

import csv
from pathlib import Path
from typing import Any

import pytest
from ftrun_csv_log import CsvLog

import ftrun
from ftrun_devkit import tiny_run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("given", [False, True])
def test_a_row_an_epoch(tmp_path: Path, given: bool) -> None:
    """With every figure at full precision."""
    path = tmp_path / "logs" / "mine.csv"
    observer = {"name": "csv-log", "file": str(path)} if given else "csv-log"
    run = tiny_run(tmp_path / "run", observers=[observer])
    found = rows(path if given else run.folder / "epochs.csv")
    assert [row["epoch"] for row in found] == [str(each + 1) for each in range(len(run.metrics))]
    for row, metrics in zip(found, run.metrics, strict=True):
        assert float(row["train/loss"]) == metrics["train/loss"]
        assert float(row["val/loss"]) == metrics["val/loss"]


def follow(path: Path, *, done: int, until: int, **figures: Any) -> None:
    """What a run calls, from after epoch `done`; then it is killed or fails."""
    observer: Any = CsvLog(name="csv-log", file=path).build()
    run = ftrun.RunInfo(
        name="a",
        folder=path.parent,
        spec={},
        device="cpu",
        samples={"train": 8},
        epochs=4,
        steps_per_epoch=2,
        epochs_done=done,
    )
    observer.ftrun_before_run(run=run)
    for epoch in range(done + 1, until + 1):
        metrics = {"train/loss": 1 / epoch, **figures}
        observer.ftrun_after_epoch(
            run=run, epoch=ftrun.EpochInfo(epoch=epoch, step=2 * epoch, metrics=metrics, best=epoch == 1)
        )


def test_epochs_that_are_done_again_stand_once(tmp_path: Path) -> None:
    """It is resumed from an epoch before the last one that has a row, with one figure more."""
    path = tmp_path / "mine.csv"
    follow(path, done=0, until=3)
    follow(path, done=1, until=4, extra=[[1, 0], [0, 2]])
    assert [row["epoch"] for row in rows(path)] == ["1", "2", "3", "4"]
    assert [row["extra"] for row in rows(path)] == ["", *3 * ["[[1, 0], [0, 2]]"]]
    assert list(rows(path)[0]) == ["epoch", "step", "best", "train/loss", "extra"]


def test_a_run_that_fails_at_once_leaves_the_header(tmp_path: Path) -> None:
    """And nothing of the run before it."""
    path = tmp_path / "mine.csv"
    follow(path, done=0, until=3)
    follow(path, done=0, until=0)
    assert path.read_text(encoding="utf-8") == "epoch,step,best\n"


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine\n", encoding="utf-8")
    with pytest.raises(ftrun.SpecError, match=r"notes\.txt is there"):
        CsvLog(name="csv-log", file=path).build()
    with pytest.raises(ftrun.SpecError):
        CsvLog(name="csv-log", file=tmp_path).build()
