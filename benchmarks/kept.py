"""What it gives that `random-resized-crop` cuts its parts out of images at twice the net's size, not at the net's size.

    python benchmarks/kept.py NUCLEI [seeds] [epochs]

First how near the net's pixels come to those of the same part, cut out of the photograph itself and reduced with
antialiasing: the peak signal-to-noise ratio over 100 draws. Then accuracies.

NUCLEI: microscope images, */images/*.jpg, of which those of at least 600 x 600 pixels are taken (23 of the 2018 Data
Science Bowl's training set). The class of a part, 128 x 128 pixels, is the image that it is from: 16 parts for training
from the left half of each image, 16 for test from the right one. The net sees 64 x 64; its head alone learns, from four
views of each part. In turn, on a CPU.
"""

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

import ftrun
import torch
from ftrun_augment import RandomResizedCrop
from ftrun_inputs import ImageInput
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor
from torch.nn.functional import interpolate

PARTS, SIDE, LEAST = 16, 128, 600
CROP = "random-resized-crop"
AUGMENT = {
    "keep 1": ["horizontal-flip", {"name": CROP, "keep": 1}],
    "keep 2": ["horizontal-flip", {"name": CROP, "keep": 2}],
}


def cut(source: Path, into: Path) -> int:
    """Write the parts of each image as files, and return how many images there are."""
    draw, number = random.Random(0), 0
    for path in sorted(source.glob("*/images/*.jpg")):
        with Image.open(path) as image:
            width, height = image.size
            if min(width, height) < LEAST:
                continue
            number += 1
            for split, left in (("train", 0), ("test", width // 2)):
                folder = into / split / f"{number:03}"
                folder.mkdir(parents=True)
                for part in range(PARTS):
                    x, y = left + draw.randrange(width // 2 - SIDE), draw.randrange(height - SIDE)
                    image.crop((x, y, x + SIDE, y + SIDE)).save(folder / f"{part}.png")
    return number


def accuracy(data: Path, augment: list[object], seed: int, epochs: int) -> float:
    spec = {
        "dataset": {"name": "image-folder", "path": str(data)},
        "backbone": "efficientnet-lite0",
        "input": {"size": 64},
        "augment": augment,
        "loss": "cross-entropy",
        "optimizer": {"name": "adamw", "lr": 1e-2},
        "scheduler": "cosine",
        "metrics": ["accuracy"],
        "train": {
            "phases": [{"epochs": epochs, "freeze": "features", "views": 4}],
            "batch_size": 32,
            "precision": "fp32",
        },
        "seed": seed,
    }
    with TemporaryDirectory() as place:
        (Path(place) / "kept.json").write_text(json.dumps(spec))
        command = [Path(sys.executable).parent / "ftrun", "kept.json", "--out", "run", "--device", "cpu"]
        subprocess.run(command, cwd=place, check=True, capture_output=True)
        return json.loads((Path(place) / "run" / "results.json").read_text())["test"]["accuracy"]


def fidelity(photo: Tensor) -> dict[str, float]:
    """Return decibels for each keep: of a photograph, uint8 [3, H, W], of which the net sees 64 x 64 of the middle."""
    net, found = ImageInput(size=(64, 64)), {}
    part = RandomResizedCrop(name=CROP)
    drawn = part.build()(ftrun.SampleRandom(0, torch.arange(100)), net.size)
    boxes = drawn.inverse().boxes(torch.tensor([0.0, 0.0, 64.0, 64.0]).expand(100, 4))
    for keep in (1, 2):
        kept = net.enlarged(keep)
        pixels, warp = kept.fit(photo)
        moved = ftrun.resample(pixels.expand(100, -1, -1, -1), ftrun.Warp.resized(kept.size, net.size).then(drawn))
        raw = warp.inverse().boxes(boxes * keep).round().int().tolist()
        errors = []
        for (left, top, right, bottom), seen in zip(raw, moved, strict=True):
            ideal = interpolate(
                photo[None, :, top:bottom, left:right].float(), (64, 64), mode="bilinear", antialias=True
            )
            errors.append(float((ideal[0] - seen).square().mean()))
        found[f"keep {keep}"] = mean(10 * math.log10(255**2 / error) for error in errors)
    return found


def main(source: str, seeds: str = "4", epochs: str = "20") -> None:
    for name in ("china.jpg", "flower.jpg"):
        decibels = fidelity(torch.from_numpy(load_sample_image(name).copy()).permute(2, 0, 1).contiguous())
        print(f"{name}, as near as: " + ", ".join(f"{keep} {value:.1f} dB" for keep, value in decibels.items()))
    with TemporaryDirectory() as place:
        images = cut(Path(source), Path(place))
        print(f"{images} classes, {images * PARTS} parts to learn from, as many for test; {epochs} epochs")
        results: dict[str, list[float]] = {name: [] for name in AUGMENT}
        for seed in range(int(seeds)):
            for name, augment in AUGMENT.items():
                results[name].append(accuracy(Path(place), augment, seed, int(epochs)))
                print(f"seed {seed}, {name}: {results[name][-1]:.4f}", flush=True)
        for name, each in results.items():
            print(f"{name}: mean {mean(each):.4f}, standard deviation {stdev(each) if len(each) > 1 else 0:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
