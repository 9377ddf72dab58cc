"""What a converted net is made of."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

import ftrun

Scores = Tensor | dict[str, Tensor]


class ScoreMap(nn.Sequential):
    """A fully convolutional head: features [B, C, H, W] -> output [B, outputs], the mean of its map of scores.

    Where there are several targets, a map and an output for each: {target: ...}.

    layers: its layers in order; each of them works at every location of a map
    window: height and width of what one location of the map sees, and so of the smallest features, in their cells
    """

    def __init__(self, layers: Mapping[str, nn.Module], window: tuple[int, int]) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.window = window

    def forward(self, features: Tensor) -> Scores:
        scores = self.map(features)
        if isinstance(scores, dict):
            return {target: each.mean((2, 3)) for target, each in scores.items()}
        return scores.mean((2, 3))

    def map(self, features: Tensor) -> Scores:
        """Features [B, C, H, W] -> scores [B, outputs, H - h + 1, W - w + 1] for a window of h x w.

        Raises DataError where the features are smaller than the window.
        """
        _check_window(features, self.window)
        scores: Any = features
        for layer in self:
            scores = layer(scores)
        return scores  # type: ignore[no-any-return]


class MapNeck(nn.Sequential):
    """The layers between pooling and head as convolutions: levels -> levels, the last of which has gone through them.

    window: as a ScoreMap has it
    """

    def __init__(self, layers: Iterable[nn.Module], window: tuple[int, int]) -> None:
        super().__init__(*layers)
        self.window = window

    def forward(self, levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        *before, features = levels
        _check_window(features, self.window)
        return (*before, super().forward(features))


def _check_window(features: Tensor, window: tuple[int, int]) -> None:
    height, width = features.shape[2:]
    if height < window[0] or width < window[1]:
        raise ftrun.DataError(
            f"the image is too small: its features are {height} x {width}, and the head sees windows of "
            f"{window[0]} x {window[1]}. Give larger images."
        )


class MapNorm(nn.LayerNorm):
    """LayerNorm over the channels of a map, [B, C, H, W] -> [B, C, H, W].

    pooled: take mean and variance from the map's average over H and W, and not from each location. The layer is then
        affine in the map, so that it commutes with the average: norm(mean(map)) = mean(norm(map)), exactly.
    """

    pooled = False

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's own name for it)
        x = input.to(torch.promote_types(input.dtype, torch.float32))  # as autocast does for LayerNorm
        source = x.mean((2, 3), keepdim=True) if self.pooled else x
        variance, mean = torch.var_mean(source, dim=1, correction=0, keepdim=True)
        x = (x - mean) * torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            x = x * self.weight[:, None, None]
        if self.bias is not None:
            x = x + self.bias[:, None, None]
        return x
