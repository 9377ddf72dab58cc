"""What a loop costs beside its computing: a step of a tiny net in it, and in the bare loop, in turns.

Options: loop, one of ftrun, fabric, accelerate, lightning.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from common import Stopwatch, Work, contend
from inside import TESTS, Epochs, assembled, install

TURNS, STEPS = 15, 300
Batches = list[tuple[torch.Tensor, torch.Tensor]]
Turn = Callable[[], float]
"""Does some steps, and gives the seconds that one took."""


def run(work: Work, watch: Stopwatch) -> dict[str, Any]:
    torch.set_num_threads(1)
    turns, steps = (2, 10) if work.options.get("quick") else (TURNS, STEPS)
    install("ftrun-tiny", (TESTS / "distributions" / "ftrun_tiny.py").read_text())
    train = {"epochs": 1000, "batch_size": work.batch, "precision": "fp32", "memory_format": "contiguous"}
    job = assembled(
        {
            "dataset": {"name": "tiny", "samples": work.batch * steps, "val": True},
            "backbone": "tiny",
            "loss": "tiny-loss",
            "optimizer": {"name": "tiny-sgd", "lr": 0.01, "momentum": 0.0},  # as in `sgd` below
            "train": train,
        }
    )
    split = job.feed.splits.train
    inputs = job.learner.net.prepare(job.learner.net.input.collate(split.inputs))
    batches = list(zip(inputs.split(work.batch), split.columns["label"].split(work.batch), strict=True))
    loops = {"ftrun": lambda: Epochs(job).seconds, "fabric": fabric, "accelerate": accelerate, "lightning": lightning}
    name = work.options["loop"]
    own = loops[name]() if name == "ftrun" else loops[name](net_of(job), batches)
    bare_turn = bare(net_of(job), batches)
    bares, owns = [], []
    for turn in range(turns + 1):
        seconds = bare_turn(), own()
        if turn:  # the first one warms up
            bares.append(seconds[0] * 1e6)
            owns.append(seconds[1] * 1e6)
    # The least of the turns: what else the machine does makes some slower, and none faster.
    return {"overhead": min(owns) - min(bares), "step": min(owns), "bare": min(bares)}


def net_of(job: Any) -> nn.Module:
    """The net as a bare loop would have it: inputs -> logits."""
    from copy import deepcopy

    class Bare(nn.Module):
        def __init__(self, net: Any) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net.head(self.net.pool(self.net.features(x)))

    return Bare(deepcopy(job.learner.net))


def sgd(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.parameters(), lr=0.01)


def timed(steps: Callable[[], None], count: int) -> float:
    began = time.perf_counter()
    steps()
    return (time.perf_counter() - began) / count


def bare(net: nn.Module, batches: Batches) -> Turn:
    """Forward, backward, step, and nothing else."""
    optimizer, loss_of = sgd(net), nn.CrossEntropyLoss()

    def steps() -> None:
        net.train()
        for x, y in batches:
            optimizer.zero_grad()
            loss = loss_of(net(x), y)
            loss.backward()
            optimizer.step()

    return lambda: timed(steps, len(batches))


def fabric(net: nn.Module, batches: Batches) -> Turn:
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=1)
    model, optimizer = fabric.setup(net, sgd(net))
    loss_of = nn.CrossEntropyLoss()

    def steps() -> None:
        model.train()
        for x, y in batches:
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            fabric.backward(loss)
            optimizer.step()

    return lambda: timed(steps, len(batches))


def accelerate(net: nn.Module, batches: Batches) -> Turn:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model, optimizer = accelerator.prepare(net, sgd(net))
    loss_of = nn.CrossEntropyLoss()

    def steps() -> None:
        model.train()
        for x, y in batches:
            with accelerator.accumulate(model):
                loss = loss_of(model(x), y)
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()

    return lambda: timed(steps, len(batches))


def lightning(net: nn.Module, batches: Batches) -> Turn:
    """The Trainer without progress bar, logger and checkpoints; `batches` are its loader."""
    import lightning as L

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.loss_of = net, nn.CrossEntropyLoss()

        def training_step(self, batch, index):
            x, y = batch
            return self.loss_of(self.net(x), y)

        def configure_optimizers(self):
            return sgd(self.net)

    class Loader:  # Lightning takes a list for several loaders
        def __iter__(self):
            return iter(batches)

        def __len__(self):
            return len(batches)

    class Timing(L.Callback):
        def on_train_epoch_start(self, *_):
            self.began = time.perf_counter()

        def on_train_epoch_end(self, *_):
            self.seconds = (time.perf_counter() - self.began) / len(batches)

    def turn() -> float:
        timing = Timing()
        trainer = L.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            callbacks=[timing],
        )
        trainer.fit(Module(), Loader())
        return timing.seconds

    return turn


if __name__ == "__main__":
    contend(run, counted=False)
