"""`ftrun predict`: a line, a JSON object or a row of CSV for each file, told as soon as its batch is done."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, TextIO

import click

from ftrun.errors import DataError
from ftrun.run.files import writing
from ftrun.run.folder import RunFolder
from ftrun.run.opened import open_run
from ftrun.run.predictor import Prediction, Predictor
from ftrun.run.report import Report
from ftrun.targets import Classes, Target

_WIDEST = 60  # characters that a file's name is given in the table

ByTarget = Mapping[str, Prediction]


class Telling(Protocol):
    """Where predictions go."""

    def prediction(self, file: str, found: ByTarget) -> None:
        """What was predicted on a file."""
        ...

    def unreadable(self, file: str, reason: str) -> None:
        """That a file cannot be read; it is said on standard error in any case."""
        ...


def predict(
    folder: RunFolder, files: Sequence[str], top: int, device: str | None, *, as_json: bool, to_csv: Path | None
) -> None:
    """Tell what the run predicts on each file. Raises DataError at the end where some could not be read."""
    report = Report(perf_counter(), err=True)
    run = open_run(folder, device)
    for difference in run.not_as_it_was():
        report.say(f"not as it was: {difference}")
    model = Predictor(run)
    out = sys.stdout  # as it is now: while a progress bar is shown, another one has its name
    unreadable = 0
    with ExitStack() as stack:
        if as_json:
            telling: Telling = stack.enter_context(_json(out))
        elif to_csv:
            telling = stack.enter_context(_csv(to_csv, model.targets, top))
        else:
            telling = _Table(out, files)
        # Lines that run over the terminal are progress enough; a bar would get in their way.
        shown = not (out.isatty() and to_csv is None)
        bar = stack.enter_context(report.progress("predict", len(files))) if shown else None
        for file, answer in model.stream(files, top):
            if isinstance(answer, DataError):
                unreadable += 1
                report.say(click.format_filename(str(answer)))
                telling.unreadable(file, str(answer))
            else:
                telling.prediction(file, answer if isinstance(answer, dict) else dict.fromkeys(model.targets, answer))
            if bar:
                bar.advance(1)
    if unreadable:
        raise DataError(f"{unreadable} of {len(files)} files could not be read.")


class _Table:
    """Lines for people: the file, then names and numbers."""

    def __init__(self, out: TextIO, files: Sequence[str]) -> None:
        self._out = out
        self._width = min(max(map(len, files)), _WIDEST)

    def prediction(self, file: str, found: ByTarget) -> None:
        cells = [click.format_filename(file).ljust(self._width)]
        for target, each in found.items():
            cells += [target] if len(found) > 1 else []
            cells += [f"{name}  {score:.4f}" for name, score in each.scores.items()]
        click.echo("  ".join(cells), file=self._out)

    def unreadable(self, file: str, reason: str) -> None:
        pass


class _Json:
    """A JSON array, written as it comes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._before = "[\n"

    def prediction(self, file: str, found: ByTarget) -> None:
        self._write({"file": file, **{target: dict(each.scores) for target, each in found.items()}})

    def unreadable(self, file: str, reason: str) -> None:
        self._write({"file": file, "error": reason})

    def _write(self, value: Mapping[str, Any]) -> None:
        click.echo(self._before + json.dumps(value), nl=False, file=self._out)
        self._before = ",\n"

    def end(self) -> None:
        click.echo("[]" if self._before == "[\n" else "\n]", file=self._out)


@contextmanager
def _json(out: TextIO) -> Iterator[Telling]:
    telling = _Json(out)
    yield telling
    telling.end()


class _Csv:
    """A row for each file that can be read: `class`, `probability`, `class_2`, ...; of other targets, their names."""

    def __init__(self, file: TextIO, targets: Mapping[str, Target], top: int) -> None:
        self._targets = targets
        self._rows = csv.writer(file)
        columns = ["file"]
        for name, target in targets.items():
            prefix = f"{name}/" if len(targets) > 1 else ""
            columns += [prefix + column for column in _columns(target, top)]
        self._rows.writerow(columns)

    def prediction(self, file: str, found: ByTarget) -> None:
        row: list[Any] = [file]
        for name, target in self._targets.items():
            scores = found[name].scores
            if isinstance(target, Classes):
                row += [cell for pair in scores.items() for cell in pair]
            else:
                row += [scores[each] for each in target.names]
        self._rows.writerow(row)

    def unreadable(self, file: str, reason: str) -> None:
        pass


def _columns(target: Target, top: int) -> list[str]:
    if not isinstance(target, Classes):
        return list(target.names)
    numbers = ["", *(f"_{number}" for number in range(2, min(top, target.outputs) + 1))]
    return [column + number for number in numbers for column in ("class", "probability")]


@contextmanager
def _csv(path: Path, targets: Mapping[str, Target], top: int) -> Iterator[Telling]:
    with writing(path), path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        yield _Csv(file, targets, top)
