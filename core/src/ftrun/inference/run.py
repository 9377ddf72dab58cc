"""`ftrun.open` and `ftrun.run`: a run as an object, which reads its folder and computes with its net."""

import html
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftrun.contracts.errors import FtrunError
from ftrun.contracts.figures import is_figure, shown
from ftrun.contracts.paths import expand_path
from ftrun.contracts.targets import Target
from ftrun.runs.folder import RunFolder, check_new
from ftrun.runs.record import Resolved, checked

if TYPE_CHECKING:
    from ftrun.contracts.data import Splits
    from ftrun.contracts.inputs import InputSpec
    from ftrun.contracts.net import Net
    from ftrun.inference.opened import Opened
    from ftrun.inference.predictor import Predictor
    from ftrun.plugins.catalogue import Catalogue
    from ftrun.runs.predictions import Predictions
    from ftrun.spec.runspec import RunSpec


class Run:
    """A run folder. What its files say is read anew each time, since the run may still be going on.

    Nothing is loaded, no code of the run is executed, and no device is used before `net`, `predictor`, `evaluate` or
    `resume` is. The command line's messages are exceptions here: `ftrun.FtrunError` and its subclasses.

    folder: the run folder; trust: whether code that the folder has may run although this user has never run it
    """

    def __init__(self, folder: str | os.PathLike[str], *, trust: bool = False) -> None:
        self._files = RunFolder.existing(expand_path(folder))
        self._trust = trust

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
        """What the run predicts, by name. Raises FtrunError where resolved.json is damaged."""
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
                outputs, truth = kept.outputs.get(name), kept.truth.get(name)
                if outputs is None or truth is None or outputs.ndim != 2 or outputs.shape[1] != target.outputs:
                    raise FtrunError(
                        f"{path}: is damaged: it is of other targets. Remove it; ftrun evaluate makes it again."
                    )
                target.check(truth, f"{path}, target {name!r}")
        return kept

    def evaluated_samples(self) -> dict[str, int]:
        """Return how many samples of that split have each target; empty where no predictions were kept."""
        from ftrun.runs import predictions

        return predictions.judged(self._files, self.split, self.targets)

    def check_weights(self) -> None:
        """Raise FtrunError where the weights of the best epoch, or what belongs to them, are not what was saved."""
        from ftrun.runs import checkpoint

        checkpoint.verify(self._files.best())

    def catalogue(self, keys: Collection[str], *, named: Iterable[tuple[str, str | None]] = ()) -> "Catalogue":
        """Return what is installed, and parts of the run folder's own code where one of these parts is among them.

        keys: those of the spec whose parts are needed; named: role and name of parts that the spec does not name

        Raises PluginError where code of the run folder is needed and may not run.
        """
        from ftrun.runs.ownparts import catalogue_of

        return catalogue_of(self._files, keys, named=named, trust=self._trust)

    @property
    def local_keys(self) -> set[str]:
        """The keys of the spec, such as "metrics", whose parts come from code in the run folder."""
        from ftrun.runs.ownparts import local_keys

        return local_keys(self.resolved)

    def checked_spec(self, keys: Collection[str]) -> "RunSpec":
        """Return the spec as a run has it, with its parts at these keys as objects; others are JSON values.

        Raises PluginError where a plugin is gone, or code of the run folder is needed and may not run.
        """
        from ftrun.runs import environment

        return environment.recorded_spec(self._files, self.resolved, self.catalogue(keys), keys)

    def input(self, spec: "RunSpec") -> "InputSpec":
        """Return how inputs are prepared for the net of the best epoch.

        spec: as `checked_spec` gives it, with the backbone as an object

        Raises FtrunError where the checkpoint is damaged.
        """
        from ftrun.runs import checkpoint

        best = self._files.best()
        try:
            return spec.backbone.input_type.restored(checkpoint.load_net(best)["input"])
        except FtrunError as error:
            if error.where == "resolved.json":  # it has the same input, but this one was taken
                error.where = str(best / checkpoint.NET)
            raise

    def data(self, spec: "RunSpec") -> "Splits":
        """Return the run's own data, with val cut from train as in the run.

        spec: as `checked_spec` gives it, with the dataset as an object

        Raises DataError where the data is gone, or is not what it was.
        """
        from ftrun.inference.judge import own_data

        return own_data(spec, self.resolved, "Bring the data back.")[0]

    @cached_property
    def net(self) -> "Net":
        """The net with the weights of the best epoch, in evaluation mode, on the run's device or the best one here."""
        return self.open().net

    def open(
        self, device: str | None = None, *, catalogue: "Catalogue | None" = None, keys: Collection[str] = ()
    ) -> "Opened":
        """Build the net and give it the weights of the best epoch. Returns what `ftrun predict` computes with.

        device: the run's, if it is available, or the best one here, if not given
        catalogue: where its parts come from; what is installed, and the run's own, if not given
        keys: those of the spec whose parts are wanted as objects too, such as "dataset", beside the net's
        """
        from ftrun.inference.opened import open_run

        return open_run(self._files, device, catalogue=catalogue, keys=keys, trust=self._trust)

    def predictor(self, device: str | None = None) -> "Predictor":
        """Return the best epoch as an object that predicts: `run.predictor().predict("a.jpg")`."""
        from ftrun.inference.predictor import Predictor

        return Predictor(self.open(device))

    def evaluate(
        self,
        dataset: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        split: str | None = None,
        device: str | None = None,
        allow_other_data: bool = False,
    ) -> dict[str, Any]:
        """Evaluate the best epoch, as `ftrun evaluate` does, and return what it prints as JSON.

        dataset: other data: a path of data like the run's own, or a dataset as in a spec, a dict or its JSON; the run's
            own data if not given
        split: the only one to evaluate; allow_other_data: whether the run's own data may have changed since
        """
        from ftrun.inference.caller import undisturbed
        from ftrun.inference.judge import judge

        data: str | Path | None = None
        if isinstance(dataset, Mapping):
            data = json.dumps(dataset)
        elif dataset is not None:
            path = expand_path(dataset)
            data = path if path.exists() else os.fspath(dataset)
        with undisturbed():
            return judge(self._files, data, split, device, other_data=allow_other_data, trust=self._trust)

    def resume(
        self,
        epochs: int | None = None,
        *,
        device: str | None = None,
        allow_other_data: bool = False,
        quiet: bool = False,
    ) -> "Run":
        """Go on from the last checkpoint, as `ftrun resume` does; nothing happens where the run is finished.

        epochs: how many epochs the run is to have in all, if more than it was for
        quiet: whether nothing is shown
        """
        if self.finished and epochs in (None, self._files.epochs):
            return self
        from ftrun.inference.caller import undisturbed
        from ftrun.runs.ownparts import catalogue_of
        from ftrun.train.session import resume

        catalogue = catalogue_of(self._files, trust=self._trust)
        self.__dict__.pop("net", None)
        with undisturbed():
            resume(self._files, catalogue, epochs, device, other_data=allow_other_data, quiet=quiet)
        return self

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
        return values, checked(Resolved, values, self.folder / "resolved.json")

    def _summary(self) -> str:
        status = self.status
        state = f"{status.get('state')} after epoch {status.get('epoch')} of {self._files.epochs}"
        return state + "".join(f", {self.split} {name} {shown(value)}" for name, value in self.metrics.items())


def run(
    spec: str | os.PathLike[str] | Mapping[str, Any],
    *,
    out: str | os.PathLike[str] | None = None,
    device: str | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    init_from: str | os.PathLike[str] | Run | None = None,
    quiet: bool = False,
) -> Run:
    """See `ftrun.run`."""
    from ftrun.spec.read import checked

    if isinstance(overrides, Mapping):
        overrides = [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    changes = tuple(overrides)
    given = checked(spec if isinstance(spec, Mapping) else expand_path(spec), changes)
    folder = None if out is None else expand_path(out)
    if folder is not None:
        check_new(folder)  # before anything heavy loads
    from ftrun.inference.caller import undisturbed
    from ftrun.train.session import Request, run_in_folder

    source = None if init_from is None else expand_path(init_from)
    request = Request(given.spec, given.name, given.text, changes, given.catalogue, folder, device, source, quiet=quiet)
    with undisturbed():
        made, _ = run_in_folder(request)
    return Run(made.path)


def numbers(values: Any) -> dict[str, float]:
    """Return the entries of a JSON object that are numbers; none where it is no object."""
    return {key: each for key, each in values.items() if is_figure(each)} if isinstance(values, Mapping) else {}
