"""fastai as its guide recommends it: `lr_find`, then `fine_tune` (an epoch of the head first), `aug_transforms`."""

from pathlib import Path

import torch
from fastai.vision.all import (
    CrossEntropyLossFlat,
    ImageDataLoaders,
    Learner,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    get_image_files,
    params,
    set_seed,
)
from torch import nn

from common import MEAN, STD, Stopwatch, Work, build_net, contend


def run(work: Work, watch: Stopwatch) -> dict[str, object]:
    set_seed(work.seed)
    data = ImageDataLoaders.from_folder(
        Path(work.data),
        train="train",
        valid="val",
        num_workers=work.workers,
        item_tfms=Resize(work.size),
        batch_tfms=[*aug_transforms(), Normalize.from_stats(MEAN, STD)],
        device=torch.device(work.device),
    )
    pretrained = work.net == "lite0"
    learner = Learner(
        data, build_net(work), CrossEntropyLossFlat(), metrics=accuracy, splitter=halves if pretrained else params
    )
    if pretrained:
        learner.freeze()
    rate = learner.lr_find(show_plot=False).valley
    if pretrained:
        learner.fine_tune(work.epochs, rate)
    else:
        learner.fit_one_cycle(work.epochs, rate)
    files = sorted(get_image_files(Path(work.data) / "test"), key=lambda path: (path.parent.name, path.name))
    test = data.test_dl(files, with_labels=True)
    predicted, truth = learner.get_preds(dl=test)
    return {"correct": (predicted.argmax(1) == truth).int().tolist()}


def halves(net: nn.Module) -> list[list[nn.Parameter]]:
    """The backbone's parameters, and the head's."""
    head = {id(each) for each in net.get_classifier().parameters()}
    return [[each for each in net.parameters() if id(each) not in head], list(net.get_classifier().parameters())]


if __name__ == "__main__":
    contend(run)
