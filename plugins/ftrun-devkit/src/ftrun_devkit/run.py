"""`tiny_run`: a whole run of tiny parts, in this process, as `ftrun run` does it."""

import json
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ftrun
from ftrun.devtools import Catalogue, Interrupted, Plugin, check_spec, load_plugins, main
from ftrun_devkit import tiny

if TYPE_CHECKING:
    from click.testing import Result

    from ftrun.devtools import Request


@dataclass(frozen=True)
class TinyRun:
    """A run that has ended."""

    folder: Path
    results: dict[str, Any]
    """What results.json holds."""

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Each epoch's figures: the lines of metrics.jsonl."""
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]

    @property
    def log(self) -> str:
        """What log.txt holds."""
        return (self.folder / "log.txt").read_text()


def tiny_spec(**changes: Any) -> dict[str, Any]:
    """A spec of tiny parts that runs in about a second; a key that is None is left out."""
    spec = {
        "dataset": "tiny-images",
        "backbone": "tiny-net",
        "loss": "tiny-cross-entropy",
        "optimizer": "tiny-descent",
        "train": {"epochs": 2, "batch_size": 12, "precision": "fp32", "memory_format": "contiguous"},
        **changes,
    }
    return {key: value for key, value in spec.items() if value is not None}


def tiny_run(place: Path, *, plugins: Iterable[Plugin] | None = None, **changes: Any) -> TinyRun:
    """Run `tiny_spec(**changes)` in the new folder `place / "run"`.

    plugins: what is installed beside the tiny parts, if not what is

    Raises what `ftrun run` reports: SpecError, DataError and so on.
    """
    from ftrun.devtools import run

    return TinyRun(place / "run", run(_request(place / "run", changes, plugins)))


def interrupted_run(
    place: Path, *, stop_at: int = 6, plugins: Iterable[Plugin] | None = None, **changes: Any
) -> TinyRun:
    """The same, but stopped by Ctrl-C in step `stop_at` and resumed.

    With four steps an epoch, the default is in the second one: in the first, what counts its own calls has counted as
    little after the break as before it.
    """
    from ftrun.devtools import RunFolder, Signals, resume, run

    class StopAt(Signals):
        left = stop_at

        @property
        def waiting(self) -> bool:
            self.left -= 1
            if self.left == 0:
                self._received = signal.SIGINT
            return super().waiting

    request = _request(place / "run", changes, plugins)
    try:
        results = run(request, StopAt())
    except Interrupted:
        results = resume(RunFolder.existing(place / "run"), request.catalogue, None, "cpu", with_plugins=False)
    return TinyRun(place / "run", results)


def run_command(*arguments: str | os.PathLike[str]) -> "Result":
    """Run `ftrun ARGUMENTS` in this process. Returns what click's test runner does: exit_code, stdout, output.

    Raises what the command raises, if that is no error with a message of its own.
    """
    from click.testing import CliRunner

    result = CliRunner().invoke(main, [os.fspath(each) for each in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def catalogue_with(plugins: Iterable[Plugin] | None = None) -> Catalogue:
    """What is installed (or `plugins`), and the tiny parts."""
    others = load_plugins() if plugins is None else plugins
    return Catalogue([*(each for each in others if each.module != tiny.__name__), tiny_plugin()])


def tiny_plugin() -> Plugin:
    """The tiny parts, as if they were installed."""
    offers = (tiny.ftrun_datasets, tiny.ftrun_backbones, tiny.ftrun_losses, tiny.ftrun_optimizers)
    parts = tuple(part for offer in offers for part in offer())
    return Plugin("ftrun-devkit", ftrun.__version__, "tiny", tiny.__name__, parts)


def _request(folder: Path, changes: dict[str, Any], plugins: Iterable[Plugin] | None) -> "Request":
    from ftrun.devtools import Request

    catalogue, spec = catalogue_with(plugins), tiny_spec(**changes)
    checked = check_spec(spec, catalogue)
    return Request(checked, "tiny", json.dumps(spec), (), catalogue, folder, "cpu", with_plugins=False)
