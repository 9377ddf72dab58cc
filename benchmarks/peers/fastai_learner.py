"""fastai: DataLoaders from folders, and a Learner."""

from functools import partial
from pathlib import Path

import torch
from fastai.vision.all import (
    Callback,
    CropPad,
    CrossEntropyLossFlat,
    Flip,
    ImageDataLoaders,
    Learner,
    Normalize,
    OptimWrapper,
    RandomCrop,
    Resize,
    accuracy,
    get_image_files,
    set_seed,
)

from common import MEAN, STD, Stopwatch, Work, build_net, contend


class Timing(Callback):
    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def before_train(self):
        self.watch.begin()

    def after_train(self):
        self.watch.end()


class CropAfterPad(RandomCrop):
    order = 3  # fastai sorts by this number, and would crop first


def run(work: Work, watch: Stopwatch) -> dict[str, float]:
    set_seed(work.seed)
    resize = [] if work.size == 32 else [Resize(work.size)]
    crop = [CropPad(work.size + 2 * work.padding, order=2), CropAfterPad(work.size)] if work.augment else []
    data = ImageDataLoaders.from_folder(
        Path(work.data),
        train="train",
        valid="val",
        bs=work.batch,
        val_bs=work.batch,
        num_workers=work.workers,
        item_tfms=resize + crop,
        batch_tfms=[*([Flip()] if work.augment else []), Normalize.from_stats(MEAN, STD)],
        device=torch.device(work.device),
    )
    sgd = partial(OptimWrapper, opt=torch.optim.SGD, momentum=work.momentum)
    learner = Learner(data, build_net(work), CrossEntropyLossFlat(), sgd, metrics=accuracy, cbs=Timing(watch))
    learner.fit(work.epochs, work.lr)
    test = data.test_dl(get_image_files(Path(work.data) / "test"), with_labels=True)
    return {"accuracy": float(learner.validate(dl=test)[1])}


if __name__ == "__main__":
    contend(run)
