"""What a run folder says of its run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ftrun.contracts.errors import FtrunError
from ftrun.contracts.targets import Target
from ftrun.runs import predictions
from ftrun.runs.folder import RunFolder
from ftrun.runs.predictions import Predictions


@dataclass(frozen=True)
class Record:
    """A run as its folder tells of it."""

    folder: RunFolder
    resolved: Mapping[str, Any]
    status: Mapping[str, Any]
    best: Mapping[str, Any]
    """net.json of the best epoch."""
    results: Mapping[str, Any] | None
    """results.json; None where the run is not finished."""
    history: list[dict[str, Any]]
    """The lines of metrics.jsonl."""
    targets: Mapping[str, Target]
    split: str | None
    """The split whose samples `predictions` are of; None where there are none."""
    predictions: Predictions | None

    @property
    def finished(self) -> bool:
        """Whether it is: a run that is being extended has results, but of before."""
        return self.results is not None


def read(folder: RunFolder) -> Record:
    """Raises SpecError where the run has no best epoch, FtrunError where a file is missing or damaged."""
    best = folder.best()
    resolved, status = folder.read_json("resolved.json"), folder.read_status()
    finished = status.get("state") == "finished"
    split, said = _predictions(folder) if finished else (None, None)
    targets = _targets(folder, resolved)
    if said and {name: each.outputs for name, each in targets.items()} != _widths(said):
        raise FtrunError(f"{predictions.path_of(folder, str(split))}: is damaged: it is of other targets.")
    return Record(
        folder=folder,
        resolved=resolved,
        status=status,
        best=folder.read_json(f"checkpoints/{best.name}/net.json"),
        results=folder.read_json("results.json") if finished else None,
        history=history(folder),
        targets=targets,
        split=split,
        predictions=said,
    )


def _predictions(folder: RunFolder) -> tuple[str | None, Predictions | None]:
    for split in ("test", "val"):
        if said := predictions.load(folder, split):
            return split, said
    return None, None


def _widths(said: Predictions) -> dict[str, int]:
    """By target, the number of outputs for a sample."""
    return {name: each.shape[-1] for name, each in said.outputs.items()}


def history(folder: RunFolder) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, one for each epoch. Raises FtrunError where it is missing or damaged."""
    path = folder.path / "metrics.jsonl"
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise FtrunError(f"{path}: cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise FtrunError(f"{path}: is damaged: it does not hold a JSON object a line.") from None
    if not all(isinstance(line, dict) for line in lines):
        raise FtrunError(f"{path}: is damaged: it does not hold a JSON object a line.")
    return lines


def _targets(folder: RunFolder, resolved: Mapping[str, Any]) -> dict[str, Target]:
    try:
        return TypeAdapter(dict[str, Target]).validate_python(resolved["targets"])
    except (KeyError, ValidationError):
        raise FtrunError(f"{folder.path / 'resolved.json'}: is damaged: it does not describe a run.") from None
