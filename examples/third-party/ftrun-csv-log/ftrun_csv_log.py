"""Observer `csv-log`: each epoch's figures as a row of a CSV file."""

import csv
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

import ftrun

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell

FILE = "epochs.csv"
COLUMNS = ["epoch", "step", "best"]  # always there; the figures follow


class CsvLog(ftrun.Observer):
    """Writes each epoch's figures as a row of a CSV file."""

    name: Literal["csv-log"]
    file: Path | None = Field(
        None,
        description=f"File to write, afresh for each run; {FILE} in the run folder if not given.",
    )

    def build(self) -> object:
        """An object that follows one run.

        Raises SpecError where the given file holds anything else than the rows of an earlier run: it would be lost.
        """
        if self.file is not None and self.file.exists() and not _is_log(self.file):
            raise ftrun.SpecError(
                f"file: {self.file} is there, but is no CSV file of {self.name!r}: its first line does not begin with "
                f"{','.join(COLUMNS)}. Name another file, or remove it."
            )
        return Rows(self.file)


class Rows:
    """The rows of one run: `epoch` (int, from 1), `step` (int), `best` (0 or 1), then a column a figure (RFC 4180).

    A figure that is not one number (such as a confusion matrix) stands there as JSON; one that an epoch lacks is left
    empty. The file is written whole after each epoch and put in place at once, so that it is never half of one, even
    if the run is killed.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.rows: list[dict[str, Any]] = []

    @ftrun.hookimpl
    def ftrun_before_run(self, run: ftrun.RunInfo) -> None:
        """Keep the rows of the epochs that a resumed run goes on from; those after them are done once more."""
        path = self._path(run)
        if run.epochs_done and path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= run.epochs_done]
        else:
            self.rows = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._write(path)

    @ftrun.hookimpl
    def ftrun_after_epoch(self, run: ftrun.RunInfo, epoch: ftrun.EpochInfo) -> None:
        """One row more. On disk at once, so there is nothing left to do when the run ends or fails."""
        figures = {name: _cell(value) for name, value in epoch.metrics.items()}
        self.rows.append({"epoch": epoch.epoch, "step": epoch.step, "best": int(epoch.best)} | figures)
        self._write(self._path(run))

    def _path(self, run: ftrun.RunInfo) -> Path:
        return self.file if self.file is not None else run.folder / FILE

    def _write(self, path: Path) -> None:
        # In the order in which they first come. An epoch may have figures that the ones before it had not.
        columns = list(dict.fromkeys(COLUMNS + [name for row in self.rows for name in row]))
        part = path.with_name(f"{path.name}.part")
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        part.replace(path)


def _cell(value: Any) -> Any:
    """Numbers and texts as they are, at full precision; anything else as JSON."""
    return value if value is None or isinstance(value, int | float | str) else json.dumps(value, default=str)


def _is_log(path: Path) -> bool:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return next(csv.reader(file), [])[: len(COLUMNS)] == COLUMNS
    except (OSError, ValueError, csv.Error):  # a folder, say, or a file that is no text
        return False


@ftrun.hookimpl
def ftrun_observers() -> list[type[ftrun.Observer]]:
    return [CsvLog]
