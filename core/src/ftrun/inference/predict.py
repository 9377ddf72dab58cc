"""`ftrun predict`: a line, a JSON object or a row of CSV for each input, written as soon as its batch is done."""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import click

from ftrun.contracts.errors import DataError, SpecError
from ftrun.contracts.filescan import FileScan
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.numbers import to_json
from ftrun.contracts.printable import cell, printable
from ftrun.contracts.targets import Prediction, Target
from ftrun.data.filelist import Line, lines, listed
from ftrun.data.files import check_no_input, writing
from ftrun.inference.opened import open_run
from ftrun.inference.predictor import Predictor
from ftrun.inference.predicttable import header, key
from ftrun.runs.console import error_console
from ftrun.runs.folder import RunFolder
from ftrun.spec.specfile import is_text

_WIDEST = 60  # characters that a file's name is given in the table

ByTarget = Mapping[str, Prediction]


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    paths: files, folders, globs; `-` for standard input, whose lines come as `standard_input`
    by_line: whether each line of the files is an input, rather than each file
    top: how many classes to show; device: as `--device`; trust: whether code that came with the run may run
    as_json, to_csv: whether to write JSON, or the file to write a table to
    flips: as `Predictor` has it
    """

    paths: tuple[str, ...]
    standard_input: Iterable[str]
    by_line: bool = False
    top: int = 1
    device: str | None = None
    trust: bool = False
    as_json: bool = False
    to_csv: Path | None = None
    flips: bool | None = None

    def inputs(
        self, prepare: InputSpec, say: Callable[[str], None]
    ) -> tuple[list[str], Iterable[Any], Callable[[Any], Any]]:
        """Return the inputs' names for people, the inputs, and what reads one of them.

        say: shows what was passed over, and what is to be known of the files

        Raises SpecError where there are none, DataError where a file of lines cannot be read.
        """
        if not self.by_line:
            scan = FileScan(prepare.suffixes)
            files = listed(self.paths, self.standard_input, scan)
            passed_over = scan.passed_over()
            if not files:
                known = f" ({', '.join(prepare.suffixes)})" if prepare.suffixes else ""
                asked = ", ".join(map(click.format_filename, self.paths))
                raise SpecError(" ".join([f"no files to predict on{known} in {asked}.", *passed_over]))
            if self.to_csv:
                check_no_input("--csv", self.to_csv, files, None)
            for line in [*passed_over, *prepare.looked_at(files, new=False)[1]]:
                say(line)
            return files, files, prepare.read
        prepare.from_line("")
        numbered = lines(self.paths, self.standard_input)
        if not numbered:
            raise SpecError(f"no lines to predict on in {', '.join(map(click.format_filename, self.paths))}.")
        return [line.place for line in numbered], numbered, partial(_from_line, prepare)


def _from_line(prepare: InputSpec, line: Line) -> Any:
    if not is_text(line.text):
        raise DataError(f"{line.place}: is no text in UTF-8.")
    return prepare.from_line(line.text)


def predict(folder: RunFolder, request: Request) -> None:
    """Write what the run predicts on each input. Raises DataError at the end where some could not be read."""
    console = error_console()
    run = open_run(folder, request.device, trust=request.trust)
    for difference in run.not_as_it_was():
        console.say(f"not as it was: {difference}")
    model = Predictor(run, request.flips)
    names, sources, read = request.inputs(model.input, console.say)
    out = sys.stdout  # as it is now: while a progress bar is shown, another one has its name
    unreadable = 0
    with ExitStack() as stack:
        if request.as_json:
            writer: _Writer = _Json(out, model.targets)
        elif request.to_csv:
            file = stack.enter_context(_new_table(request.to_csv))
            writer = _Csv(file, model.targets, request.top)
        else:
            writer = _Table(out, model.targets, names)
        # Lines that run over the terminal are progress enough; a bar would get in their way.
        shown = not (out.isatty() and request.to_csv is None)
        bar = stack.enter_context(console.progress("predict", len(names))) if shown else None
        for name, (_, answer) in zip(names, model.stream(sources, request.top, read=read), strict=True):
            if isinstance(answer, DataError):
                unreadable += 1
                console.say(str(answer))
                writer.unreadable(name, str(answer))
            else:
                writer.prediction(name, answer if isinstance(answer, dict) else dict.fromkeys(model.targets, answer))
            if bar:
                bar.advance(1)
        writer.end()
    if unreadable:
        what = "lines" if request.by_line else "files"
        raise DataError(f"{unreadable} of {len(names)} {what} could not be read.")


class _Writer:
    """Where predictions go."""

    def prediction(self, file: str, predicted: ByTarget) -> None:
        raise NotImplementedError

    def unreadable(self, file: str, reason: str) -> None:
        """Write nothing: standard error has it."""

    def end(self) -> None:
        """Write nothing more."""


class _Table(_Writer):
    """Lines for people: the file, then names and numbers."""

    def __init__(self, out: TextIO, targets: Mapping[str, Target], files: Sequence[str]) -> None:
        self._out = out
        self._targets = targets
        self._width = min(max(len(printable(file)) for file in files), _WIDEST)

    def prediction(self, file: str, predicted: ByTarget) -> None:
        cells = [printable(file).ljust(self._width)]
        for name, each in predicted.items():
            target = self._targets[name]
            if len(predicted) > 1 and not target.is_one_value(name):
                cells.append(name)
            cells += target.texts(each)
        click.echo("  ".join(map(printable, cells)), file=self._out)


class _Json(_Writer):
    """A JSON array, written as it comes."""

    def __init__(self, out: TextIO, targets: Mapping[str, Target]) -> None:
        self._out = out
        self._targets = targets
        self._before = "[\n"

    def prediction(self, file: str, predicted: ByTarget) -> None:
        answers = {
            key(name): each.score if self._targets[name].is_one_value(name) else each.value
            for name, each in predicted.items()
        }
        holds = {f"{key(name)}/holds": each.holds for name, each in predicted.items() if each.holds is not None}
        self._write({"file": file, **answers, **holds})

    def unreadable(self, file: str, reason: str) -> None:
        self._write({"file": file, "error": reason})

    def _write(self, value: Mapping[str, Any]) -> None:
        click.echo(self._before + to_json(value, None, ascii_only=True), nl=False, file=self._out)
        self._before = ",\n"

    def end(self) -> None:
        click.echo("[]" if self._before == "[\n" else "\n]", file=self._out)


class _Csv(_Writer):
    """A row for each file that can be read: `class`, `probability`, `class_2`, ...; of other targets, their names.

    A target that is one value of the same name is a column of that name.
    """

    def __init__(self, file: TextIO, targets: Mapping[str, Target], top: int) -> None:
        self._targets = targets
        self._rows = csv.writer(file)
        self._rows.writerow(header(targets, top))

    def prediction(self, file: str, predicted: ByTarget) -> None:
        row: list[Any] = [cell(file)]
        for name, target in self._targets.items():
            row += target.cells(predicted[name])
        self._rows.writerow(row)


@contextmanager
def _new_table(path: Path) -> Iterator[TextIO]:
    """Open a file for a table; an earlier one stays until the new one is whole."""
    earlier = path.exists()
    temporary = path.with_name(f".{path.name}.new") if earlier else path
    with writing(path):
        with temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            yield file
        if earlier:
            temporary.replace(path)
