"""ftrun: fine-tune pretrained models, assembled from installed plugins. These names are what a plugin may use."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftrun.apiversion import API_VERSION
    from ftrun.cut import keep_classes
    from ftrun.data import Batch, Sample, Split, Splits, Subset, TensorSplit, counted
    from ftrun.errors import DataError, FtrunError, PluginError, SpecError, did_you_mean
    from ftrun.events import EpochInfo, RunInfo
    from ftrun.exportable import Exportable
    from ftrun.filedigests import files_fingerprint
    from ftrun.filescan import FileScan, is_folder
    from ftrun.hooks import hookimpl
    from ftrun.inputs import ImageInput, InputSpec, TextInput
    from ftrun.libraries import library_errors
    from ftrun.net import Heads, Net
    from ftrun.paths import expand_path
    from ftrun.randomness import SampleRandom
    from ftrun.reasons import suggestions
    from ftrun.run.predictor import Prediction, Predictor
    from ftrun.specs import (
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
    from ftrun.targets import Classes, Labels, Target, Values
    from ftrun.weightfiles import weight_file_kind
    from ftrun.weights import read_weights

__version__ = "0.1.0"

__all__ = [
    "API_VERSION",
    "Augmentation",
    "Backbone",
    "Batch",
    "Classes",
    "DataError",
    "Dataset",
    "EpochInfo",
    "Exportable",
    "Exporter",
    "FileScan",
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
    "read_weights",
    "suggestions",
    "weight_file_kind",
]


_HOME = {
    "ftrun.apiversion": "API_VERSION",
    "ftrun.cut": "keep_classes",
    "ftrun.data": "Batch Sample Split Splits Subset TensorSplit counted",
    "ftrun.errors": "DataError FtrunError PluginError SpecError did_you_mean",
    "ftrun.events": "EpochInfo RunInfo",
    "ftrun.exportable": "Exportable",
    "ftrun.filedigests": "files_fingerprint",
    "ftrun.filescan": "FileScan is_folder",
    "ftrun.hooks": "hookimpl",
    "ftrun.inputs": "ImageInput InputSpec TextInput",
    "ftrun.libraries": "library_errors",
    "ftrun.net": "Heads Net",
    "ftrun.paths": "expand_path",
    "ftrun.randomness": "SampleRandom",
    "ftrun.reasons": "suggestions",
    "ftrun.run.predictor": "Prediction Predictor",
    "ftrun.spellings": "grouped_spellings",
    "ftrun.specs": "Augmentation Backbone Dataset Exporter Hub Loss Metric Modifier Observer Optimizer Part Scheduler",
    "ftrun.targets": "Classes Labels Target Values",
    "ftrun.weightfiles": "weight_file_kind",
    "ftrun.weights": "read_weights",
}
"""The public names of each module."""


def load(run: str | os.PathLike[str], device: str | None = None, *, trust: bool = False) -> "Predictor":
    """The best epoch of a run, to predict with: `ftrun.load("runs/quickstart-1").predict("a.jpg")`.

    Inputs are read and prepared, and the net computes, as when the run was judged. Nothing is fetched.

    run: the run folder; device: cpu, cuda, cuda:1, ...; the run's own, if it is here, if not given
    trust: whether code that the folder has of its net may run although this user has never run it: it can do anything
    """
    from ftrun.run.predictor import load as load_predictor

    return load_predictor(run, device, trust=trust)


def __getattr__(name: str) -> Any:
    # A name loads its module with its first use: the command line answers Ctrl-C before pydantic is loaded, and what
    # needs torch (nets, in a plugin's build()) loads it where it is needed.
    from importlib import import_module

    for module, names in _HOME.items():
        if name in names.split():
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'ftrun' has no attribute {name!r}")
