"""A run that is to be compared: what its folder says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftrun.contracts.errors import FtrunError
from ftrun.contracts.figures import is_figure
from ftrun.contracts.targets import Target
from ftrun.runs import predictions, record
from ftrun.runs.folder import RunFolder
from ftrun.runs.predictions import Predictions


@dataclass(frozen=True)
class Contender:
    """A run with a best epoch. Without results, `figures` are empty; without predictions, `lacks` says why."""

    folder: RunFolder
    resolved: Mapping[str, Any]
    results: Mapping[str, Any]
    best: Mapping[str, Any]
    targets: Mapping[str, Target]
    split: str
    """The one that judges it: test, or val where there is no test."""
    predictions: Predictions | None
    lacks: str | None

    @property
    def name(self) -> str:
        """What the user called it."""
        return str(self.folder.path)

    @property
    def figures(self) -> dict[str, float]:
        """The figures of results.json on that split."""
        return figures_of(self.results.get(self.split))

    @property
    def seconds(self) -> float | None:
        """How long the run took, in all its processes: until its last checkpoint in those that were broken off."""
        return figures_of(self.results.get("seconds")).get("total")

    @property
    def train(self) -> Mapping[str, Any]:
        """The spec's key `train`."""
        train = self.resolved["spec"].get("train")
        return train if isinstance(train, Mapping) else {}

    @property
    def weights(self) -> Path:
        """The file of its best epoch's weights."""
        return self.folder.best() / "model.safetensors"


def figures_of(value: Any) -> dict[str, float]:
    """What of an object is a number by itself; nothing where it is none."""
    return {key: each for key, each in value.items() if is_figure(each)} if isinstance(value, Mapping) else {}


def read(path: Path, *, with_predictions: bool = True) -> Contender:
    """What a run's folder says; its predictions, which may be large, only if asked for.

    Raises SpecError where there is no run with a best epoch, FtrunError where a file of it is damaged.
    """
    folder = RunFolder.existing(path)
    best = folder.best()
    resolved = folder.read_json("resolved.json")
    state = folder.read_status().get("state")
    finished = (path / "results.json").is_file() and state == "finished"
    targets = record.checked(record.Resolved, resolved, path / "resolved.json").targets
    split = "test" if "test" in resolved["samples"] else "val"
    said = predictions.of_best(folder, split) if with_predictions else None
    return Contender(
        folder,
        resolved,
        folder.read_json("results.json") if finished else {},
        folder.read_json(f"checkpoints/{best.name}/net.json"),
        targets,
        split,
        _checked(said, targets, predictions.path_of(folder, split)) if said else None,
        None if said else _why_not(path, split, state),
    )


def _checked(said: Predictions, targets: Mapping[str, Target], path: Path) -> Predictions:
    for name, target in targets.items():
        outputs, truth = said.outputs.get(name), said.truth.get(name)
        if outputs is None or truth is None or outputs.ndim != 2 or outputs.shape[1] != target.outputs:
            raise FtrunError(f"{path}: is damaged: it is of other targets. Remove it; ftrun evaluate makes it again.")
        target.check(truth, f"{path}, target {name!r}")
    return said


def _why_not(path: Path, split: str, state: Any) -> str:
    if state != "finished":
        return f"{path} is {state}: it has not been judged on {split} yet"
    return f"{path} has kept no predictions of its best epoch on {split}. To have them: ftrun evaluate {path}"
