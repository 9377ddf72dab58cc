"""The one reader of a run folder's files that needs no net."""

import html
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftrun.contracts.errors import DataError, FtrunError, SpecError
from ftrun.contracts.numbers import is_figure, shown
from ftrun.contracts.paths import expand_path
from ftrun.contracts.targets import Target
from ftrun.plugins.catalogue import Catalogue
from ftrun.runs.folder import RunFolder
from ftrun.runs.recorded import Resolved, Targets, checked

if TYPE_CHECKING:
    from ftrun.runs.predictions import Predictions


class RecordedRun:
    """The files of a run, read anew each time, since the run may still be going on.

    folder: the run folder. Raises SpecError where there is none.
    trust: whether code that the folder has of its targets may run although this user has never run it
    """

    def __init__(self, folder: str | os.PathLike[str], *, trust: bool = False) -> None:
        self._trust = trust
        self._files = RunFolder.existing(expand_path(folder))

    @property
    def folder(self) -> Path:
        """The run folder, as it was given."""
        return self._files.path

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name

    @property
    def resolved(self) -> dict[str, Any]:
        """What resolved.json holds: spec, targets, input, samples, plugins, versions, device, and so on.

        Raises FtrunError where it is damaged.
        """
        return self._resolved()[0]

    @property
    def spec(self) -> dict[str, Any]:
        """The spec with every default filled in; `ftrun.run` takes it as it is."""
        spec: dict[str, Any] = self.resolved["spec"]
        return spec

    @property
    def status(self) -> dict[str, Any]:
        """{"state": "running|finished|interrupted|failed|diverged", "epoch": .., "step": .., "reason": ..}."""
        return self._files.read_status()

    @property
    def finished(self) -> bool:
        """Whether the run has finished; one that is being extended has results, but of before."""
        return self.status.get("state") == "finished"

    def is_complete(self, epochs: int | None = None) -> bool:
        """Return whether the run has finished, and has as many epochs as asked for, if any are."""
        return self.finished and epochs in (None, self._files.epochs)

    @property
    def results(self) -> dict[str, Any] | None:
        """What results.json holds: best_epoch, val, test, samples, seconds; None where the run is not finished."""
        return self._files.read_json("results.json") if self.finished else None

    @property
    def history(self) -> list[dict[str, Any]]:
        """A dict for each epoch, such as {"epoch": 1, "train/loss": .., "val/accuracy": ..}; for pandas.DataFrame.

        Raises FtrunError where metrics.jsonl is damaged, or missing though an epoch is done.
        """
        path = self.folder / "metrics.jsonl"
        try:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not (self._files.checkpoints / "best").exists():
                return []  # of a run before its first epoch
            raise FtrunError(f"{path}: cannot be read: {error.strerror}.") from None
        except (ValueError, RecursionError):
            lines = [None]
        if not all(isinstance(line, dict) for line in lines):
            raise FtrunError(f"{path}: is damaged: it does not hold a JSON object a line.")
        return lines

    @property
    def targets(self) -> Mapping[str, Target]:
        """What the run predicts, by name, as it was calibrated if it was. Raises FtrunError where a file is damaged."""
        learned = self.learned_targets
        try:
            best, path = self.best, self._files.best() / "net.json"
        except SpecError:
            return learned
        now = checked(Targets, best, path, self._catalogue).targets if "targets" in best else {}
        return {name: now.get(name, target) for name, target in learned.items()}

    @property
    def learned_targets(self) -> Mapping[str, Target]:
        """The same as training began with them: without what was fitted to val afterwards."""
        return self._resolved()[1].targets

    @property
    def best(self) -> dict[str, Any]:
        """What net.json of the best epoch holds: backbone, modifiers, input, targets, epoch, step, val.

        Raises SpecError where there is no best epoch yet.
        """
        return self._files.read_json(f"checkpoints/{self._files.best().name}/net.json")

    @property
    def weights(self) -> Path:
        """The file of the best epoch's weights. Raises SpecError where there is no best epoch yet."""
        return self._files.best() / "model.safetensors"

    @property
    def split(self) -> str:
        """The split that the run is evaluated on: test, or val where there is no test."""
        return "test" if "test" in self.resolved["samples"] else "val"

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of `results` on that split that are numbers by themselves; empty where there are no results."""
        return numbers((self.results or {}).get(self.split))

    def predictions(self) -> "Predictions | None":
        """Return the outputs for each sample of that split, by the best epoch; None where none were kept.

        Raises FtrunError where the file is damaged, or is of other targets.
        """
        from ftrun.runs import predictions

        kept = predictions.of_best(self._files, self.split)
        if kept is not None:
            path = predictions.path_of(self._files, self.split)
            for name, target in self.targets.items():
                try:
                    target.check_packed(kept.outputs.get(name), kept.truth.get(name), f"target {name!r}")
                except DataError as error:
                    raise FtrunError(
                        f"{path}: is damaged: it is of other targets. In {error} Remove it; ftrun evaluate makes it "
                        "again."
                    ) from None
        return kept

    def evaluated_samples(self) -> dict[str, int]:
        """Return how many samples of that split have each target; empty where no predictions were kept."""
        from ftrun.runs import predictions

        return predictions.evaluated_samples(self._files, self.split, self.targets)

    def check_weights(self) -> None:
        """Raise FtrunError where the weights of the best epoch, or what belongs to them, are not what was saved."""
        from ftrun.runs import checkpoint

        checkpoint.verify(self._files.best())

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        return f"<ftrun run {str(self.folder)!r}: {self._summary()}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(shown(value))}</td></tr>"
            for name, value in self.metrics.items()
        )
        title = f"<b>{html.escape(str(self.folder))}</b>: {html.escape(self._summary())}"
        return f"{title}<table><tr><th>{html.escape(self.split)}</th><th></th></tr>{rows}</table>" if rows else title

    def _resolved(self) -> tuple[dict[str, Any], Resolved]:
        """Return what resolved.json holds, as it is and as it was checked."""
        values = self._files.read_json("resolved.json")
        return values, checked(Resolved, values, self.folder / "resolved.json", self._catalogue)

    def _catalogue(self) -> Catalogue:
        """Return where kinds of target come from."""
        return self._files.catalogue((), trust=self._trust)

    def _summary(self) -> str:
        status = self.status
        state = f"{status.get('state')} after epoch {status.get('epoch')} of {self._files.epochs}"
        return state + "".join(f", {self.split} {name} {shown(value)}" for name, value in self.metrics.items())


def numbers(values: Any) -> dict[str, float]:
    """Return the entries of a JSON object that are numbers; none where it is no object."""
    return {key: each for key, each in values.items() if is_figure(each)} if isinstance(values, Mapping) else {}
