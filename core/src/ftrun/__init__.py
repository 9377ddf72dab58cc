"""ftrun: fine-tune pretrained models, assembled from installed plugins. These names are what a plugin may use."""

import os
from typing import TYPE_CHECKING, Any

from ftrun.contracts.lazy import lazily

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ftrun.contracts.commands import Command
    from ftrun.contracts.data import Batch, Sample, Split, Splits, Subset, TensorSplit, counted
    from ftrun.contracts.errors import DataError, FtrunError, PluginError, SpecError, did_you_mean
    from ftrun.contracts.events import EpochInfo, FinishedRun, RunInfo
    from ftrun.contracts.filescan import FileScan, is_folder
    from ftrun.contracts.inputs import ImageInput, InputSpec, TextInput
    from ftrun.contracts.libraries import library_errors
    from ftrun.contracts.markers import hookimpl
    from ftrun.contracts.net import Heads, Net, outputs_by_target
    from ftrun.contracts.paths import expand_path
    from ftrun.contracts.randomness import SampleRandom
    from ftrun.contracts.reasons import suggestions
    from ftrun.contracts.specs import (
        Augmentation,
        Backbone,
        Dataset,
        Exporter,
        Hub,
        Loss,
        Metric,
        Modifier,
        Observer,
        Optimizer,
        Part,
        Scheduler,
    )
    from ftrun.contracts.targets import Classes, Labels, Target, Values
    from ftrun.contracts.weightfiles import weight_file_kind
    from ftrun.contracts.weights import read_weights
    from ftrun.data.cut import keep_classes
    from ftrun.data.filedigests import files_fingerprint
    from ftrun.inference.predictor import Prediction, Predictor
    from ftrun.inference.run import Run
    from ftrun.plugins.apiversion import API_VERSION

__version__ = "0.1.0"

__all__ = [
    "API_VERSION",
    "Augmentation",
    "Backbone",
    "Batch",
    "Classes",
    "Command",
    "DataError",
    "Dataset",
    "EpochInfo",
    "Exporter",
    "FileScan",
    "FinishedRun",
    "FtrunError",
    "Heads",
    "Hub",
    "ImageInput",
    "InputSpec",
    "Labels",
    "Loss",
    "Metric",
    "Modifier",
    "Net",
    "Observer",
    "Optimizer",
    "Part",
    "PluginError",
    "Prediction",
    "Predictor",
    "Run",
    "RunInfo",
    "Sample",
    "SampleRandom",
    "Scheduler",
    "SpecError",
    "Split",
    "Splits",
    "Subset",
    "Target",
    "TensorSplit",
    "TextInput",
    "Values",
    "counted",
    "did_you_mean",
    "expand_path",
    "files_fingerprint",
    "grouped_spellings",
    "hookimpl",
    "is_folder",
    "keep_classes",
    "library_errors",
    "load",
    "open",
    "outputs_by_target",
    "read_weights",
    "run",
    "suggestions",
    "weight_file_kind",
]


_HOME = {
    "ftrun.plugins.apiversion": "API_VERSION",
    "ftrun.data.cut": "keep_classes",
    "ftrun.contracts.data": "Batch Sample Split Splits Subset TensorSplit counted",
    "ftrun.contracts.errors": "DataError FtrunError PluginError SpecError did_you_mean",
    "ftrun.contracts.events": "EpochInfo FinishedRun RunInfo",
    "ftrun.data.filedigests": "files_fingerprint",
    "ftrun.contracts.filescan": "FileScan is_folder",
    "ftrun.contracts.commands": "Command",
    "ftrun.contracts.markers": "hookimpl",
    "ftrun.contracts.inputs": "ImageInput InputSpec TextInput",
    "ftrun.contracts.libraries": "library_errors",
    "ftrun.contracts.net": "Heads Net outputs_by_target",
    "ftrun.contracts.paths": "expand_path",
    "ftrun.contracts.randomness": "SampleRandom",
    "ftrun.contracts.reasons": "suggestions",
    "ftrun.inference.predictor": "Prediction Predictor",
    "ftrun.inference.run": "Run",
    "ftrun.data.spellings": "grouped_spellings",
    "ftrun.contracts.specs": (
        "Augmentation Backbone Dataset Exporter Hub Loss Metric Modifier Observer Optimizer Part Scheduler"
    ),
    "ftrun.contracts.targets": "Classes Labels Target Values",
    "ftrun.contracts.weightfiles": "weight_file_kind",
    "ftrun.contracts.weights": "read_weights",
}
"""The public names of each module."""


def load(run: str | os.PathLike[str], device: str | None = None, *, trust: bool = False) -> "Predictor":
    """The best epoch of a run, to predict with: `ftrun.load("runs/quickstart-1").predict("a.jpg")`.

    Inputs are read and prepared, and the net computes, as when the run was judged. Nothing is fetched.

    run: the run folder; device: cpu, cuda, cuda:1, ...; the run's own, if it is here, if not given
    trust: whether code that the folder has of its net may run although this user has never run it: it can do anything
    """
    from ftrun.inference.predictor import load as load_predictor

    return load_predictor(run, device, trust=trust)


def open(run: str | os.PathLike[str], *, trust: bool = False) -> "Run":  # noqa: A001  (read as ftrun.open)
    """Return a run as an object: its spec, status, results, history and net; to predict, evaluate and resume.

    run: the run folder
    trust: whether code that the folder has may run although this user has never run it: it can do anything

    Raises SpecError where there is no such run folder.
    """
    from ftrun.inference.run import Run

    return Run(run, trust=trust)


def run(
    spec: "str | os.PathLike[str] | Mapping[str, Any]",
    *,
    out: str | os.PathLike[str] | None = None,
    device: str | None = None,
    set: "Sequence[str] | Mapping[str, Any]" = (),  # noqa: A002  (as --set)
    init_from: "str | os.PathLike[str] | Run | None" = None,
    quiet: bool = False,
) -> "Run":
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
    from ftrun.inference.run import run as run_spec

    return run_spec(spec, out=out, device=device, overrides=set, init_from=init_from, quiet=quiet)


# A name loads its module with its first use: the command line answers Ctrl-C before pydantic is loaded, and what needs
# torch (nets, in a plugin's build()) loads it where it is needed.
__getattr__ = lazily(__name__, _HOME)
