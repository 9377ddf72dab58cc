"""The roles of what a net is trained and evaluated by; `specs` has them with the others."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ftrun.contracts.data import Split
from ftrun.contracts.netroles import Head
from ftrun.contracts.part import Part, Stateful
from ftrun.contracts.targets import Target

if TYPE_CHECKING:
    from torch import nn

    from ftrun.contracts.net import Net
    from ftrun.contracts.objective import ObjectiveModule


class Sampler(Part):
    """Which training samples an epoch takes, and in which order; each once, at random, where a spec names none."""

    role = "sampler"

    @abstractmethod
    def build(self, split: Split, targets: Mapping[str, Target]) -> Any:
        """Return an object with `indices(seed, epoch) -> int64 [M]`, a pure function of these: positions in the split.

        They may repeat, and each time a sample comes it is augmented anew. M is the same in every epoch (from 1).

        split: the training split, of whose `columns` it may make use; targets: what the data has
        """


class Loss(Stateful):
    """What training makes small. `kinds` are the kinds of target that it works on."""

    role = "loss"
    kinds: ClassVar[tuple[str, ...]] = ("classes",)

    @property
    def head(self) -> Head | None:
        """The head that its targets have where the spec names none, of a loss that needs one of its own."""
        return None

    @abstractmethod
    def build(self, target: Target, values: Any) -> "nn.Module":
        """Return a module (output [B, outputs], target values [B, ...]) -> scalar, the mean over the batch.

        Its `forward(output, values)` may name more: `embedding`, float32, what the net's head takes; `inputs`, as the
        net takes them; `ids`, int64 [B], the samples' positions in their split. It gets what it names, by name. `build`
        may name `net` too, for its sizes.

        It may have parameters, which learn as the net's do, and buffers, which its `forward` may write to in training:
        both are in the checkpoints. It is in evaluation mode where val and test are evaluated, and what it writes to
        its buffers then is undone.

        values: the target's column in the training split, a tensor [N, ...], to weigh by; None where it is no column
        """


class Objective(Stateful):
    """What a training step makes small; the sum of the targets' losses where a spec names none.

    uses_losses: whether it takes that sum, so that a spec has `loss`; where it does not, no target needs a loss, and
        data needs no targets
    """

    role = "objective"
    uses_losses: ClassVar[bool] = True

    @abstractmethod
    def build(self, net: "Net", losses: "ObjectiveModule | None") -> "ObjectiveModule":
        """Return the module that is called with net and batch in each step. It may use a second net, a teacher.

        net: as training starts, on its device, with the head that the targets need: for sizes and copies. It must not
            be kept: `forward` is called with it, or with another one that has its weights
        losses: the weighted sum of the targets' losses, called as an objective is: to be added to, or to be replaced;
            None if not `uses_losses`
        """


@dataclass(frozen=True)
class ParameterInfo:
    """What an optimizer may treat a parameter of the net by."""

    name: str
    """Its name in the net: `model.layer1.0.conv1.weight`."""
    shape: tuple[int, ...]
    in_head: bool
    """Whether it is of the stage `head`: fresh, and not pretrained."""
    embeds: bool
    """Whether its rows are those of a layer of embeddings, such as tokens'."""


class Optimizer(Part):
    """How gradients change weights."""

    role = "optimizer"

    def group_options(self, parameter: ParameterInfo) -> Mapping[str, Any]:
        """Return what is other for one parameter than these options say: `{"weight_decay": 0.0}` for a bias.

        It is in its group of torch's, which parameters with the same options share. Nothing by default.
        """
        return {}

    @abstractmethod
    def build(self, params: Any) -> Any:
        """Return a `torch.optim.Optimizer` over `params`: parameters, or torch's parameter groups.

        The groups have what `group_options` gave. An objective's own parameters are a group whose `weight_decay` is 0.
        """


class Scheduler(Part):
    """How the learning rate changes during a run."""

    role = "scheduler"

    @abstractmethod
    def build(self) -> Callable[[float], float]:
        """Return the factor on the rate as a pure function of progress, 0 at the first step to 1 after the last."""


class Metric(Part):
    """A measure of predictions. `kinds` are the kinds of target that it works on.

    higher_is_better: whether more of it is better, or of each number that it gives; None where none can be monitored.
    """

    role = "metric"
    kinds: ClassVar[tuple[str, ...]] = ("classes",)
    higher_is_better: ClassVar[bool | None] = True

    @property
    def key(self) -> str:
        """Its name in metrics and results, `f1_macro`: distinct for options that give distinct numbers."""
        return self.name.rpartition(":")[2].replace("-", "_")

    @abstractmethod
    def build(self, target: Target) -> Any:
        """Return an object with torchmetrics' `update(output, values)`, `compute()`, `reset()` and `to(device)`.

        `compute()` gives a number, a tensor, or a mapping of names to these: metrics `key/name`.
        """
