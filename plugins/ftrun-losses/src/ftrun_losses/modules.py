"""The losses as torch modules. All of them compute in float32, whatever the net's precision."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

_TINY = 1e-30
"""Below this a probability counts as this: a power of 0 that is below 1 has no finite gradient."""


class CrossEntropy(nn.Module):
    """Logits [B, K], labels int64 [B] or shares float32 [B, K] -> mean over samples of the class's weight x smoothed
    cross-entropy; of shares, the weights' mean.

    torch's own `weight` weighs each term of the smoothed label by the weight of that term's class: the small share that
    smoothing gives to a rare class would count a hundred times, and be what is learnt.

    class_weights: float32 [K], or None where all are 1
    adjustment: what is added to the logits in training, float32 [K]; None for nothing
    """

    def __init__(self, class_weights: Tensor | None, label_smoothing: float, adjustment: Tensor | None = None) -> None:
        super().__init__()
        self.class_weights: Tensor | None
        self.adjustment: Tensor | None
        self.register_buffer("class_weights", class_weights)
        self.register_buffer("adjustment", adjustment)
        self.label_smoothing = label_smoothing

    def forward(self, output: Tensor, values: Tensor) -> Tensor:
        logits = output.float()
        if self.training and self.adjustment is not None:
            logits = logits + self.adjustment
        losses = F.cross_entropy(logits, values, label_smoothing=self.label_smoothing, reduction="none")
        if self.class_weights is not None:
            losses = losses * weight_of(values, self.class_weights)
        return losses.mean()


class Focal(nn.Module):
    """Logits [B, K], labels int64 [B] or shares float32 [B, K] -> mean over samples of
    weight x (1 - p)^gamma x -log p, with p the probability of the sample's class; of shares, their mean of it.

    class_weights: float32 [K], or None where all are 1
    """

    def __init__(self, class_weights: Tensor | None, gamma: float) -> None:
        super().__init__()
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", class_weights)
        self.gamma = gamma

    def forward(self, output: Tensor, values: Tensor) -> Tensor:
        log_p = output.float().log_softmax(1)
        soft = values.is_floating_point()
        log_p = log_p if soft else log_p.gather(1, values[:, None])
        losses = (-log_p.expm1()).clamp(min=_TINY) ** self.gamma * -log_p
        if soft:
            weights = values if self.class_weights is None else values * self.class_weights
            return (losses * weights).sum(1).mean()
        losses = losses.squeeze(1)
        return (losses if self.class_weights is None else losses * weight_of(values, self.class_weights)).mean()


class SigmoidFocal(nn.Module):
    """Logits [B, L], labels [B, L] -> mean over samples and labels of alpha x (1 - p)^gamma x -log p, with p the
    probability of what is true of the label.

    Powers are taken of logarithms, so that a label that the net is sure of has a finite gradient for any gamma.

    alpha: float32 [L], what a label that holds counts, one that does not 1 - alpha; None where both count 1
    """

    def __init__(self, alpha: Tensor | None, gamma: float) -> None:
        super().__init__()
        self.alpha: Tensor | None
        self.register_buffer("alpha", alpha)
        self.gamma = gamma

    def forward(self, output: Tensor, values: Tensor) -> Tensor:
        logits, values = output.float(), values.float()
        losses = _focal(logits, self.gamma), _focal(-logits, self.gamma)
        holds, lacks = (values, 1 - values) if self.alpha is None else (values * self.alpha, (1 - values) * _rest(self))
        return (holds * losses[0] + lacks * losses[1]).mean()


def _focal(logits: Tensor, gamma: float) -> Tensor:
    """Return the loss of what is true with these logits."""
    return (gamma * F.logsigmoid(-logits)).exp() * -F.logsigmoid(logits)


def _rest(focal: SigmoidFocal) -> Tensor:
    assert focal.alpha is not None
    return 1 - focal.alpha


class Elementwise(nn.Module):
    """Outputs [B, K], values [B, K] (or with `one_hot`, also labels int64 [B]) -> `loss` of the two, in float32.

    positive_weights: what the loss takes besides, float32 [K]; None for nothing
    """

    def __init__(
        self, loss: Callable[..., Tensor], *, one_hot: bool = False, positive_weights: Tensor | None = None
    ) -> None:
        super().__init__()
        self.positive_weights: Tensor | None
        self.register_buffer("positive_weights", positive_weights)
        self.loss = loss
        self.one_hot = one_hot

    def forward(self, output: Tensor, values: Tensor) -> Tensor:
        labels = self.one_hot and not values.is_floating_point()
        wanted = F.one_hot(values, output.shape[1]) if labels else values
        more = {} if self.positive_weights is None else {"pos_weight": self.positive_weights}
        return self.loss(output.float(), wanted.float(), **more)


def weight_of(values: Tensor, class_weights: Tensor) -> Tensor:
    """Return the weight of each sample's class, float32 [B]; of shares [B, K], their mean."""
    return values @ class_weights if values.is_floating_point() else class_weights[values]
