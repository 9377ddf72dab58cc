"""The net's outputs for each sample that a run was evaluated on, kept in it: predictions/<split>.safetensors.

ids                int64 [N], each sample's index in its split
outputs/<target>   what `Target.pack` keeps of outputs: [N, outputs], logits of classes and labels, float32, or values
                   in the dataset's terms, float64
truth/<target>     and of what the dataset says: [N, ...], -1 or NaN where a sample has nothing

Where that is a tree of several tensors, their places in it stand before the slash: outputs:boxes.values/<target> and
outputs:boxes.lengths/<target> are a Ragged at "boxes". A target of which nothing is kept is not there.

predictions/<split>-metrics.safetensors has what metrics gave that is too large for results.json, by its name there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import FtrunError
from ftrun.contracts.targets import Target
from ftrun.contracts.trees import Tree, joined, on_cpu, tree_index
from ftrun.data.files import write_whole, writing
from ftrun.runs.folder import RunFolder
from ftrun.runs.treefile import flat, of_length, unflat

FOLDER = "predictions"


@dataclass(frozen=True)
class Predictions:
    """A split's samples: their indices in it [N], and by target what `pack` kept of outputs and truth, on the CPU."""

    ids: Tensor
    outputs: Mapping[str, Tree]
    truth: Mapping[str, Tree]
    about: Mapping[str, str] = field(default_factory=dict)
    """What they are of: split, epoch."""

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, name: str, target: Target) -> tuple[Tree, Tree, Tensor]:
        """Return outputs, truth and ids of the samples that have this target. Raises KeyError where none are kept."""
        outputs, truth = self.outputs[name], self.truth[name]
        return *target.evaluated(outputs, truth, whole=False), self.ids[target.present(truth)]


@dataclass
class Collected:
    """Predictions as they come, batch by batch."""

    ids: list[Tensor] = field(default_factory=list)
    outputs: dict[str, list[Tree]] = field(default_factory=dict)
    truth: dict[str, list[Tree]] = field(default_factory=dict)

    def add(self, batch: Batch, outputs: Mapping[str, Tree], targets: Mapping[str, Target]) -> None:
        """Add what the net gave for a batch, by target, as `Target.decode` has it."""
        self.ids.append(batch.ids.cpu())
        for name, output in outputs.items():
            if (packed := targets[name].pack(output, batch.targets[name])) is not None:
                self.outputs.setdefault(name, []).append(on_cpu(packed[0]))
                self.truth.setdefault(name, []).append(on_cpu(packed[1]))

    def all(self) -> Predictions:
        """Return what was added so far, in the split's own order."""
        ids, order = torch.cat(self.ids).sort()
        outputs, truth = (
            {name: tree_index(joined(each), order) for name, each in parts.items()}
            for parts in (self.outputs, self.truth)
        )
        return Predictions(ids, outputs, truth)


def save(folder: RunFolder, split: str, predictions: Predictions, about: Mapping[str, Any]) -> None:
    """Write a split's predictions.

    about: what they are of, texts by name, kept in the file's own metadata
    """
    from safetensors.torch import save as to_bytes

    tensors = {"ids": predictions.ids}
    for kind in ("outputs", "truth"):
        for name, tree in getattr(predictions, kind).items():
            tensors |= {f"{kind}{place}/{name}": each.contiguous() for place, each in flat(tree)}
    _write(path_of(folder, split), to_bytes(tensors, {key: str(value) for key, value in about.items()}))


def _write(path: Path, content: bytes) -> None:
    with writing(path.parent):
        path.parent.mkdir(exist_ok=True)
    write_whole(path, content)


def keep_arrays(folder: RunFolder, split: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Write the metrics that are tensors to predictions/<split>-metrics.safetensors, by their names.

    Returns the metrics as JSON has them: in the place of a tensor are its file and its shape. Raises FtrunError where
    the file cannot be written.
    """
    from safetensors.torch import save as to_bytes

    arrays = {name: value for name, value in metrics.items() if isinstance(value, Tensor)}
    if not arrays:
        return dict(metrics)
    file = f"{FOLDER}/{split}-metrics.safetensors"
    _write(folder.path / file, to_bytes({name: array.contiguous() for name, array in arrays.items()}))
    return {
        name: {"file": file, "shape": list(value.shape)} if name in arrays else value for name, value in metrics.items()
    }


def load(folder: RunFolder, split: str) -> Predictions | None:
    """Return a split's predictions, or None where none were kept. Raises FtrunError where the file is damaged."""
    path = path_of(folder, split)
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
        ids = tensors.pop("ids")
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise FtrunError(f"{path}: is damaged: {error}. Remove it; ftrun evaluate judges the run again.") from None
    named: dict[str, dict[str, dict[str, Tensor]]] = {"outputs": {}, "truth": {}}
    for name, tensor in tensors.items():
        (kind, colon, place), target = name.partition("/")[0].partition(":"), name.partition("/")[2]
        if kind not in named:
            raise FtrunError(f"{path}: is damaged: {name} does not belong there.")
        named[kind].setdefault(target, {})[colon + place] = tensor
    try:
        trees = {kind: {name: unflat(each) for name, each in by_name.items()} for kind, by_name in named.items()}
        wrong = [name for by_name in trees.values() for name, tree in by_name.items() if not of_length(tree, len(ids))]
    except (ValueError, RuntimeError, TypeError):
        trees, wrong = {}, ["a tensor"]
    if wrong or trees["outputs"].keys() != trees["truth"].keys():
        what = wrong[0] if wrong else "outputs or truth"
        raise FtrunError(f"{path}: is damaged: {what} does not belong there, or has another length than ids.")
    return Predictions(ids, trees["outputs"], trees["truth"], about)


def evaluated_samples(folder: RunFolder, split: str, targets: Mapping[str, Target]) -> dict[str, int]:
    """Return how many samples of a split have each target; without those of which no predictions were kept."""
    kept = load(folder, split)
    return {name: int(targets[name].present(truth).sum()) for name, truth in kept.truth.items()} if kept else {}


def of_best(folder: RunFolder, split: str) -> Predictions | None:
    """Return the same, but None too where they are of an epoch that is no longer the best one. Raises FtrunError."""
    kept = load(folder, split)
    best = folder.read_json(f"checkpoints/{folder.best().name}/net.json").get("epoch")
    return kept if kept and kept.about.get("epoch") == str(best) else None


def path_of(folder: RunFolder, split: str) -> Path:
    """Return where a split's predictions are."""
    return folder.path / FOLDER / f"{split}.safetensors"
