"""ftrun: a spec, through the real command line.

Options: `train`, keys of the spec's train; `spec`, keys of the spec itself; `freeze`, the last stage that does not
learn.
"""

import json
from pathlib import Path
from typing import Any

from common import MEAN, STD, Stopwatch, Work, contend

BACKBONES = {"lite0": "efficientnet-lite0"}


def run(work: Work, watch: Stopwatch) -> dict[str, Any]:
    from ftrun.cli import main

    Path("spec.json").write_text(json.dumps(spec_of(work)))
    main(["run", "spec.json", "--out", "run", "--device", work.device], standalone_mode=False)
    results = json.loads(Path("run/results.json").read_text())
    epochs = [json.loads(line)["seconds/train"] for line in Path("run/metrics.jsonl").read_text().splitlines()]
    resolved = json.loads(Path("run/resolved.json").read_text())
    return {
        "accuracy": results["test"]["accuracy"],
        "epoch_seconds": epochs,
        "seconds": results["seconds"],
        "setting": [resolved.get("precision"), resolved.get("memory_format")],
    }


def spec_of(work: Work) -> dict[str, Any]:
    """The spec of the work; what is not in it is ftrun's default."""
    train = {"batch_size": work.batch, "epochs": work.epochs, **work.options.get("train", {})}
    if "freeze" in work.options:
        train["phases"] = [{"epochs": work.epochs, "freeze": work.options["freeze"]}]
    if "phases" in train:
        del train["epochs"]
    return {
        "dataset": {"name": "image-folder", "path": work.data},
        "backbone": BACKBONES.get(work.net) or {"name": "torchvision", "model": work.net, "weights": None},
        "input": {"size": work.size, "mean": MEAN, "std": STD, "interpolation": "bilinear"},
        "augment": ["horizontal-flip", {"name": "random-crop", "padding": work.padding}] if work.augment else [],
        "loss": "cross-entropy",
        "optimizer": {"name": "sgd", "lr": work.lr, "momentum": work.momentum},
        "metrics": ["accuracy"],
        "train": train,
        "seed": work.seed,
        **work.options.get("spec", {}),
    }


if __name__ == "__main__":
    from ftrun.cli.lifecycle import configure_process, fast_exit

    configure_process()  # as the command line does, before the watch loads torch
    contend(run)
    fast_exit(0)  # as the command line does
