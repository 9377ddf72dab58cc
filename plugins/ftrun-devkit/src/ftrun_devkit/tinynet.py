"""The net of the backbone `tiny-net`."""

from typing import Any

from torch import Tensor, nn

import ftrun
import ftrun_inputs


class _TinyNet(ftrun.Net):
    def features(self, x: Tensor) -> Any:
        return self.pyramid(x)[-1]

    def pyramid(self, x: Tensor) -> tuple[Tensor, ...]:
        levels = [self.model.get_submodule("features")(x)]
        for smaller in self.model.get_submodule("smaller").children():
            levels.append(smaller(levels[-1]))
        return tuple(levels)

    def pool(self, features: Tensor) -> Any:
        return self.model.get_submodule("pool")(features)


def tiny_net(width: int, dropout: float, input: ftrun_inputs.ImageInput, levels: int = 1) -> ftrun.Net:  # noqa: A002  (the contract's word)
    """Convolution, batch normalisation, mean over the image, dropout, linear head.

    levels: of half the size each, by another convolution
    """
    model = nn.Sequential()
    model.add_module(
        "features",
        nn.Sequential(nn.Conv2d(len(input.mean), width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
    )
    smaller = [nn.Sequential(nn.Conv2d(width, width, 3, 2, 1), nn.ReLU()) for _ in range(levels - 1)]
    model.add_module("smaller", nn.Sequential(*smaller))
    model.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)))
    model.add_module("head", nn.Linear(width, 1000))
    return _TinyNet(
        model,
        input=input,
        num_features=width,
        head_path="head",
        stages={"stem": ["features"]} | ({"body": ["smaller"]} if smaller else {}),
        pool_layers=("pool.0",),
    )
