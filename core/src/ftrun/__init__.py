"""ftrun: fine-tune pretrained models, assembled from installed plugins. These names are what a plugin may use."""

from typing import TYPE_CHECKING, Any

from ftrun.apiversion import API_VERSION
from ftrun.data import Batch, Sample, Split, Splits, Subset, TensorSplit
from ftrun.errors import DataError, FtrunError, PluginError, SpecError, did_you_mean
from ftrun.events import EpochInfo, RunInfo
from ftrun.hooks import hookimpl
from ftrun.inputs import ImageInput, InputSpec
from ftrun.randomness import SampleRandom
from ftrun.specs import (
    Augmentation,
    Backbone,
    Dataset,
    Loss,
    Metric,
    Modifier,
    Observer,
    Optimizer,
    Part,
    Scheduler,
)
from ftrun.targets import Classes, Labels, Target, Values

if TYPE_CHECKING:
    from ftrun.net import Heads, Net

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
    "FtrunError",
    "Heads",
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
    "Values",
    "did_you_mean",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    # These are torch modules, so torch loads with the first use of them, inside a plugin's build().
    if name in ("Heads", "Net"):
        from ftrun import net

        return getattr(net, name)
    raise AttributeError(f"module 'ftrun' has no attribute {name!r}")
