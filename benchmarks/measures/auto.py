"""What `auto` takes, against each setting that could be forced. Options: backbone, size."""

import time
from itertools import product
from statistics import median
from typing import Any

from common import Stopwatch, Work, contend
from inside import Epochs, assembled, install

ROUNDS, STEPS = 7, 4
PLUGIN = '''
from typing import Literal

from pydantic import Field

import ftrun


class Noise(ftrun.Dataset):
    """Images of noise, in memory."""

    name: Literal["noise"]
    samples: int = Field(description="Training samples.")
    size: int = Field(description="Height and width.")

    def build(self):
        import torch

        def split(count):
            images = torch.randint(0, 256, (count, 3, self.size, self.size), dtype=torch.uint8)
            return ftrun.TensorSplit(images, {"label": torch.arange(count) % 10})

        names = tuple(f"class{index}" for index in range(10))
        return ftrun.Splits(
            train=split(self.samples), val=split(10), targets={"label": ftrun.Classes(names=names)}
        )


@ftrun.hookimpl
def ftrun_datasets():
    return [Noise]
'''


def run(work: Work, watch: Stopwatch) -> dict[str, Any]:
    from ftrun.train.tuning import ComputeFormat

    rounds, steps = (1, 1) if work.options.get("quick") else (ROUNDS, STEPS)
    install("ftrun-noise", PLUGIN)
    began = time.perf_counter()
    job = assembled(spec_of(work, steps))
    assembling = time.perf_counter() - began
    auto, epochs = job.engine.setting, Epochs(job)
    taken: dict[ComputeFormat, list[float]] = {}
    for number in range(rounds + 1):
        for setting in (ComputeFormat(*each) for each in product(("fp32", "bf16"), ("channels_last", "contiguous"))):
            job.compute_in(setting)
            job.learner.optimizer.state.clear()  # it has the memory format that the weights had
            seconds = epochs.seconds()
            if number:  # the first round warms up
                taken.setdefault(setting, []).append(seconds)
    steps_ms = {f"{each.precision}_{each.memory_format}": median(runs) * 1000 for each, runs in taken.items()}
    own = steps_ms[f"{auto.precision}_{auto.memory_format}"]
    lost = (own / min(steps_ms.values()) - 1) * 100
    return {**steps_ms, "chosen": str(auto), "lost_percent": lost, "assembled_seconds": assembling}


def spec_of(work: Work, steps: int) -> dict[str, Any]:
    size, backbone = work.options["size"], work.options["backbone"]
    family, _, model = backbone.partition("/")
    train = {"batch_size": work.batch, "epochs": 1000}  # long enough that auto measures
    return {
        "dataset": {"name": "noise", "samples": work.batch * steps, "size": size},
        "backbone": {"name": family, "model": model, **no_weights(family)} if model else backbone,
        "input": {"size": size},
        "loss": "cross-entropy",
        "optimizer": {"name": "sgd", "lr": 1e-6},
        "train": train,
    }


def no_weights(family: str) -> dict[str, Any]:
    """Random ones: they cost the same, and nothing is downloaded."""
    return {"weights": None} if family == "torchvision" else {"pretrained": False}


if __name__ == "__main__":
    contend(run)
