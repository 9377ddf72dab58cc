"""What a run says: a progress bar on a terminal, a plain line an epoch elsewhere, and all lines in log.txt."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from time import monotonic, perf_counter
from typing import Any

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from ftrun.contracts.errors import CannotWrite
from ftrun.contracts.numbers import line_of
from ftrun.contracts.printable import printable_lines
from ftrun.runs.folder import RunFolder

_SHOWN_EVERY = 0.05  # seconds
_LOSS_EVERY = 0.5  # seconds; reading the loss waits for the device


class Bar:
    """How far an epoch is; shows nothing itself."""

    def advance(self, samples: int, loss: Tensor | None = None) -> None:
        """Count `samples` more; `loss` of their batch, a scalar on any device, is read only when it is shown."""


class Console:
    """Where a run's lines go. Those shown before there is a folder are logged once there is one.

    started: when the command was given, by perf_counter
    err: whether it all goes to standard error, because the command's answer goes to standard output
    quiet: whether nothing is shown
    """

    def __init__(self, started: float, *, err: bool = False, quiet: bool = False) -> None:
        self.started = started
        self._console = RichConsole(highlight=False, soft_wrap=True, stderr=err, quiet=quiet)
        self._folder: RunFolder | None = None
        self._waiting: list[str] = []

    @property
    def seconds(self) -> float:
        """Seconds that the run has taken, in all its processes."""
        return perf_counter() - self.started

    def began_earlier(self, seconds: float) -> None:
        """Count what the run has taken in processes that have ended."""
        self.started -= seconds

    def log_to(self, folder: RunFolder) -> None:
        """Write to the folder's log.txt from now on."""
        self._folder = folder
        for line in self._waiting:
            folder.append_line("log.txt", line)
        self._waiting.clear()

    def say(self, line: str) -> None:
        """Show a line and log it, without what a terminal would obey.

        Where the terminal or the file that shows it is gone, the log alone has it.
        """
        line = printable_lines(line)
        with suppress(CannotWrite):
            self._console.print(line, markup=False)
        stamped = f"{datetime.now():%Y-%m-%d %H:%M:%S} {line}"
        if self._folder:
            self._folder.append_line("log.txt", stamped)
        else:
            self._waiting.append(stamped)

    def epoch(self, epoch: str, metrics: Mapping[str, float], is_best: bool) -> None:
        """Show one epoch's line."""
        shown = {name: value for name, value in metrics.items() if name.startswith(("train/", "val/"))}
        seconds = metrics["seconds/train"] + metrics["seconds/eval"]
        self.say(f"{epoch}  {line_of(shown)}  {seconds:.1f} s{'  best' if is_best else ''}")

    @contextmanager
    def progress(self, what: str, samples: int) -> Iterator[Bar]:
        """Show a progress bar over some samples, on a terminal and in a notebook; elsewhere, nothing."""
        if self._console.quiet or not (self._console.is_terminal or self._console.is_jupyter):
            yield Bar()
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as display:
            yield _LiveBar(display, what, samples)


def error_console() -> Console:
    """Return what shows lines and progress on standard error, for commands whose answer goes to standard output."""
    return Console(perf_counter(), err=True)


class _LiveBar(Bar):
    def __init__(self, display: Progress, what: str, samples: int) -> None:
        self._display = display
        self._task = display.add_task(what, total=samples, rate="", loss="")
        self._started = self._shown = self._loss_read = monotonic()
        self._done, self._samples = 0, samples

    def advance(self, samples: int, loss: Tensor | None = None) -> None:
        self._done += samples
        now = monotonic()
        if now - self._shown < _SHOWN_EVERY and self._done < self._samples:
            return
        self._shown = now
        fields: dict[str, Any] = {}
        if now - self._loss_read >= _LOSS_EVERY:
            self._loss_read = now
            fields["rate"] = f"{self._done / (now - self._started):.0f}/s"
            if loss is not None:
                fields["loss"] = f"loss {float(loss):.4f}"
        self._display.update(self._task, completed=self._done, **fields)
