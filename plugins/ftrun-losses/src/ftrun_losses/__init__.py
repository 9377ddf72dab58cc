"""Losses `cross-entropy`, `focal`, `arcface`, `bce`, `mse`, `huber`; the head `cosine`; the objective `supervised`."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

import ftrun

if TYPE_CHECKING:
    from torch import Tensor, nn

FTRUN_API = "2.0"

Weight = Annotated[float, Field(gt=0)]
Weights = Literal["auto"] | dict[str, Weight] | None


class CrossEntropyLoss(ftrun.Loss):
    """Cross-entropy of the classes, with label smoothing, class weights or logit adjustment where they are wanted."""

    name: Literal["cross-entropy"]
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Part of each label that is spread evenly over all classes."
    )
    class_weights: Weights = Field(
        None, description='Weight of each class by its name; "auto" makes all classes count alike, however rare.'
    )
    logit_adjustment: float = Field(
        0.0,
        ge=0,
        description="How often the logarithm of each class's share of the training samples is added to its logit in "
        "training, so that the net does not favour frequent classes; 1 is the paper's own, 0 leaves it.",
    )

    def build(self, target: ftrun.Target, values: "Tensor") -> "nn.Module":
        """The mean over samples of weight of the sample's class x its cross-entropy, smoothed or not.

        The sum is divided by the number of samples, and not, as torch does it, by the sum of the batch's weights:
        so a batch in parts gives the same gradient as the whole. Label smoothing: Szegedy et al., "Rethinking the
        Inception architecture", 2016. Logit adjustment: Menon et al., "Long-tail learning via logit adjustment", 2021;
        in training alone, so that what is predicted, and the loss on val, go by the net's own logits.

        values: int64 [N], the training labels, for "auto". Raises SpecError for a weight of an unknown class.
        """
        from ftrun_losses import weights
        from ftrun_losses.modules import CrossEntropy

        adjustment = None
        if self.logit_adjustment:
            counts = weights.class_counts(target, weights.known("logit_adjustment", values))
            adjustment = self.logit_adjustment * (counts.clamp(min=1) / counts.sum()).log()
        return CrossEntropy(
            _class_weights("class_weights", self.class_weights, target, values), self.label_smoothing, adjustment
        )


class FocalLoss(ftrun.Loss):
    """Cross-entropy of classes, or of each label on its own, that counts the less, the surer the net is of it."""

    name: Literal["focal"]
    kinds = ("classes", "labels")
    gamma: float = Field(2.0, ge=0, description="How much less what is sure counts; 0 for plain cross-entropy.")
    alpha: Weights = Field(
        None,
        description="Weight of each class by its name, 1 if not named. Of labels: what a label counts where it holds, "
        "0 to 1, where the rest is what it counts where it does not; 0.5 if not named. "
        '"auto" has both follow from how rare they are in the training samples.',
    )

    def build(self, target: ftrun.Target, values: "Tensor") -> "nn.Module":
        """The mean over samples, and labels, of alpha (1 - p)^gamma (-log p), p the probability of what is true.

        Lin et al., "Focal loss for dense object detection", 2017: for labels as there, from sigmoids; for classes with
        p from the softmax. Without `alpha` all count 1.

        values: the training labels, for "auto". Raises SpecError for an unknown name, and for labels' alpha above 1.
        """
        from ftrun_losses import modules, weights

        if target.kind == "classes":
            return modules.Focal(_class_weights("alpha", self.alpha, target, values), self.gamma)
        alpha = None
        if isinstance(self.alpha, dict):
            if too_much := [name for name, each in self.alpha.items() if each >= 1]:
                raise ftrun.SpecError(
                    f"alpha: {too_much[0]!r} has {self.alpha[too_much[0]]:g}, and what a label counts where it holds "
                    "is between 0 and 1: where it does not hold, it counts the rest."
                )
            alpha = weights.in_order("alpha", self.alpha, target, otherwise=0.5)
        elif self.alpha:
            have, lack = weights.positives_and_negatives(target, weights.known("alpha", values))
            alpha = lack / (have + lack).clamp(min=1)
        return modules.SigmoidFocal(alpha, self.gamma)


class CosineHead(ftrun.Head):
    """The cosine of the embedding with a direction of each class, times a scale: what `arcface` learns."""

    name: Literal["cosine"]
    scale: float = Field(30.0, gt=0, description="What the cosines, -1 to 1, are multiplied by to be logits.")

    def build(self, net: "ftrun.Net", target: ftrun.Target) -> "nn.Module":
        """[B, num_features] -> [B, outputs]. Wang et al., "NormFace: L2 hypersphere embedding", 2017."""
        from ftrun_losses.margins import Cosines

        return Cosines(net.num_features, target.outputs, self.scale)


class ArcFaceLoss(ftrun.Loss):
    """Classes as directions of the embedding, an angle apart, for many that are alike; brings its head, `cosine`."""

    name: Literal["arcface"]
    margin: float = Field(
        0.5, ge=0, lt=1.5, description="Angle, in radians, by which a sample has to be nearer to its own class."
    )
    scale: float = Field(30.0, gt=0, description="What the cosines, -1 to 1, are multiplied by to be logits.")

    @property
    def head(self) -> CosineHead:
        """The head that gives cosines of the loss's own scale."""
        return CosineHead(name="cosine", scale=self.scale)

    def build(self, target: ftrun.Target, values: "Tensor", net: "ftrun.Net") -> "nn.Module":
        """The mean over samples of cross-entropy, in training with cos(angle + margin) for the sample's own class.

        Deng et al., "ArcFace: additive angular margin loss for deep face recognition", 2019. In evaluation there is no
        margin: the loss is that of what is predicted.

        Raises SpecError where the net's head gives no cosines, or of another scale.
        """
        from ftrun_losses.margins import ArcFace, Cosines

        scales = [module.scale for module in net.modules() if isinstance(module, Cosines)]
        if self.scale not in scales:
            other = f" of the scale {scales[0]:g}, not {self.scale:g}" if scales else ""
            raise ftrun.SpecError(
                f"'arcface' goes by cosines, and the net's head gives {'those' + other if scales else 'none'}. Leave "
                "`head` out, for the loss brings its own, and modifiers that replace heads."
            )
        return ArcFace(self.margin, self.scale)


class BCELoss(ftrun.Loss):
    """Binary cross-entropy of each label on its own; classes count as one-hot vectors."""

    name: Literal["bce"]
    kinds = ("labels", "classes")
    positive_weights: Weights = Field(
        None,
        description="What a label counts where it holds, by its name, 1 if not named; where it does not hold, it "
        'counts 1. "auto" is how many times more training samples lack it than have it.',
    )

    def build(self, target: ftrun.Target, values: "Tensor") -> "nn.Module":
        """The mean over samples and outputs, which are logits.

        On classes: Wightman et al., "ResNet strikes back: an improved training procedure in timm", 2021.

        values: the training labels, for "auto", where a label that none has, or all have, counts 1. Raises SpecError
        for an unknown name.
        """
        from torch.nn import functional as F

        from ftrun_losses import weights
        from ftrun_losses.modules import Elementwise

        positive = None
        if isinstance(self.positive_weights, dict):
            positive = weights.in_order("positive_weights", self.positive_weights, target, otherwise=1.0)
        elif self.positive_weights:
            have, lack = weights.positives_and_negatives(target, weights.known("positive_weights", values))
            positive = (lack / have.clamp(min=1)).masked_fill((have == 0) | (lack == 0), 1.0)
        loss = F.binary_cross_entropy_with_logits
        return Elementwise(loss, one_hot=target.kind == "classes", positive_weights=positive)


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


class HuberLoss(ftrun.Loss):
    """Squared error of what is nearly right, absolute error of the rest: what is far off pulls no harder for it."""

    name: Literal["huber"]
    kinds = ("values",)
    delta: float = Field(
        1.0, gt=0, description="Error from which it is absolute, in standard deviations of the training values."
    )

    def build(self, target: ftrun.Target, values: "Tensor") -> "nn.Module":
        """The mean over samples and values: e^2 / 2 for errors e up to delta, else delta (|e| - delta / 2).

        Huber, "Robust estimation of a location parameter", 1964.
        """
        from functools import partial

        from torch.nn import functional as F

        from ftrun_losses.modules import Elementwise

        return Elementwise(partial(F.huber_loss, delta=self.delta))


class Supervised(ftrun.Objective):
    """The sum of the targets' losses, weighted by `train.loss_weights`: what a spec without an objective has too."""

    name: Literal["supervised"]

    def build(self, net: "ftrun.Net", losses: "ftrun.ObjectiveModule | None") -> "ftrun.ObjectiveModule":
        """Return the losses as they are."""
        assert losses is not None
        return losses


def _class_weights(option: str, given: Weights, target: ftrun.Target, values: "Tensor") -> "Tensor | None":
    """Return what each class weighs, float32 [K], as an option of that name has it; None where all weigh 1."""
    from ftrun_losses import weights

    if given is None:
        return None
    if isinstance(given, dict):
        return weights.in_order(option, given, target, otherwise=1.0)
    return weights.balanced(weights.class_counts(target, weights.known(option, values)))


@ftrun.hookimpl
def ftrun_losses() -> list[type[ftrun.Loss]]:
    return [CrossEntropyLoss, FocalLoss, ArcFaceLoss, BCELoss, MSELoss, HuberLoss]


@ftrun.hookimpl
def ftrun_heads() -> list[type[ftrun.Head]]:
    return [CosineHead]


@ftrun.hookimpl
def ftrun_objectives() -> list[type[ftrun.Objective]]:
    return [Supervised]
