"""How nets for images train well, by family: what the names that libraries give them tell. Loads no library."""

import re
from dataclasses import replace

import ftrun

_CNN = ftrun.TrainingRanges("a convolutional net", lr=3e-4, head_lr=3e-3, lr_range=(3e-5, 3e-3), layer_decay=0.8)
_VIT = ftrun.TrainingRanges(
    "a vision transformer",
    lr=5e-5,
    head_lr=3e-3,
    lr_range=(1e-6, 3e-4),
    weight_decay=0.05,
    layer_decay=0.75,
)
_FAMILIES: tuple[tuple[str, ftrun.TrainingRanges], ...] = (
    (r"dinov[23]|_lvd\d+m", replace(_VIT, family="DINOv2 and DINOv3", lr=1e-5, lr_range=(1e-7, 1e-4))),
    (r"clip|siglip|eva", replace(_VIT, family="CLIP, SigLIP and EVA", lr=1e-5, lr_range=(1e-7, 1e-4))),
    (r"^(vit|deit|beit|flexivit|cait|xcit|volo|levit|mobilevit|tiny_vit|hiera|maxvit)", _VIT),
    (r"^swin", replace(_VIT, family="Swin", lr=1e-4, lr_range=(1e-5, 5e-4), layer_decay=0.8)),
    (r"^convnext|^edgenext|^inception_next|^poolformer|^caformer|^convformer",
     replace(_CNN, family="ConvNeXt", lr=1e-4, lr_range=(1e-5, 1e-3), weight_decay=0.05)),
    (r"efficientnet|mobilenet|mnasnet|shufflenet|ghostnet|fbnet|tinynet",
     replace(_CNN, family="EfficientNet and MobileNet")),
    (r"res[ns]e|resnest|regnet|densenet|vgg|dla|hrnet|darknet", replace(_CNN, family="ResNet and its like")),
)  # fmt: skip
"""The first whose pattern is found in a model's name."""


def image_ranges(model: str, *, pretrained: bool, size: int) -> ftrun.TrainingRanges:
    """Return how a net for images trains well, by its name in timm, tag included, or in torchvision.

    size: side in pixels that its weights were trained with
    """
    family = next((ranges for pattern, ranges in _FAMILIES if re.search(pattern, model)), _CNN)
    found = replace(family, size=size)
    return found if pretrained else _from_scratch(found)


def _from_scratch(ranges: ftrun.TrainingRanges) -> ftrun.TrainingRanges:
    """Return the ranges of the same nets with random weights: SGD for convolutions, AdamW for attention."""
    if ranges.weight_decay >= 0.05:
        return replace(ranges, pretrained=False, lr=1e-3, lr_range=(1e-4, 5e-3), layer_decay=1.0, warmup=0.2)
    of_cnn = replace(ranges, lr=0.05, lr_range=(5e-3, 0.5), weight_decay=5e-4, layer_decay=1.0, norm="train")
    return replace(of_cnn, pretrained=False, optimizer="sgd")
