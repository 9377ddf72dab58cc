"""What one training step makes small: a module with the net in view, of which the sum of the targets' losses is one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from ftrun.contracts.data import Batch
from ftrun.contracts.net import Net
from ftrun.contracts.randomness import SampleRandom, seed_of
from ftrun.contracts.trees import Tree


@dataclass(frozen=True, slots=True)
class StepInfo:
    """Where in a run an objective is asked. Whatever is random in an objective is a function of it.

    Wherever the net is evaluated it is the same: epoch and step 0, progress 1. So epochs compare, and a run that is
    evaluated again gives the same values.
    """

    seed: int
    epoch: int = 0
    """From 1."""
    step: int = 0
    """Optimizer steps before this one."""
    progress: float = 1.0
    """From 0 at the first step to 1 after the last."""
    training: bool = False

    def random(self, ids: Tensor, *place: int | str) -> SampleRandom:
        """Return random numbers for some samples at this step, the same in any batch.

        ids: int64 [B], `Batch.ids`; place: tells several uses from each other
        """
        return SampleRandom(seed_of(self.seed, "objective", self.step, *place), ids)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an objective gives for a batch."""

    loss: Tensor
    """A scalar, the mean over the batch."""
    outputs: Mapping[str, Tree] = field(default_factory=dict)
    """By target's name, what metrics and predictions are made of; a target without any has no metrics."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """Scalars by name, means over the batch, to be followed: `train/<name>` and `val/<name>` in metrics.jsonl."""


class ObjectiveModule(nn.Module):
    """What training makes small.

    Its parameters learn as the net's do, in a parameter group of their own, without weight decay. Parameters, buffers
    and extra state are in each checkpoint, as tensors. It is in training mode in training, and in evaluation mode where
    val and test are evaluated; a part of it that never trains, such as a teacher, is put into evaluation mode once.

    whole_batch: whether samples are compared with each other, so that a batch cannot go through the net in parts:
        where memory is short, that is then an error
    views: augmented views of each sample that it takes, `Batch.views`; with more than one, val and test have augmented
        ones too, always the same
    records: whether it does the same in every step as far as Python goes, so that a GPU may record it (CUDA graphs);
        what depends on `at` does not
    takes_embeddings: whether a batch may have the embeddings of a frozen backbone for inputs (`Batch.embedded`), since
        it asks nothing of the net but `outputs`
    unsaved: names of submodules that no checkpoint has, since `build` makes them anew: a teacher from a run folder
    """

    whole_batch: bool = False
    views: int = 1
    records: bool = False
    takes_embeddings: bool = False
    unsaved: tuple[str, ...] = ()

    def forward(self, net: Net, batch: Batch, at: StepInfo) -> Terms:
        """Return the loss of a batch, what the net gives for it, and parts of the loss to be followed.

        It is called in the precision of the run (torch.autocast), so outputs may be bfloat16: compute losses of
        `.float()`. A batch may come in parts, unless it is `whole_batch`.

        net: the net in training, or the average of its weights where that is evaluated
        batch: as the net takes it, on its device
        """
        raise NotImplementedError

    def after_step(self, net: Net, at: StepInfo) -> None:
        """Do what comes after an optimizer step, such as moving a teacher; no gradient is kept. Nothing by default."""
