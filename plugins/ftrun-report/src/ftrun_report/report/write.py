"""Writes report.html: at a run's end, where it must not do any harm; and by `ftrun report`."""

import os
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import ftrun
from ftrun import FinishedRun, FtrunError, InputSpec, PluginError, Run, Splits
from ftrun.commands import write_whole
from ftrun_report.libraries import check_libraries
from ftrun_report.snapshot import Snapshot

NAME = "report.html"
SWITCH = "FTRUN_REPORT"
"""The environment variable that, at 0, has runs end without a report."""

_KEYS = frozenset({"backbone", "dataset", "metrics", "scheduler"})
"""Of the spec, the parts that a report needs."""
_NO_PICTURES = "samples are shown without what they look like"
_NO_CODE = "The code of some of the run's parts was not run when this was written: what needs it is left out."
_NOTE = "The data was not at hand when this was written: " + _NO_PICTURES + "."


def write_after_run(finished: FinishedRun) -> None:
    """Write a finished run's report, and say so in a line; whatever goes wrong is one line too, and changes nothing."""
    if os.environ.get(SWITCH) == "0":
        return
    began = perf_counter()
    with finished.tolerating(f"no {NAME}"):
        check_libraries("the report")
        snapshot = Snapshot(ftrun.open(finished.folder))
        _write(snapshot, finished.spec, finished.splits, finished.net.input)
        finished.say(f"report: {finished.folder / NAME} ({perf_counter() - began:.1f} s)")


def rewrite(run: Run) -> tuple[Path, list[str]]:
    """Write the report of a run that has a best epoch, and return its path, and what is lacking in it and why.

    What needs code of the run folder that may not run is left out.

    Raises PluginError where a plugin of the run is gone, FtrunError where a file is missing or damaged.
    """
    check_libraries("the report")
    snapshot = Snapshot(run)
    spec, missing, reason = _spec(run)
    splits, prepare, no_data = None, None, ""
    if not missing & {"backbone", "dataset"}:
        prepare = run.input(spec)
        splits, no_data = _data(run, spec) if snapshot.evaluated else (None, "")
    path, no_pictures = _write(snapshot, spec, splits, prepare, [_NO_CODE] if missing else [], no_data)
    lacking = [f"{_NO_PICTURES}: {no_pictures}"] if no_pictures else []
    lacking += [f"left out is what needs its {', '.join(sorted(missing))}: {reason}"] if missing else []
    return path, lacking


def _spec(run: Run) -> tuple[Any, set[str], str]:
    """Return the checked spec, the keys whose parts are left out of it as their code may not run, and why."""
    try:
        return run.checked_spec(_KEYS), set(), ""
    except PluginError as error:
        missing = run.local_keys & _KEYS
        if not missing:
            raise
        return run.checked_spec(_KEYS - missing), missing, str(error)


def _data(run: Run, spec: Any) -> tuple[Splits | None, str]:
    """Return the run's own data; None, and why, where it is gone or has become another one."""
    try:
        return run.data(spec), ""
    except Exception as error:  # whatever a dataset raises: the report says the rest
        return None, f"the data is not at hand: {_reason(error)}"


def _write(
    snapshot: Snapshot,
    spec: Any,
    splits: Splits | None,
    prepare: InputSpec | None,
    notes: Sequence[str] = (),
    no_data: str = "",
) -> tuple[Path, str]:
    """Write the page; return its path, and why it shows no pictures where it might have."""
    from ftrun_report.report.page import page

    pictures, reason = _pictures(snapshot, splits, prepare)
    reason = reason or no_data
    # The page may be passed on: what an error says of this machine is not in it.
    path = snapshot.folder / NAME
    write_whole(path, page(snapshot, spec, pictures, [*([_NOTE] if reason else []), *notes]))
    return path, reason


def _pictures(snapshot: Snapshot, splits: Splits | None, prepare: InputSpec | None) -> tuple[Any, str]:
    """Return what shows the samples that were evaluated; and why, where it shows none."""
    from ftrun_report.report.examples import Pictures, same_samples

    predictions, none = snapshot.evaluated, Pictures(None, None)
    split = dict(splits.items()).get(snapshot.split) if splits else None
    if split is None or predictions is None or prepare is None:
        return none, ""
    if not same_samples(split, predictions.ids, predictions.truth, snapshot.targets):
        return none, "the data's labels are not what they were in the run"
    try:
        prepare.preview(split[int(predictions.ids[0])][0])
    except Exception as error:  # whatever a plugin's own input or dataset raises: the rest of the report is as good
        return none, _reason(error)
    return Pictures(split, prepare), ""


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, FtrunError) else f"{type(error).__name__}: {error}"
