"""The model, which knows nothing of ftrun, and the way through it that ftrun asks for."""

from collections.abc import Sequence

from torch import Tensor, nn

import ftrun


class PlainNet(nn.Module):
    """Three stages of convolutions, each of which halves height and width, and a linear classifier.

    A stage is `depth` times a 3x3 convolution, batch normalisation (Ioffe and Szegedy, "Batch normalization", 2015)
    and a ReLU; the first convolution of a stage has stride 2 (Springenberg et al., "Striving for simplicity", 2015, in
    place of pooling). The mean over all places (Lin et al., "Network in network", 2014) is the embedding. Weights start
    as torch's layers make them.
    """

    def __init__(self, channels: int, widths: Sequence[int], depth: int, classes: int = 1000) -> None:
        super().__init__()
        first, second, third = widths
        self.stage1 = stage(channels, first, depth)
        self.stage2 = stage(first, second, depth)
        self.stage3 = stage(second, third, depth)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(third, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images float32 [B, channels, H, W] -> logits [B, classes]."""
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.classifier(self.flatten(self.pool(x)))


class PlainNetParts(ftrun.Net):
    """The same way as `PlainNet.forward`, in ftrun's three steps; the third is the head."""

    def features(self, x: Tensor) -> Tensor:
        """Images float32 [B, C, H, W] -> float32 [B, D, h, w], h and w being H/8 and W/8, rounded up."""
        return self.model.stage3(self.model.stage2(self.model.stage1(x)))

    def pool(self, features: Tensor) -> Tensor:
        """[B, D, h, w] -> embedding [B, D]."""
        return self.model.flatten(self.model.pool(features))


def stage(inputs: int, outputs: int, depth: int) -> nn.Sequential:
    """[B, inputs, H, W] -> [B, outputs, H/2, W/2], rounded up."""
    layers: list[nn.Module] = []
    for place in range(depth):
        convolution = nn.Conv2d(
            inputs if place == 0 else outputs, outputs, 3, stride=2 if place == 0 else 1, padding=1, bias=False
        )  # no bias: batch normalisation has one
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)
