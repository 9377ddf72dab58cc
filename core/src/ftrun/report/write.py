"""Writes report.html: at a run's end, where it must not do any harm; and by `ftrun report`."""

import json
import os
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ftrun.errors import FtrunError

if TYPE_CHECKING:
    from ftrun.data import Splits
    from ftrun.inputs import InputSpec
    from ftrun.report.examples import Pictures
    from ftrun.report.record import Record
    from ftrun.run.folder import RunFolder
    from ftrun.runspec import RunSpec

NAME = "report.html"
SWITCH = "FTRUN_REPORT"
"""The environment variable that, at 0, has runs end without a report."""

_LOG = "log.txt"
_NO_PICTURES = "Samples are shown without what they look like"


def needed() -> None:
    """Raise FtrunError where something is not installed that only the report needs."""
    missing = [name for module, name in (("jinja2", "Jinja2"), ("matplotlib", "matplotlib")) if not find_spec(module)]
    if missing:
        raise FtrunError(
            f"the report is made with Jinja2 and matplotlib, and {' and '.join(missing)} "
            f'{"is" if len(missing) == 1 else "are"} not here. Run: pip install "ftrun[report]"'
        )


def at_end(
    folder: "RunFolder",
    spec: "RunSpec",
    splits: "Splits",
    prepare: "InputSpec",
    say: Callable[[str], None],
) -> None:
    """Write a finished run's report, and say so in a line; whatever goes wrong is one line too, and changes nothing."""
    if os.environ.get(SWITCH) == "0":
        return
    began = perf_counter()
    with suppress(FtrunError):  # of saying it: the disk may be full
        try:
            needed()
            path = _write(folder, spec, splits, prepare, [])
        except FtrunError as error:
            say(f"no {NAME}: {error}")
        except Exception as error:
            say(f"no {NAME}: {type(error).__name__}: {error}. The results are not affected; {_LOG} says more.")
            folder.append_line(_LOG, traceback.format_exc().rstrip())
        else:
            say(f"report: {path} ({perf_counter() - began:.1f} s)")


def again(folder: "RunFolder") -> tuple[Path, list[str]]:
    """Write the report of a run that has a best epoch, and give its place, and what is lacking in it and why.

    Raises PluginError where a plugin of the run is gone, FtrunError where a file is missing or damaged.
    """
    needed()
    from ftrun.catalogue import installed
    from ftrun.run import environment

    resolved = folder.read_json("resolved.json")
    spec = environment.recorded_spec(folder, resolved, installed(folder.local_parts()))
    splits, notes = _data(spec, resolved)
    input_type = spec.backbone.input_type
    try:
        prepare = input_type.model_validate_json(json.dumps(resolved["input"]))
    except ValueError:
        where = folder.path / "resolved.json"
        raise FtrunError(f"{where}: is damaged: its input is not one of this backbone.") from None
    return _write(folder, spec, splits, prepare, notes), notes


def _write(
    folder: "RunFolder",
    spec: "RunSpec",
    splits: "Splits | None",
    prepare: "InputSpec",
    notes: list[str],
) -> Path:
    from ftrun.report.page import page
    from ftrun.report.record import read

    record = read(folder)
    folder.write_text(NAME, page(record, spec, _pictures(record, splits, prepare, notes), notes))
    return folder.path / NAME


def _pictures(record: "Record", splits: "Splits | None", prepare: "InputSpec", notes: list[str]) -> "Pictures":
    """What shows the samples that were judged. Adds to the notes why it shows none."""
    from ftrun.report.examples import Pictures, same_samples

    said = record.predictions
    split = dict(splits.items()).get(record.split or "") if splits else None
    if split is None or said is None:
        return Pictures(None, None)
    if not same_samples(split, said.ids, said.truth):
        notes.append(f"{_NO_PICTURES}, because the data's labels are not what they were in the run.")
        return Pictures(None, None)
    try:
        prepare.shown(split[int(said.ids[0])][0])
    except Exception as error:  # whatever a plugin's own input or dataset raises: the rest of the report is as good
        notes.append(f"{_NO_PICTURES}: {_told(error)}")
        return Pictures(None, None)
    return Pictures(split, prepare)


def _data(spec: "RunSpec", resolved: Any) -> "tuple[Splits | None, list[str]]":
    """The run's own data; None, and why, where it is gone or has become another one."""
    from ftrun.run.judge import own_data

    try:
        return own_data(spec, resolved, "Bring the data back."), []
    except Exception as error:  # whatever a dataset raises: the report says the rest
        return None, [f"{_NO_PICTURES}, because the data is not at hand: {_told(error)}"]


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, FtrunError) else f"{type(error).__name__}: {error}"
