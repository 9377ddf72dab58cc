"""Lightning: a LightningModule and the Trainer, with their defaults."""

import lightning as L
import torch
from torch.nn import functional as F
from torchmetrics.functional import accuracy

from common import Stopwatch, Work, build_net, contend, loader


class Classifier(L.LightningModule):
    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work
        self.net = build_net(work)

    def training_step(self, batch, index):
        images, labels = batch
        loss = F.cross_entropy(self.net(images), labels)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, index):
        self.judge(batch, "val")

    def test_step(self, batch, index):
        self.judge(batch, "test")

    def judge(self, batch, split):
        images, labels = batch
        outputs = self.net(images)
        self.log(f"{split}_acc", accuracy(outputs, labels, task="multiclass", num_classes=outputs.shape[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.work.lr, momentum=self.work.momentum)


class Timing(L.Callback):
    def __init__(self, watch: Stopwatch) -> None:
        self.on_train_epoch_start = lambda *_: watch.begin()
        self.on_validation_start = lambda *_: watch.end()  # Lightning validates before its training epoch ends


def run(work: Work, watch: Stopwatch) -> dict[str, float]:
    train, val, test = (loader(work, split) for split in ("train", "val", "test"))
    model = Classifier(work)
    trainer = L.Trainer(
        max_epochs=work.epochs,
        accelerator="cpu" if work.device == "cpu" else "auto",
        logger=False,
        callbacks=[Timing(watch)],
    )
    trainer.fit(model, train, val)
    (figures,) = trainer.test(model, test)
    return {"accuracy": figures["test_acc"]}


if __name__ == "__main__":
    contend(run)
