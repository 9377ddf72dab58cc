"""What the recipes know: every number that is a matter of experience, in one place.

Rates, decays and sizes of a family of nets come with its backbone (`Backbone.recipe`); here is what holds where a
backbone says nothing, and how a recipe shares out time and epochs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import ftrun


@dataclass(frozen=True)
class Course:
    """How a recipe trains a pretrained net.

    head: epochs of the head alone, on kept embeddings
    rest: epochs of everything, after it; 0 for none
    head_share: most of the time that the head alone may take, where time is limited and `rest` follows
    augments: whether training images are augmented
    warmup: part of the run in which the rate rises
    """

    head: int
    rest: int
    head_share: float = 1.0
    augments: bool = False
    warmup: float = 0.1


COURSES: Mapping[str, Course] = {
    "probe": Course(head=20, rest=0),
    "quick": Course(head=6, rest=2, head_share=0.4),
    "full": Course(head=4, rest=8, head_share=0.25, augments=True),
}

SCRATCH_EPOCHS: Mapping[str, int] = {"probe": 5, "quick": 10, "full": 30}
"""Of a net that is not pretrained, all of which learns from the start."""

BY_INPUT: Mapping[str, ftrun.TrainingRanges] = {
    "image": ftrun.TrainingRanges("a pretrained net for images", lr=3e-4, head_lr=3e-3, layer_decay=0.8, size=224),
    "text": ftrun.TrainingRanges("a pretrained net for texts", lr=1e-4, head_lr=5e-3, batch_size=32),
}
"""For a backbone that says nothing, by the kind of its inputs."""
ANY_INPUT = ftrun.TrainingRanges("a pretrained net", lr=2e-4, head_lr=3e-3)

FEW_SAMPLES: tuple[tuple[int, int], ...] = ((250, 16), (2000, 32))
"""(samples, batch size): data of fewer samples than that takes batches of at most that size, for more steps."""

LEAST_AFTER_FEATURES = 0.3
"""Part of the time: where a pass of the frozen net over all samples leaves less, the head sees some samples only."""
LEAST_HEAD = 2
"""Epochs of the head alone, where everything follows: its features are kept, so that they cost next to nothing."""
ENOUGH_STEPS = 200
"""Optimizer steps of everything: with as many, a net whose backbone says so (`head_first`) needs no phase of the head.

EfficientNet-Lite0, 64 px, CIFAR JPEGs, AdamW, test accuracy of one seed. 4,000 images, 250 steps: 0.755 with everything
at 0.001 from the start; with the head first at 0.005, then as many steps of everything at 0.0003, 0.725 (normalisation
keeps its statistics) and 0.610 (it does not). 1,000 images, 155 steps: 0.631, and 0.647 with the head first.
"""
AFTER_HEAD = 0.3
"""Of such a net's `lr`: the rate after a phase of the head, where steps are few."""
LEAST_REST = 0.3
"""Epochs: where there is time for less than that of everything, the head alone has all of it."""

# Images, where the time is limited and the size is not stated

SIZES = (32, 48, 64, 96, 128, 160, 192, 224, 256, 288, 320, 384)
ENLARGED = 3
"""Images are enlarged at most so many times: more pixels hold nothing new, but pretrained filters expect large ones."""
SCRATCH_ENLARGED = 1
SMALLEST = 64
"""Pixels: a pretrained net sees too little below that."""
PIXELS_PER_SECOND: Mapping[str, float] = {"cpu": 1.0e6, "cuda": 5.0e7}
"""That a net trains on: EfficientNet-Lite0 on two cores, ResNet-18 on an H100 (benchmarks/RESULTS.md)."""
PASSES = 5.0
"""Passes over the training samples that have to fit into the time, before images may be larger."""

CROP_PADDING = 1 / 10
"""Of the side of an image: the largest shift."""

TRAINS_TEXTS_CLIP = 1.0

LOSSES: Mapping[str, str] = {"classes": "cross-entropy", "labels": "bce", "values": "mse"}
"""By kind of target; the only loss that works on it, for any other kind."""
METRICS: Mapping[str, tuple[str, ...]] = {
    "classes": ("accuracy", "f1"),
    "labels": ("f1", "accuracy"),
    "values": ("r2", "mae"),
}
"""By kind of target, the one that chooses the best epoch first; those that are installed."""
SMOOTHING = 0.1
"""Label smoothing of a net that is not pretrained."""
