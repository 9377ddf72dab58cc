"""Losses `cross-entropy`, `mse`, `bce`; the objective `supervised`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

import ftrun

if TYPE_CHECKING:
    from torch import Tensor, nn

FTRUN_API = "2.0"

Weight = Annotated[float, Field(gt=0)]


class CrossEntropyLoss(ftrun.Loss):
    """Cross-entropy of the classes, with label smoothing and class weights where they are wanted."""

    name: Literal["cross-entropy"]
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Part of each label that is spread evenly over all classes."
    )
    class_weights: Literal["auto"] | dict[str, Weight] | None = Field(
        None, description='Weight of each class by its name; "auto" makes all classes count alike, however rare.'
    )

    def build(self, target: ftrun.Target, values: "Tensor") -> "nn.Module":
        """The mean over samples of weight of the sample's class x its cross-entropy, smoothed or not.

        The sum is divided by the number of samples, and not, as torch does it, by the sum of the batch's weights:
        so a batch in parts gives the same gradient as the whole. Label smoothing: Szegedy et al., "Rethinking the
        Inception architecture", 2016.

        values: int64 [N], the training labels, for "auto". Raises SpecError for a weight of an unknown class.
        """
        from ftrun_losses import modules

        weights, names = None, target.names_in_use()
        if self.class_weights == "auto":
            weights = modules.balanced_weights(values, len(names))
        elif self.class_weights is not None:
            weights = modules.weights_in_order(_known(self.class_weights, names), names)
        return modules.CrossEntropy(weights, self.label_smoothing)


class MSELoss(ftrun.Loss):
    """Mean squared error; classes count as one-hot vectors."""

    name: Literal["mse"]
    kinds = ("values", "classes")

    def build(self, target: ftrun.Target, values: "Tensor") -> "nn.Module":
        """The mean over samples and outputs.

        On classes: Hui and Belkin, "Evaluation of neural architectures trained with square loss vs cross-entropy in
        classification tasks", 2020.
        """
        from torch.nn import functional as F

        from ftrun_losses.modules import Elementwise

        return Elementwise(F.mse_loss, one_hot=target.kind == "classes")


class BCELoss(ftrun.Loss):
    """Binary cross-entropy of each label on its own; classes count as one-hot vectors."""

    name: Literal["bce"]
    kinds = ("labels", "classes")

    def build(self, target: ftrun.Target, values: "Tensor") -> "nn.Module":
        """The mean over samples and outputs, which are logits.

        On classes: Wightman et al., "ResNet strikes back: an improved training procedure in timm", 2021.
        """
        from torch.nn import functional as F

        from ftrun_losses.modules import Elementwise

        return Elementwise(F.binary_cross_entropy_with_logits, one_hot=target.kind == "classes")


class Supervised(ftrun.Objective):
    """The sum of the targets' losses, weighted by `train.loss_weights`: what a spec without an objective has too."""

    name: Literal["supervised"]

    def build(self, net: "ftrun.Net", losses: "ftrun.ObjectiveModule | None") -> "ftrun.ObjectiveModule":
        """Return the losses as they are."""
        assert losses is not None
        return losses


def _known(weights: Mapping[str, float], classes: tuple[str, ...]) -> Mapping[str, float]:
    """`weights`, if all of their names are classes. Raises SpecError."""
    unknown = [name for name in weights if name not in classes]
    if unknown:
        near = ftrun.did_you_mean(unknown[0], classes)
        listed = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
        raise ftrun.SpecError(f"class_weights: no class is called {unknown[0]!r}.{near} The classes are {listed}.")
    return weights


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [CrossEntropyLoss, MSELoss, BCELoss]


@ftrun.hookimpl
def ftrun_objectives() -> list[type[ftrun.Objective]]:
    return [Supervised]
