"""What augmenting an image costs: ftrun on whole batches, torchvision's v2 on each image in a DataLoader's workers.

    python benchmarks/augment.py [rounds] [side ...]

random-crop (4 pixels), horizontal-flip, and then trivial-augment or rand-augment, or nothing. Microseconds of processor
time for each image, of the process and its workers, which is what two busy cores share out: other processes hardly
change it. In turn, the best of the rounds, as multiples of ftrun's. torchvision takes what is nearest by default, as
its training reference does; "bilinear" is what ftrun does, "PIL" is the same from images of Pillow, as files give them.
"""

import ctypes
import resource
import sys
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import ftrun
import torch
from ftrun_augment import HorizontalFlip, RandAugment, RandomCrop, TrivialAugment
from torch.utils.data import DataLoader
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import to_pil_image

COUNT, BATCH, WORKERS, PADDING = 512, 64, 2, 4
OURS = {
    "nothing more": [],
    "trivial-augment": [TrivialAugment(name="trivial-augment")],
    "rand-augment": [RandAugment(name="rand-augment")],
}
THEIRS: dict[str, Callable[..., list[Any]]] = {
    "nothing more": lambda **_: [],
    "trivial-augment": lambda **options: [v2.TrivialAugmentWide(**options)],
    "rand-augment": lambda **options: [v2.RandAugment(**options)],
}


def pictures(side: int) -> torch.Tensor:
    """Smooth ones with some noise."""
    torch.manual_seed(0)
    coarse = torch.nn.functional.interpolate(torch.rand(COUNT, 3, 7, 7), size=side, mode="bicubic")
    return (coarse * 255 + torch.randn(COUNT, 3, side, side) * 8).clamp(0, 255).to(torch.uint8)


def ours(images: torch.Tensor, name: str) -> Callable[[], None]:
    """As the core applies them: maps are composed, images moved once, then changed."""
    crop, flip = RandomCrop(name="random-crop", padding=PADDING), HorizontalFlip(name="horizontal-flip")
    more = [part.build() for part in OURS[name]]
    draws = [crop.build(), flip.build(), *(draw for draw, _ in more)]
    size = (images.shape[2], images.shape[3])

    def run() -> None:
        for start in range(0, COUNT, BATCH):
            ids = torch.arange(start, start + BATCH)
            randoms = [ftrun.SampleRandom(position, ids) for position in range(4)]
            warps = [draw(random, size) for draw, random in zip(draws, randoms, strict=False)]
            moved = ftrun.resample(images[start : start + BATCH], reduce(ftrun.Warp.then, warps))
            for _, change in more:
                change(ftrun.Batch(moved, {}, ids), ftrun.SampleRandom(2, ids))

    return run


def theirs(images: Iterable[Any], side: int, augment: list[Any], last: list[Any]) -> Callable[[], None]:
    transform = v2.Compose([v2.RandomCrop(side, padding=PADDING), v2.RandomHorizontalFlip(), *augment, *last])
    data = [*images]

    class Augmented(torch.utils.data.Dataset[torch.Tensor]):
        def __len__(self) -> int:
            return COUNT

        def __getitem__(self, index: int) -> torch.Tensor:
            return torch.as_tensor(transform(data[index]))

    def run() -> None:
        for _ in DataLoader(Augmented(), BATCH, num_workers=WORKERS):
            pass

    return run


def processor_time(work: Callable[[], None]) -> float:
    """Return microseconds for each image."""

    def spent() -> float:
        kinds = (resource.getrusage(which) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(each.ru_utime + each.ru_stime for each in kinds)

    before = spent()
    work()
    return (spent() - before) / COUNT * 1e6


def main(rounds: str = "3", *sides: str) -> None:
    torch.set_num_threads(1)
    if sys.platform == "linux":  # as the command does: what is freed is kept
        for option in (-1, -3):
            ctypes.CDLL(None).mallopt(option, 2**30)
    for side in map(int, sides or ("32", "96", "224")):
        images = pictures(side)
        for name in OURS:
            contenders = {
                "ftrun": ours(images, name),
                "torchvision": theirs(images, side, THEIRS[name](), []),
                "torchvision, bilinear": theirs(
                    images, side, THEIRS[name](interpolation=InterpolationMode.BILINEAR), []
                ),
                "torchvision, PIL": theirs(map(to_pil_image, images), side, THEIRS[name](), [v2.PILToTensor()]),
            }
            best = dict.fromkeys(contenders, float("inf"))
            for _ in range(int(rounds)):
                for who, work in contenders.items():
                    best[who] = min(best[who], processor_time(work))
            shown = (f"{who} {time:.0f} ({time / best['ftrun']:.1f})" for who, time in best.items())
            print(f"{side} px, {name}: {'; '.join(shown)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
