"""Writes report.html: at a run's end, where it must not do any harm; and by `ftrun report`."""

import os
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ftrun.contracts.errors import FtrunError, PluginError

if TYPE_CHECKING:
    from ftrun.contracts.data import Splits
    from ftrun.contracts.inputs import InputSpec
    from ftrun.report.examples import Pictures
    from ftrun.report.record import Record
    from ftrun.runs.folder import RunFolder
    from ftrun.spec.runspec import RunSpec

NAME = "report.html"
SWITCH = "FTRUN_REPORT"
"""The environment variable that, at 0, has runs end without a report."""

_LOG = "log.txt"
_NO_PICTURES = "samples are shown without what they look like"
_NO_CODE = "The code of some of the run's parts was not run when this was written: what needs it is left out."
_NOTE = "The data was not at hand when this was written: " + _NO_PICTURES + "."


def needed(page: str = "the report") -> None:
    """Raise FtrunError where something is not installed that only such a page needs."""
    missing = [name for module, name in (("jinja2", "Jinja2"), ("matplotlib", "matplotlib")) if not find_spec(module)]
    if missing:
        raise FtrunError(
            f"{page} is made with Jinja2 and matplotlib, and {' and '.join(missing)} "
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
            _at_end(folder, spec, splits, prepare)
        except FtrunError as error:
            say(f"no {NAME}: {error}")
        except Exception as error:
            say(f"no {NAME}: {type(error).__name__}: {error}. The results are not affected; {_LOG} says more.")
            folder.append_line(_LOG, traceback.format_exc().rstrip())
        else:
            say(f"report: {folder.path / NAME} ({perf_counter() - began:.1f} s)")


def again(folder: "RunFolder", *, trust: bool = False) -> tuple[Path, list[str]]:
    """Write the report of a run that has a best epoch, and give its place, and what is lacking in it and why.

    trust: whether local parts in the folder may run although this user has never run them; what needs them is left out

    Raises PluginError where a plugin of the run is gone, FtrunError where a file is missing or damaged.
    """
    needed()
    from ftrun.report.examples import Pictures
    from ftrun.report.record import read

    record = read(folder)
    spec, missing, reason = _spec(folder, record.resolved, trust)
    pictures, why_not = Pictures(None, None), ""
    if not missing & {"backbone", "dataset"}:
        prepare = _input(folder, spec)
        splits, why_not = _data(spec, record.resolved) if record.predictions else (None, "")
        if splits:
            pictures, why_not = _pictures(record, splits, prepare)
    # The page may be passed on: what an error tells of this machine is not in it.
    notes = [*([_NOTE] if why_not else []), *([_NO_CODE] if missing else [])]
    _write(record, spec, pictures, notes)
    lacking = [f"{_NO_PICTURES}: {why_not}"] if why_not else []
    lacking += [f"left out is what needs its {', '.join(sorted(missing))}: {reason}"] if missing else []
    return folder.path / NAME, lacking


def _spec(folder: "RunFolder", resolved: Any, trust: bool) -> "tuple[RunSpec, set[str], str]":
    """Return the run's spec, and the keys that are left out of it, as their parts' code may not run, and why."""
    from ftrun.plugins.catalogue import installed
    from ftrun.runs import environment, ownparts

    keys = {"backbone", "dataset", "metrics", "scheduler"}
    local = ownparts.local_keys(resolved) & keys
    try:
        catalogue, missing, reason = ownparts.catalogue_of(folder, keys, trust=trust), set(), ""
    except PluginError as error:
        if not local:
            raise
        catalogue, missing, reason = installed(), local, str(error)
    spec = environment.recorded_spec(folder, resolved, catalogue, keys - missing)
    return spec.model_copy(update={"metrics": ()}) if "metrics" in missing else spec, missing, reason


def _input(folder: "RunFolder", spec: "RunSpec") -> "InputSpec":
    """How inputs are prepared, from the best checkpoint: what is too large for JSON is in files there."""
    from ftrun.runs import checkpoint

    best = folder.best()
    try:
        return spec.backbone.input_type.restored(checkpoint.load_net(best)["input"])
    except FtrunError as error:
        if error.where == "resolved.json":  # it has the same input, but this one was taken
            error.where = str(best / checkpoint.NET)
        raise


def _at_end(folder: "RunFolder", spec: "RunSpec", splits: "Splits", prepare: "InputSpec") -> None:
    from ftrun.report.record import read

    record = read(folder)
    pictures, why_not = _pictures(record, splits, prepare)
    _write(record, spec, pictures, [_NOTE] if why_not else [])


def _write(record: "Record", spec: "RunSpec", pictures: "Pictures", notes: list[str]) -> None:
    from ftrun.report.page import page

    record.folder.write_text(NAME, page(record, spec, pictures, notes))


def _pictures(record: "Record", splits: "Splits", prepare: "InputSpec") -> "tuple[Pictures, str]":
    """What shows the samples that were judged; and why, where it shows none."""
    from ftrun.report.examples import Pictures, same_samples

    said = record.predictions
    split = dict(splits.items()).get(record.split or "")
    if split is None or said is None:
        return Pictures(None, None), ""
    if not same_samples(split, said.ids, said.truth, record.targets):
        return Pictures(None, None), "the data's labels are not what they were in the run"
    try:
        prepare.shown(split[int(said.ids[0])][0])
    except Exception as error:  # whatever a plugin's own input or dataset raises: the rest of the report is as good
        return Pictures(None, None), _told(error)
    return Pictures(split, prepare), ""


def _data(spec: "RunSpec", resolved: Any) -> "tuple[Splits | None, str]":
    """The run's own data; None, and why, where it is gone or has become another one."""
    from ftrun.inference.judge import own_data

    try:
        return own_data(spec, resolved, "Bring the data back.")[0], ""
    except Exception as error:  # whatever a dataset raises: the report says the rest
        return None, f"the data is not at hand: {_told(error)}"


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, FtrunError) else f"{type(error).__name__}: {error}"
