"""The data of benchmarks/recipes.py: folders of images with train, val and test, a folder for each class; or texts."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from images import prepare

SIDE = 96  # pixels of a crop
_MOST_OF_A_KIND = 4  # red cells that an image gives: it has ten times as many of them as of the others
_KINDS = {(256, 256): "a", (320, 256): "b", (360, 360): "c", (696, 520): "d", (640, 512): "e", (1024, 1024): "f"}


def cifar(source: Path, target: Path, count: int) -> None:
    """Link `count` training images of the JPEGs, and 1,000 for val and 2,000 for test. source: with train/ and test/"""
    prepare(target, {"train": count, "val": 1000, "test": 2000}, source, 32)


def cells(source: Path, target: Path) -> None:
    """Cut blood cells of three kinds out of the images, by their boxes; the splits are the data's own.

    source: BCCD, with Annotations/, JPEGImages/ and ImageSets/Main/
    """
    for split in ("train", "val", "test"):
        for name in (source / "ImageSets/Main" / f"{split}.txt").read_text().split():
            image = Image.open(source / "JPEGImages" / f"{name}.jpg").convert("RGB")
            root = ElementTree.parse(source / "Annotations" / f"{name}.xml").getroot()
            counts: dict[str, int] = {}
            for number, cell in enumerate(root.iter("object")):
                kind = cell.findtext("name", "")
                counts[kind] = counts.get(kind, 0) + 1
                left, top, right, bottom = (int(cell.findtext(f"bndbox/{side}", "0")) for side in _SIDES)
                if right > left and bottom > top and counts[kind] <= _MOST_OF_A_KIND:
                    half = 0.6 * max(right - left, bottom - top)
                    x, y = (left + right) / 2, (top + bottom) / 2
                    box = tuple(round(each) for each in (x - half, y - half, x + half, y + half))
                    _save(image.crop(box).resize((SIDE, SIDE)), target / split / kind / f"{name}-{number}.jpg")


_SIDES = ("xmin", "ymin", "xmax", "ymax")


def nuclei(source: Path, target: Path) -> None:
    """Cut four parts out of each microscope image; their class is the microscope, known by its images' size.

    source: with train/, val/ and test/, images/ in each
    """
    for split in ("train", "val", "test"):
        for path in sorted((source / split / "images").iterdir()):
            image = Image.open(path).convert("RGB")
            if kind := _KINDS.get(image.size):
                for number, (left, top) in enumerate(_corners(*image.size)):
                    part = image.crop((left, top, left + SIDE, top + SIDE))
                    _save(part, target / split / kind / f"{path.stem}-{number}.jpg")


def _corners(width: int, height: int) -> Iterator[tuple[int, int]]:
    for x in (1, 3):
        for y in (1, 3):
            yield width * x // 4 - SIDE // 2, height * y // 4 - SIDE // 2


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=95)


def texts(parts: Path, target: Path) -> None:
    """Write the docstrings of Python's standard library, as examples/docstrings.py reads them: JSON Lines, by split.

    So all contenders read the very same texts. parts: that file
    """
    from ftrun.plugins.catalogue import installed
    from ftrun.plugins.localparts import PartsFile

    part = installed(PartsFile.read(parts)).part("dataset", "docstrings")
    splits = part(name="docstrings").build()
    names = splits.targets["label"].names
    target.mkdir(parents=True)
    for name, split in splits.items():
        rows = (
            {"text": text, "label": names[int(values["label"])]}
            for text, values in map(split.__getitem__, range(len(split)))
        )
        (target / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


JOBS: dict[str, Callable[[Path, Path], None]] = {
    "cifar-1000": lambda source, target: cifar(source, target, 1000),
    "cifar-10000": lambda source, target: cifar(source, target, 10000),
    "cells": lambda source, target: cells(source / "BCCD", target),
    "nuclei": lambda source, target: nuclei(source / "nuclei", target),
    "docstrings": lambda source, target: texts(Path(__file__).parents[1] / "examples/docstrings.py", target),
}
"""What makes a job's data in a folder, from the folder where the archives are unpacked."""


def made(job: str, source: Path, target: Path) -> Path:
    """Return the folder of a job's data, made if it is not there yet."""
    if not target.exists():
        unfinished = target.with_name(f"{target.name}.part")
        JOBS[job](source, unfinished)
        os.replace(unfinished, target)
    return target
