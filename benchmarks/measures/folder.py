"""The loader alone, on a folder of images. Options: reader, ftrun or ImageFolder."""

import time
from functools import partial
from typing import Any

from common import Stopwatch, Work, contend, loader

EPOCHS = 3  # the first one starts workers and, with ftrun, decodes


def run(work: Work, watch: Stopwatch) -> dict[str, Any]:
    return ftrun(work) if work.options["reader"] == "ftrun" else image_folder(work)


def image_folder(work: Work) -> dict[str, Any]:
    """torchvision's ImageFolder in torch's DataLoader: what it gives is augmented and normalised."""
    batches = loader(work, "train")
    first, *later = (epoch(batches) for _ in range(EPOCHS))
    rate = len(batches.dataset) / min(later)
    return {"images_per_second": rate, "ready_per_second": rate, "first_epoch_seconds": first}


def ftrun(work: Work) -> dict[str, Any]:
    """ftrun's loader as a run has it; then the same with the augmentation and the normalisation of the loop."""
    from ftrun_spec import spec_of
    from inside import assembled

    began = time.perf_counter()
    spec = spec_of(work)
    job = assembled({**spec, "backbone": {"name": "torchvision", "model": "resnet18", "weights": None}})
    batches = job.feed.loaders["train"]
    assembling = time.perf_counter() - began
    first, *later = (epoch(batches.shuffled(0, number)) for number in range(EPOCHS))

    prepared = min(epoch(batches.shuffled(0, each, partial(job.feed.ready, draw=each))) for each in range(1, EPOCHS))
    return {
        "images_per_second": batches.samples / min(later),
        "ready_per_second": batches.samples / prepared,
        "first_epoch_seconds": assembling + first,
    }


def epoch(batches: Any) -> float:
    began = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - began


if __name__ == "__main__":
    contend(run)
