"""Time a sample and memory of ftrun's loader against the number of samples. Options: samples."""

import threading
import time
from pathlib import Path
from typing import Any

from common import Stopwatch, Work, contend
from inside import assembled, install

PLUGIN = '''
from typing import Literal

from pydantic import Field

import ftrun

CLASSES = 10


class Many(ftrun.Dataset):
    """Images of noise, made when they are asked for."""

    name: Literal["many"]
    samples: int = Field(description="Training samples.")

    def build(self):
        return ftrun.Splits(
            train=Noise(self.samples),
            val=Noise(100),
            targets={"label": ftrun.Classes(names=tuple(f"class{index}" for index in range(CLASSES)))},
        )


class Noise:
    def __init__(self, samples):
        import torch

        self.fingerprint = f"noise {samples}"
        self.columns = {"label": torch.arange(samples) % CLASSES}
        self.noise = torch.randint(0, 256, (1024, 3, 32, 32), dtype=torch.uint8)

    def __len__(self):
        return len(self.columns["label"])

    def __getitem__(self, index):
        return self.noise[index % 1024], {"label": self.columns["label"][index]}

    def __getitems__(self, indices):
        import torch

        chosen = torch.as_tensor(indices)
        return self.noise[chosen % 1024], {"label": self.columns["label"][chosen]}


@ftrun.hookimpl
def ftrun_datasets():
    return [Many]
'''


def run(work: Work, watch: Stopwatch) -> dict[str, Any]:
    samples = work.options["samples"]
    if work.options.get("quick"):
        samples = samples // 100
    install("ftrun-many", PLUGIN)
    began = time.perf_counter()
    job = assembled(
        {
            "dataset": {"name": "many", "samples": samples},
            "backbone": {"name": "torchvision", "model": "mobilenet_v3_small", "weights": None},
            "input": {"size": 32},
            "loss": "cross-entropy",
            "optimizer": "sgd",
            "train": {"batch_size": work.batch, "precision": "fp32", "memory_format": "contiguous"},
        }
    )
    assembling = time.perf_counter() - began
    loader = job.feed.loaders["train"]
    with Memory() as memory:
        taken = [epoch(loader, number) for number in range(max(2, 200_000 // samples))]
    return {
        "microseconds": min(taken) / samples * 1e6,
        "assembled_seconds": assembling,
        "anonymous_mb": memory.peaks["RssAnon"] / 1e6,
        "file_mb": memory.peaks["RssFile"] / 1e6,
    }


def epoch(loader: Any, number: int) -> float:
    began = time.perf_counter()
    for _ in loader.shuffled(0, number):
        pass
    return time.perf_counter() - began


class Memory:
    """Peaks of this process's memory, its own and that of mapped files, in bytes."""

    def __init__(self) -> None:
        self.peaks = {"RssAnon": 0, "RssFile": 0}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            for line in Path("/proc/self/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in self.peaks:
                    self.peaks[name] = max(self.peaks[name], int(value.split()[0]) * 1024)
            if self._over.wait(0.05):
                return


if __name__ == "__main__":
    contend(run)
