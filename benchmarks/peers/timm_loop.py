"""timm: its loader, which normalises batches on the device, its optimizer factory, and a loop as in its train.py."""

from pathlib import Path

import torch
from timm.data import create_dataset, create_loader
from timm.data.transforms import ToNumpy
from timm.optim import create_optimizer_v2
from timm.utils import AverageMeter
from torch import nn
from torchvision.transforms import Compose

from common import MEAN, STD, Stopwatch, Work, accuracy, build_net, contend, transforms

LOG_EVERY = 50  # steps, as train.py


def run(work: Work, watch: Stopwatch) -> dict[str, float]:
    train, val, test = (batches(work, split) for split in ("train", "val", "test"))
    net = build_net(work).to(work.device)
    optimizer = create_optimizer_v2(net, opt="momentum", lr=work.lr, momentum=work.momentum, weight_decay=0.0)
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(work.epochs):
        with watch.epoch():
            net.train()
            losses = AverageMeter()
            for step, (images, labels) in enumerate(train):
                loss = loss_of(net(images), labels)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                if step % LOG_EVERY == 0:
                    losses.update(loss.item(), len(labels))
        print(f"epoch {epoch + 1}: loss {losses.avg:.4f}, val {accuracy(net, val, work.device):.4f}")
    return {"accuracy": accuracy(net, test, work.device)}


def batches(work: Work, split: str):
    dataset = create_dataset("", root=Path(work.data) / split)
    training = split == "train"
    loader = create_loader(
        dataset,
        input_size=(3, work.size, work.size),
        batch_size=work.batch,
        is_training=training,
        mean=MEAN,
        std=STD,
        num_workers=work.workers,
        device=torch.device(work.device),
    )
    # The article's augmentation instead of timm's, and uint8 up to the device, as timm's loader wants it.
    loader.dataset.transform = Compose([*transforms(work, train=training)[:-2], ToNumpy()])
    return loader


if __name__ == "__main__":
    contend(run)
