"""`ftrun.open` and `ftrun.run`: a run as an object, which reads its folder and computes with its net."""

import json
import os
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftrun.contracts.errors import FtrunError
from ftrun.contracts.paths import expand_path
from ftrun.runs.folder import check_new, local_keys
from ftrun.runs.recordedrun import RecordedRun

if TYPE_CHECKING:
    from ftrun.contracts.data import Splits
    from ftrun.contracts.inputs import InputSpec
    from ftrun.contracts.net import Net
    from ftrun.contracts.targets import Target
    from ftrun.inference.opened import Opened
    from ftrun.inference.predictor import Predictor
    from ftrun.plugins.catalogue import Catalogue
    from ftrun.spec.runspec import RunSpec

_TRAINING = threading.RLock()
"""Held by the run that trains: torch has one generator for all threads, and a run's draws have to be its own."""


class Run(RecordedRun):
    """A run folder. What its files say is read anew each time, since the run may still be going on.

    Nothing is loaded, no code of the run is executed, and no device is used before `net`, `predictor`, `evaluate` or
    `resume` is. The command line's messages are exceptions here: `ftrun.FtrunError` and its subclasses.

    folder: the run folder; trust: whether code that the folder has may run although this user has never run it
    """

    def __init__(self, folder: str | os.PathLike[str], *, trust: bool = False) -> None:
        super().__init__(folder, trust=trust)

    def catalogue(self, keys: Collection[str], *, named: Iterable[tuple[str, str | None]] = ()) -> "Catalogue":
        """Return what is installed, and parts of the run folder's own code where one of these parts is among them.

        keys: those of the spec whose parts are needed; named: role and name of parts that the spec does not name

        Raises PluginError where code of the run folder is needed and may not run.
        """
        return self._files.catalogue(keys, named=named, trust=self._trust)

    @property
    def local_keys(self) -> set[str]:
        """The keys of the spec, such as "metrics", whose parts come from code in the run folder."""
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
        from ftrun.inference.evaluation import own_data

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
        keys: those of the spec whose parts are wanted as objects too, such as "dataset", besides the net's
        """
        from ftrun.inference.opened import open_run

        return open_run(self._files, device, catalogue=catalogue, keys=keys, trust=self._trust)

    def predictor(self, device: str | None = None, *, flips: bool | None = None) -> "Predictor":
        """Return the best epoch as an object that predicts: `run.predictor().predict(path)`.

        flips: whether over each image and its mirror image; as the run was evaluated if not given
        """
        from ftrun.inference.predictor import Predictor

        return Predictor(self.open(device), flips)

    def evaluate(
        self,
        dataset: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        split: str | None = None,
        device: str | None = None,
        allow_other_data: bool = False,
        flips: bool | None = None,
    ) -> dict[str, Any]:
        """Evaluate the best epoch, as `ftrun evaluate` does, and return what it prints as JSON.

        dataset: other data: a path of data like the run's own, or a dataset as in a spec, a dict or its JSON; the run's
            own data if not given
        split: the only one to evaluate; allow_other_data: whether the run's own data may have changed since
        flips: whether over each image and its mirror image; as in the run if not given
        """
        from ftrun.inference.evaluation import evaluate_run

        data: str | Path | None = None
        if isinstance(dataset, Mapping):
            data = json.dumps(dataset)
        elif dataset is not None:
            path = expand_path(dataset)
            data = path if path.exists() else os.fspath(dataset)
        with undisturbed():
            asked: dict[str, Any] = {"other_data": allow_other_data, "trust": self._trust, "flips": flips}
            return evaluate_run(self._files, data, split, device, **asked)

    def calibrate(self, targets: "Mapping[str, Target]", results: Mapping[str, Any]) -> None:
        """Have the best epoch predict by targets that were fitted after training, and results.json say what it is then.

        targets: the run's own, by name, with others of their `calibrated_fields`
        results: what results.json is to hold

        Raises FtrunError where a process is at work in the folder, or the checkpoint is damaged; ValueError for targets
        that the run has not learned.
        """
        learned = self.learned_targets
        if {name: each.learned() for name, each in targets.items()} != {
            name: each.learned() for name, each in learned.items()
        }:
            raise ValueError("calibrated targets differ from the run's in more than their calibrated_fields")
        from ftrun.runs import checkpoint

        with self._files.locked():
            described = {name: targets[name].model_dump(mode="json") for name in learned}
            checkpoint.amend(self._files.best(), targets=described)
            self._files.write_json("results.json", results)
        self.__dict__.pop("net", None)

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
        if self.is_complete(epochs):
            return self
        from ftrun.train.begin import resume

        catalogue = self._files.catalogue(trust=self._trust)
        self.__dict__.pop("net", None)
        with undisturbed():
            resume(self._files, catalogue, epochs, device, other_data=allow_other_data, quiet=quiet)
        return self


def load(run: str | os.PathLike[str], device: str | None = None, *, trust: bool = False) -> "Predictor":
    """Return the best epoch of a run, to predict with: `ftrun.load("runs/quickstart-1").predict(path)`.

    Inputs are read and prepared, and the net computes, as when the run was evaluated. Nothing is fetched.

    run: the run folder; device: cpu, cuda, cuda:1, ...; the run's own, if it is here, if not given
    trust: whether code that the folder has of its net may run although this user has never run it: it can do anything
    """
    return Run(run, trust=trust).predictor(device)


def open(run: str | os.PathLike[str], *, trust: bool = False) -> Run:  # noqa: A001  (read as ftrun.open)
    """Return a run as an object: its spec, status, results, history and net; to predict, evaluate and resume.

    run: the run folder
    trust: whether code that the folder has may run although this user has never run it: it can do anything

    Raises SpecError where there is no such run folder.
    """
    return Run(run, trust=trust)


def run(
    spec: str | os.PathLike[str] | Mapping[str, Any],
    *,
    out: str | os.PathLike[str] | None = None,
    device: str | None = None,
    set: Sequence[str] | Mapping[str, Any] = (),  # noqa: A002  (as --set)
    init_from: str | os.PathLike[str] | Run | None = None,
    quiet: bool = False,
) -> Run:
    """Train, evaluate and save the model that a spec describes, as `ftrun SPEC` does; return the run.

    Ctrl-C stops it after the step that is going on, with a checkpoint saved, as on a terminal: `ftrun.FtrunError`.
    Afterwards torch's generators and number of threads, and the signal handlers, are as before. Runs that several
    threads start train one after another, since torch's generators are one for all of them.

    spec: the object that a spec file would hold, or the file
    out: the run folder, a new one; runs/NAME-N if not given, with the file's name, or `spec`
    device: cpu, cuda, cuda:1, ...; the best one here if not given
    set: changes of the spec, {"optimizer.lr": 0.01} or ["optimizer.lr=0.01"]
    init_from: a run whose best epoch's weights to start from, as far as they fit
    quiet: whether nothing is shown; the run's log.txt has it all

    Raises SpecError with all mistakes of the spec, and what the command line ends with: PluginError, DataError, ...
    """
    from ftrun.spec.read import checked

    if isinstance(set, Mapping):
        set = [f"{key}={json.dumps(value)}" for key, value in set.items()]  # noqa: A001
    changes = tuple(set)
    given = checked(spec if isinstance(spec, Mapping) else expand_path(spec), changes)
    folder = None if out is None else expand_path(out)
    if folder is not None:
        check_new(folder)  # before anything heavy loads
    from ftrun.train.begin import Request, run_in_folder

    source = None if init_from is None else expand_path(init_from)
    request = Request(given.spec, given.name, given.text, changes, given.catalogue, folder, device, source, quiet=quiet)
    with undisturbed():
        made, _ = run_in_folder(request)
    return Run(made.path)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Wait for the runs of other threads; afterwards, torch's generators and number of threads are as before."""
    import torch

    with _TRAINING:
        threads, cpu = torch.get_num_threads(), torch.get_rng_state()
        gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            torch.set_rng_state(cpu)
            if gpus:
                torch.cuda.set_rng_state_all(gpus)
            torch.set_num_threads(threads)
