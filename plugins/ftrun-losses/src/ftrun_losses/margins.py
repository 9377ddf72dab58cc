"""ArcFace: a head that gives cosines, and a loss that asks for more of the right one."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_NEAREST = 1e-6
"""Of a cosine to 1 or -1: the angle's slope is infinite there."""


class Cosines(nn.Module):
    """Embedding [B, D] -> scale x cosine between it and each class's direction, float32 [B, K].

    The directions are a parameter of their own name, so that no library takes them for the weights of a linear layer.
    """

    def __init__(self, features: int, outputs: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.directions = nn.Parameter(nn.init.xavier_normal_(torch.empty(outputs, features)))

    def forward(self, embedding: Tensor) -> Tensor:
        # In float32 in mixed precision too: bfloat16 has three digits, and a scale of 30 takes one of them.
        if torch.is_autocast_enabled(embedding.device.type):
            with torch.autocast(embedding.device.type, enabled=False):
                return self._cosines(embedding)
        return self._cosines(embedding)

    def _cosines(self, embedding: Tensor) -> Tensor:
        cosines: Tensor = F.linear(F.normalize(embedding.float(), dim=1), F.normalize(self.directions.float(), dim=1))
        return self.scale * cosines


class ArcFace(nn.Module):
    """Scaled cosines [B, K], labels int64 [B] -> the mean cross-entropy, in training with a margin: the angle to the
    sample's own class counts as if it were larger.

    margin: radians; scale: of the cosines
    """

    def __init__(self, margin: float, scale: float) -> None:
        super().__init__()
        self.margin, self.scale = margin, scale

    def forward(self, output: Tensor, values: Tensor) -> Tensor:
        logits = output.float()
        if self.training:
            own = logits.gather(1, values[:, None])
            logits = logits.scatter(1, values[:, None], self.scale * self._with_margin(own / self.scale))
        return F.cross_entropy(logits, values)

    def _with_margin(self, cosine: Tensor) -> Tensor:
        """Return cos(angle + margin), and on a straight line from where that would be beyond half a turn."""
        cosine = cosine.clamp(_NEAREST - 1, 1 - _NEAREST)
        sine = (1 - cosine.square()).sqrt()
        turned = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        return torch.where(cosine > -math.cos(self.margin), turned, cosine - self.margin * math.sin(self.margin))
