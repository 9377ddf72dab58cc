"""The losses as torch modules. All of them compute in float32, whatever the net's precision."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CrossEntropy(nn.Module):
    """Logits [B, K], labels int64 [B] or shares float32 [B, K] -> mean over samples of the class's weight x smoothed
    cross-entropy; of shares, the weights' mean.

    torch's own `weight` weighs each term of the smoothed label by the weight of that term's class: the small share that
    smoothing gives to a rare class would count a hundred times, and be what is learnt.

    class_weights: float32 [K], or None where all are 1
    """

    def __init__(self, class_weights: Tensor | None, label_smoothing: float) -> None:
        super().__init__()
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", class_weights)
        self.label_smoothing = label_smoothing

    def forward(self, output: Tensor, values: Tensor) -> Tensor:
        losses = F.cross_entropy(output.float(), values, label_smoothing=self.label_smoothing, reduction="none")
        if self.class_weights is not None:
            soft = values.is_floating_point()
            losses = losses * (values @ self.class_weights if soft else self.class_weights[values])
        return losses.mean()


class Elementwise(nn.Module):
    """Outputs [B, K], values [B, K] (or with `one_hot`, also labels int64 [B]) -> `loss` of the two, in float32."""

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor], *, one_hot: bool) -> None:
        super().__init__()
        self.loss = loss
        self.one_hot = one_hot

    def forward(self, output: Tensor, values: Tensor) -> Tensor:
        labels = self.one_hot and not values.is_floating_point()
        wanted = F.one_hot(values, output.shape[1]) if labels else values
        return self.loss(output.float(), wanted.float())


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """float32 [classes]: N / (classes x count of the class), so that the mean over `labels` is 1.

    As scikit-learn's class_weight="balanced", after King and Zeng, "Logistic regression in rare events data", 2001.

    labels: int64 [N]
    """
    counts = labels.bincount(minlength=classes)
    return len(labels) / (classes * counts.clamp(min=1).float())


def weights_in_order(weights: Mapping[str, float], classes: Sequence[str]) -> Tensor:
    """float32 [K]: each class's weight, 1 where none is given."""
    return torch.tensor([weights.get(name, 1.0) for name in classes])
