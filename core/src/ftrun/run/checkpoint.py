"""Weights and training state as safetensors and JSON; written beside, synced, and renamed."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor

from ftrun.net import Net
from ftrun.run.folder import to_json, writing


def save(
    folder: Path,
    net: Net,
    description: Mapping[str, Any],
    optimizer: torch.optim.Optimizer | None = None,
    progress: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint to `folder`, in place of the one that is there.

    model.safetensors  the net's weights, under their library's names
    net.json           `description`: what rebuilds the net
    state.*            optimizer and progress, where they are given
    """
    beside = folder.with_name(f".{folder.name}.new")
    with writing(folder):
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        save_model(net.model, str(beside / "model.safetensors"))
        _write_json(beside / "net.json", description)
        if optimizer is not None:
            tensors, rest = pack(optimizer.state_dict())
            save_file(tensors, beside / "state.safetensors")
            _write_json(beside / "state.json", {"progress": progress, "optimizer": rest})
        for weights in beside.glob("*.safetensors"):
            shutil.copymode(beside / "net.json", weights)  # safetensors lets nobody but the owner read its files
        for file in (*beside.iterdir(), beside):
            _sync(file)
        _swap(beside, folder)


def load_weights(folder: Path, net: Net) -> None:
    """Put a checkpoint's weights into `net`."""
    load_model(net.model, folder / "model.safetensors", device=str(next(net.parameters()).device))


def load_state(folder: Path, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Put a checkpoint's optimizer state into `optimizer`, and give its progress."""
    state: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    optimizer.load_state_dict(unpack(load_file(folder / "state.safetensors"), state["optimizer"]))
    for parameter, values in optimizer.state.items():
        for key, value in values.items():  # files are contiguous; the optimizer's arithmetic follows the parameter
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[key] = torch.empty_like(parameter).copy_(value)
    progress: dict[str, Any] = state["progress"]
    return progress


def pack(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state dict as tensors, named `parameter.key`, and JSON for all else."""
    tensors: dict[str, Tensor] = {}
    rest: dict[str, dict[str, Any]] = {}
    for parameter, values in state["state"].items():
        rest[str(parameter)] = {key: value for key, value in values.items() if not isinstance(value, Tensor)}
        tensors |= {
            f"{parameter}.{key}": value.contiguous() for key, value in values.items() if isinstance(value, Tensor)
        }
    return tensors, {"state": rest, "param_groups": state["param_groups"]}


def unpack(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    """What `pack` was given."""
    state: dict[int, dict[str, Any]] = {int(parameter): dict(values) for parameter, values in rest["state"].items()}
    for name, tensor in tensors.items():
        parameter, _, key = name.partition(".")
        state[int(parameter)][key] = tensor
    return {"state": state, "param_groups": rest["param_groups"]}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(to_json(value), encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap(new: Path, place: Path) -> None:
    """Rename `new` to `place`. A folder cannot replace a full one, so the old one steps aside first."""
    aside = place.with_name(f".{place.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if place.exists():
        place.rename(aside)
    new.rename(place)
    _sync(place.parent)
    shutil.rmtree(aside, ignore_errors=True)
