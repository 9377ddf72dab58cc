"""ftrun with nothing but its data, its backbone and the minutes: the recipe does the rest.

Options: `minutes`; `spec`, keys of the spec; `text`, whether the data are texts.
"""

import json
from pathlib import Path
from typing import Any

from common import Stopwatch, Work, contend


def run(work: Work, watch: Stopwatch) -> dict[str, Any]:
    from ftrun.cli import main

    Path("spec.json").write_text(json.dumps(spec_of(work)))
    main(["run", "spec.json", "--out", "run", "--device", work.device], standalone_mode=False)
    resolved = json.loads(Path("run/resolved.json").read_text())
    return {
        "correct": correct(Path("run")),
        "epochs": resolved["spec"]["train"]["epochs"],
        "recipe": resolved.get("recipe"),
    }


def spec_of(work: Work) -> dict[str, Any]:
    dataset: dict[str, Any] = {"name": "image-folder", "path": work.data}
    backbone: Any = "efficientnet-lite0"
    if work.options.get("text"):
        files = {split: f"{work.data}/{split}.jsonl" for split in ("train", "val", "test")}
        dataset = {"name": "jsonl", "text": "text", "targets": {"label": "classes"}, **files}
        backbone = "minilm"
    elif work.net == "resnet18":
        backbone = {"name": "torchvision", "model": "resnet18", "weights": None}
    train = {"train": {"minutes": work.options["minutes"]}} if "minutes" in work.options else {}
    spec = {"dataset": dataset, "backbone": backbone, "metrics": ["accuracy"], "seed": work.seed, **train}
    return {**spec, **work.options.get("spec", {})}


def correct(run: Path) -> list[int]:
    """Return, for each test sample in the data's order, whether its class is predicted right."""
    from safetensors.torch import load_file

    kept = load_file(run / "predictions/test.safetensors")
    right = kept["outputs/label"].argmax(1) == kept["truth/label"]
    return right[kept["ids"].argsort()].int().tolist()


if __name__ == "__main__":
    from ftrun.cli.lifecycle import configure_process, fast_exit

    configure_process()  # as the command line does, before the watch loads torch
    contend(run)
    fast_exit(0)  # as the command line does
