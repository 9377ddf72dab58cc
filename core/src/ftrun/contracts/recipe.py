"""The role of what fills in how to train, so that a spec of a dataset and a backbone is whole."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ftrun.contracts.geometry import Size
from ftrun.contracts.part import Part

if TYPE_CHECKING:
    from ftrun.contracts.targets import Target


@dataclass(frozen=True)
class TrainingRanges:
    """How the nets of a backbone train well: what recipes start from, and the rates outside of which nothing is gained.

    family: what messages call these nets: "EfficientNet", "DINOv2"
    optimizer: the name of the optimizer that the rates are for
    lr: learning rate where everything learns; head_lr: where the head alone does, on a frozen net's features
    head_first: whether a new head is best trained alone first, so that `lr` is for what follows; if not, `lr` is for a
        net with a new head
    lr_range: the least and the largest `lr` that make sense
    layer_decay: factor on the learning rate from each stage to the one before it
    warmup: part of the training in which the rate rises
    norm: what batch normalisation does where everything learns, as in `train.phases`
    size: side in pixels that the weights were trained with; None for inputs without pixels, or where it is not known
    pretrained: whether the net comes with weights that are worth keeping
    """

    family: str
    optimizer: str = "adamw"
    lr: float = 3e-4
    head_lr: float = 3e-3
    head_first: bool = True
    lr_range: tuple[float, float] = (1e-5, 3e-3)
    weight_decay: float = 0.01
    layer_decay: float = 1.0
    warmup: float = 0.1
    norm: Literal["auto", "train", "frozen"] = "auto"
    batch_size: int = 64
    size: int | None = None
    pretrained: bool = True


@dataclass(frozen=True)
class Facts:
    """What a recipe knows of a run: the data, what the spec states, and what is installed.

    spec: what the user states, JSON values with parts as objects; what is left out is not in it
    samples: their number, by split
    targets: what is predicted, by name
    class_counts: training samples of each class, by target and name, where they are known
    ranges: those of the backbone, or None where it has none
    input_kind: what its inputs are: `image`, `text`
    raw_size: median height and width of some raw inputs; None for inputs without pixels
    device: `cpu`, `cuda`
    minutes: the time that the run may take in all; None where it is not limited
    parts: what is installed, by role and name
    """

    spec: Mapping[str, Any]
    samples: Mapping[str, int]
    targets: "Mapping[str, Target]"
    class_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ranges: TrainingRanges | None = None
    input_kind: str = ""
    raw_size: Size | None = None
    device: str = "cpu"
    minutes: float | None = None
    parts: Mapping[str, Mapping[str, type[Part]]] = field(default_factory=dict)

    def states(self, *keys: str) -> bool:
        """Return whether the user states any of these keys, `train.epochs`; such a key is not filled in."""
        return any(_has(self.spec, key.split(".")) for key in keys)


@dataclass(frozen=True)
class Pace:
    """How fast a run computes here, as measured before its first step. All times are seconds.

    seconds: the time that is left for training and for evaluating on val
    steps_per_epoch: optimizer steps of a pass over the training samples
    features: to run the frozen net once on all of train and val, whose embeddings are then kept; 0 where they are
    head: of an epoch in which the head alone learns, val's evaluation included; on embeddings, where they are kept
    everything: of an epoch in which everything learns, without evaluation
    evaluation: of evaluating the whole net on val
    """

    seconds: float
    steps_per_epoch: int
    features: float
    head: float
    everything: float
    evaluation: float


@dataclass(frozen=True)
class Filled:
    """What a recipe fills in.

    spec: keys of a spec, JSON values: {"loss": "cross-entropy", "train": {"phases": [...]}}. What the user states wins;
        of `train` and `input`, that holds for each of their keys
    why: reasons in a few words, by key: {"input.size": "images of 32 pixels"}
    """

    spec: Mapping[str, Any]
    why: Mapping[str, str] = field(default_factory=dict)


FILLS: Collection[str] = frozenset(
    {"sampler", "input", "augment", "loss", "optimizer", "scheduler", "metrics", "train"}
)
"""The keys of a spec that a recipe may fill in."""


class Recipe(Part):
    """How to train: what of a spec is left out, filled in for its data, its backbone and the time that there is.

    It applies where a spec names it, leaves out `loss` or `optimizer`, or has `train.minutes`.
    """

    role = "recipe"

    @abstractmethod
    def build(self, facts: Facts) -> Filled:
        """Return what is left out, before any net is built: of the keys in `FILLS`, as many as it knows better.

        The result is checked as a spec is. It needs no torch. With `facts.minutes`, the phases in it say which stages
        learn when; how long each takes is up to `plan`.

        Raises SpecError where it cannot know, such as which loss a kind of target has.
        """

    def plan(self, facts: Facts, pace: Pace) -> Filled:
        """Return what is left out where the run has `facts.minutes`, now that its speed is known.

        Of the keys `optimizer`, `scheduler` and `train`: first of all `train.phases`, whose epochs may be fractions,
        such as 0.4: a phase ends within an epoch then. If the machine turns out to be slower or faster, the lengths of
        the phases that are left change in proportion.

        facts: what `build` got; what it gives takes the place of what that filled in
        """
        return Filled({})


def _has(values: Any, path: list[str]) -> bool:
    for step in path:
        if not isinstance(values, Mapping) or step not in values:
            return False
        values = values[step]
    return True
