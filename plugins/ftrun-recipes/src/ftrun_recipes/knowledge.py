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
    warmup: float = 0.05


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

FEW_SAMPLES: tuple[tuple[int, int], ...] = ((250, 16), (1000, 32))
"""(samples, batch size): data of fewer samples than that takes batches of at most that size, for more steps."""

LEAST_AFTER_FEATURES = 0.3
"""Part of the time: where a pass of the frozen net over all samples leaves less, the head sees some samples only."""
LEAST_HEAD = 2
"""Epochs of the head alone, where everything follows: its features are kept, so that they cost next to nothing."""
LEAST_REST = 0.3
"""Epochs: where there is time for less than that of everything, the head alone has all of it."""

# Images, where the time is limited and the size is not stated

SIZES = (32, 48, 64, 96, 128, 160, 192, 224, 256, 288, 320, 384)
ENLARGED = 3
"""Images are enlarged at most so many times: more pixels hold nothing new, but pretrained filters expect large ones."""
SCRATCH_ENLARGED = 1
SMALLEST = 64
"""Pixels: a pretrained net sees too little below that."""
PIXELS_PER_SECOND: Mapping[str, float] = {"cpu": 2.0e6, "cuda": 3.0e8}
"""That a net of middling size trains on, all cores of a small machine together: so that a pass or two fit."""
PASSES = 2.0

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
