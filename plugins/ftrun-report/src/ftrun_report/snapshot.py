"""What the folder of a run holds, read once: what a report, a model card and a comparison are made from."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ftrun import Run, Target
from ftrun.commands import Predictions, is_figure


class Snapshot:
    """A run with a best epoch, each of its files read when it is first needed, and kept.

    Whatever reads one raises FtrunError where it is missing or damaged.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def folder(self) -> Path:
        """The run folder, as the user called it."""
        return self.run.folder

    @cached_property
    def resolved(self) -> Mapping[str, Any]:
        """What resolved.json holds."""
        return self.run.resolved

    @cached_property
    def status(self) -> Mapping[str, Any]:
        """What status.json holds."""
        return self.run.status

    @cached_property
    def best(self) -> Mapping[str, Any]:
        """What net.json of the best epoch holds."""
        return self.run.best

    @cached_property
    def results(self) -> Mapping[str, Any] | None:
        """What results.json holds; None where the run is not finished."""
        return self.run.results

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return self.run.history

    @cached_property
    def targets(self) -> Mapping[str, Target]:
        """What the run predicts, by name."""
        return self.run.targets

    @cached_property
    def split(self) -> str:
        """The split that the run is evaluated on: test, or val where there is no test."""
        return self.run.split

    @cached_property
    def predictions(self) -> Predictions | None:
        """The outputs for each sample of that split, by the best epoch; None where none were kept."""
        return self.run.predictions()

    @property
    def evaluated(self) -> Predictions | None:
        """The predictions that the results come from; None where the run is not finished, or kept none."""
        return self.predictions if self.results is not None else None

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec, with every default."""
        spec: Mapping[str, Any] = self.resolved["spec"]
        return spec

    @property
    def train(self) -> Mapping[str, Any]:
        """The spec's key `train`."""
        train = self.spec.get("train")
        return train if isinstance(train, Mapping) else {}

    @property
    def seconds(self) -> float | None:
        """How long the run took, in all its processes: until its last checkpoint in those that were broken off."""
        return numbers((self.results or {}).get("seconds")).get("total")

    def metrics(self, split: str) -> dict[str, float]:
        """Return the metrics of a split that are one number; none where there are no results."""
        return numbers((self.results or {}).get(split))


def numbers(values: Any) -> dict[str, float]:
    """Return the entries of a JSON object that are one number; none where it is no object."""
    return {key: each for key, each in values.items() if is_figure(each)} if isinstance(values, Mapping) else {}
