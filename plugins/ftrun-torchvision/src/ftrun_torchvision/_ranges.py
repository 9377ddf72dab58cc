"""How torchvision's models train well, by family. Loads no library."""

import re
from dataclasses import replace

import ftrun

_CNN = ftrun.TrainingRanges(
    "a convolutional net", lr=3e-4, head_lr=3e-3, lr_range=(3e-5, 3e-3), layer_decay=0.8, size=224
)
_VIT = ftrun.TrainingRanges(
    "a vision transformer",
    lr=5e-5,
    head_lr=3e-3,
    lr_range=(1e-6, 3e-4),
    weight_decay=0.05,
    layer_decay=0.75,
    size=224,
)
_FAMILIES: tuple[tuple[str, ftrun.TrainingRanges], ...] = (
    (r"^(vit|maxvit)", _VIT),
    (r"^swin", replace(_VIT, family="Swin", lr=1e-4, lr_range=(1e-5, 5e-4), layer_decay=0.8)),
    (r"^convnext", replace(_CNN, family="ConvNeXt", lr=1e-4, lr_range=(1e-5, 1e-3), weight_decay=0.05)),
    (r"efficientnet|mobilenet|mnasnet|shufflenet", replace(_CNN, family="EfficientNet and MobileNet")),
    (r"res[ns]e|resnext|regnet|densenet", replace(_CNN, family="ResNet and its like")),
)
"""The first whose pattern is found in a model's name."""


def ranges_of(model: str, *, pretrained: bool) -> ftrun.TrainingRanges:
    """Return the ranges of a model by torchvision's name."""
    found = next((ranges for pattern, ranges in _FAMILIES if re.search(pattern, model)), _CNN)
    if pretrained:
        return found
    if found.weight_decay >= 0.05:
        return replace(found, pretrained=False, lr=1e-3, lr_range=(1e-4, 5e-3), layer_decay=1.0, warmup=0.2)
    scratch = {"lr": 0.05, "weight_decay": 5e-4, "layer_decay": 1.0, "norm": "train"}
    return replace(found, pretrained=False, optimizer="sgd", lr_range=(5e-3, 0.5), **scratch)
