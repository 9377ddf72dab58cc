"""A new run from another run's weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ftrun.contracts.errors import SpecError
from ftrun.contracts.net import Net
from ftrun.runs import checkpoint
from ftrun.runs.folder import RunFolder

_LISTED = 10


@dataclass(frozen=True)
class Source:
    """Where weights are from: resolved.json keeps it, for a run that is resumed before its first checkpoint."""

    checkpoint: str
    epoch: int
    sha256: str
    """Of model.safetensors."""


def find(path: Path) -> Path:
    """The checkpoint that `--init-from` means: that folder itself, or a run's best one, or its last."""
    if (path / checkpoint.MANIFEST).is_file():
        return path
    if path.is_file():
        raise SpecError(
            f"--init-from {path}: is a file, and this takes the folder of a run. A weight file is an option of the "
            "backbone, where it takes one: `ftrun plugins backbones` shows it."
        )
    folder = RunFolder.existing(path)
    for name in ("best", "last", "previous"):
        if (folder.checkpoints / name).is_dir():
            return folder.checkpoints / name
    raise SpecError(f"--init-from {path}: this run has saved no weights yet.")


def initialise(net: Net, folder: Path, say: Callable[[str], None] = lambda line: None) -> Source:
    """Put those of a checkpoint's weights into `net` that fit it, by name and shape, and say which.

    A head is taken only where it is for the same classes in the same order, whatever its shape. Raises Damaged, and
    SpecError where nothing fits.
    """
    saved = checkpoint.load_net(folder)
    library, notes = net.remap_weights(checkpoint.load_tensors(folder), checkpoint.load_parts(folder).get("backbone"))
    tensors = {f"model.{name}": tensor for name, tensor in library.items()}
    tensors |= checkpoint.load_tensors(folder, checkpoint.HEADS)
    other_targets = not _same_targets(net, saved.get("targets"))
    own = net.weights.state_dict()
    loaded: list[str] = []
    new: dict[str, str] = {}
    with torch.no_grad():
        for name, tensor in own.items():
            if name not in tensors:
                if not any(tensor.data_ptr() == own[each].data_ptr() for each in loaded):  # tied weights are saved once
                    new[name] = "not there"
            elif other_targets and net.in_head(name):
                new[name] = "there for other classes"
            elif tensors[name].shape != tensor.shape:
                new[name] = f"{list(tensors[name].shape)} there, {list(tensor.shape)} here"
            else:
                tensor.copy_(tensors[name])
                loaded.append(name)
    if not any(name in loaded for name, _ in net.weights.named_parameters()):
        backbone = saved.get("backbone") or {}
        raise SpecError(
            f"--init-from {folder}: none of its {len(tensors)} tensors fits this net. It is of the backbone "
            f"{backbone.get('model') or backbone.get('name')!r}."
        )
    skipped = [name for name in tensors if name not in own]
    source = Source(str(folder.absolute()), saved.get("epoch", 0), checkpoint.digest(folder / checkpoint.MODEL))
    lines = [f"weights from {folder}, epoch {source.epoch}: {len(loaded)} of {len(own)} tensors loaded"]
    lines += [f"  {note}" for note in notes]
    lines += _listed("newly initialised", [f"{name} ({why})" for name, why in new.items()])
    lines += _listed("skipped, not in this net", skipped)
    for line in lines:
        say(line)
    return source


def _same_targets(net: Net, saved: Any) -> bool:
    """Return whether a net learned the same targets, by what net.json has of them."""
    if not isinstance(saved, Mapping) or saved.keys() != net.targets.keys():
        return False
    return all(
        isinstance(saved[name], Mapping)
        and {key: value for key, value in saved[name].items() if key not in target.calibrated_fields}
        == target.learned()
        for name, target in net.targets.items()
    )


def _listed(what: str, names: list[str]) -> list[str]:
    shown = [name.removeprefix("model.") for name in names[:_LISTED]]
    shown += [f"and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return [f"  {what}: {name}" for name in shown]


def again(net: Net, source: Mapping[str, Any]) -> None:
    """Do it once more, for a run that ended before its first checkpoint. Raises SpecError for other weights."""
    folder = Path(source["checkpoint"])
    if not folder.is_dir() or checkpoint.verify(folder)[checkpoint.MODEL] != source["sha256"]:
        raise SpecError(
            f"this run starts from the weights of {folder}, which are no longer there, and it has no checkpoint of "
            "its own yet. Start a new run."
        )
    initialise(net, folder)
