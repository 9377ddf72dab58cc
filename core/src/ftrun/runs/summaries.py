"""`ftrun runs`: the runs in a folder, read from their run folders alone. Needs no torch."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from ftrun.contracts.errors import FtrunError, SpecError, did_you_mean
from ftrun.contracts.numbers import is_figure, shown
from ftrun.contracts.printable import columns
from ftrun.runs.folder import RunFolder


def runs(folder: Path) -> list[dict[str, Any]]:
    """Return each run in `folder`, the oldest first; what its files do not say is null.

    Raises SpecError where there is no such folder.
    """
    try:
        places = [each for each in folder.iterdir() if (each / "resolved.json").is_file()]
    except OSError as error:
        siblings = [each.name for each in folder.parent.iterdir() if each.is_dir()] if folder.parent.is_dir() else []
        near = did_you_mean(folder.name, siblings)
        raise SpecError(f"{folder}: {error.strerror}.{near} Name the folder that the runs are in.") from None
    return sorted((_run(RunFolder(place)) for place in places), key=lambda run: (run["began"], run["run"]))


def _run(folder: RunFolder) -> dict[str, Any]:
    status, resolved, best = (
        folder.read_status(),
        _read(folder, "resolved.json"),
        _read(folder, "checkpoints/best/net.json"),
    )
    spec = _part(resolved, "spec")
    monitor = resolved.get("monitor")
    names = monitor if isinstance(monitor, list) else [monitor]
    return {
        "run": str(folder.path),
        "state": status.get("state"),
        "epoch": status.get("epoch"),
        "epochs": _part(spec, "train").get("epochs"),
        "dataset": part_name(spec.get("dataset")),
        "backbone": part_name(spec.get("backbone")),
        "monitor": " + ".join(map(str, names)),
        "best": _mean(_part(best, "val").get(str(name).removeprefix("val/")) for name in names),
        "best_epoch": best.get("epoch"),
        "began": _began(folder),
    }


def _mean(metrics: Iterable[Any]) -> float | None:
    """Return the mean of the metrics that decide; None where one is missing."""
    values = list(metrics)
    return fmean(values) if values and all(map(is_figure, values)) else None


def _read(folder: RunFolder, name: str) -> dict[str, Any]:
    """Return what a JSON file holds; nothing where it is missing or damaged: the other runs are listed all the same."""
    try:
        return folder.read_json(name)
    except FtrunError:
        return {}


def _part(of: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = of.get(key)
    return value if isinstance(value, dict) else {}


def part_name(part: Any) -> str | None:
    """Return the name of a part of a resolved spec, `family/member` where it has a model; None for what is no part."""
    if not isinstance(part, Mapping) or not isinstance(part.get("name"), str):
        return None
    name, model = part["name"], part.get("model")
    return f"{name}/{model}" if isinstance(model, str) else name


def _began(folder: RunFolder) -> str:
    """Return when spec.json was written, which nothing changes later: ISO 8601."""
    spec = folder.path / "spec.json"
    written = (spec if spec.exists() else folder.path).stat().st_mtime
    return datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds")


def runs_text(listed: list[dict[str, Any]]) -> str:
    """Return the same for people: a line for each run."""
    if not listed:
        return "no runs here"
    rows = [["run", "state", "epochs", "best", "backbone", "dataset", "age"]]
    for run in listed:
        best = f"{run['monitor']} {shown(run['best'])}" if is_figure(run["best"]) else "-"
        epochs = f"{_shown(run['epoch'])}/{_shown(run['epochs'])}"
        parts = [_shown(run[key]) for key in ("backbone", "dataset")]
        rows.append([run["run"], _shown(run["state"]), epochs, best, *parts, _age(run["began"])])
    return "\n".join(columns(rows))


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)


def _age(began: str) -> str:
    """Return `3 min`, `2 h`, `5 days`."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(began)).total_seconds()
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= (2 if unit == "days" else 1) * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
