"""Images to race on: some of a folder that is at hand, or made up."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 10


def prepare(target: Path, counts: Mapping[str, int], data: Path | None, size: int) -> None:
    """Put as many images as `counts` says into target/train, val and test, alike for each class.

    data: a folder with train/ and test/, each with a folder for each class; val is cut from its train
    size: side of images that are made up
    """
    if data is None:
        for seed, (split, count) in enumerate(counts.items()):
            _make(target / split, count, size, seed)
        return
    for split, count in counts.items():
        folders = sorted(each for each in (data / ("test" if split == "test" else "train")).iterdir() if each.is_dir())
        start = counts["train"] // len(folders) if split == "val" else 0
        for folder in folders:
            _link(sorted(folder.iterdir())[start:][: count // len(folders)], target / split / folder.name)


def _link(images: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for image in images:
        os.symlink(image.resolve(), folder / image.name)


def _make(folder: Path, count: int, size: int, seed: int) -> None:
    """JPEGs about as large and as costly to decode as photos: a smooth picture, its class's and its own, and noise."""
    random = np.random.default_rng(seed)
    of_class = np.random.default_rng(99).uniform(0, 255, (CLASSES, 4, 4, 3))
    for index in range(count):
        label = index % CLASSES
        place = folder / f"class{label}"
        place.mkdir(parents=True, exist_ok=True)
        smooth = 0.5 * of_class[label] + 0.5 * random.uniform(0, 255, (4, 4, 3))
        image = Image.fromarray(smooth.astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
        noisy = np.asarray(image) + random.normal(0, 12, (size, size, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(place / f"{index:06}.jpg", quality=90)
