"""From a model's name and its weights to a net."""

import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torchvision import models

import ftrun
import ftrun_inputs
import ftrun_weights
from ftrun_torchvision.families import net_of
from ftrun_torchvision.weights import load

# Seconds for which a host may be silent; torch.hub alone waits for as long as the system does.
_PATIENCE = 15


def build(name: str, weights: str | None, overrides: Mapping[str, Any]) -> ftrun.Net:
    """The net of torchvision's model `name`, with `weights` as in the part `torchvision`."""
    known = models.list_models(module=models)
    if name not in known:
        raise ftrun.SpecError(
            f"torchvision has no classification model {name!r}.{ftrun.did_you_mean(name, known)} "
            "`torchvision.models.list_models(module=torchvision.models)` lists them all."
        )
    entries = {key: entry for key, entry in models.get_model_weights(name).__members__.items() if _is_whole(entry)}
    source = _source(name, weights, entries)
    entry = entries["DEFAULT"] if source is None or isinstance(source, Path) else source
    prepare = _input(name, entry).changed(**overrides).of_channels(3)
    arguments = _arguments(name, prepare.size, entry)
    if _module(name) in ("googlenet", "inception"):
        arguments |= {"aux_logits": False, "init_weights": source is None}
    published = None if source is None or isinstance(source, Path) else _downloaded(source)
    with ftrun.library_errors(f"{name} does not take images of {prepare.size[0]} x {prepare.size[1]} pixels"):
        net = net_of(models.get_model(name, weights=None, **arguments), prepare)
    if published is not None:
        load(net, published, f"torchvision's file of {source!r}")
    elif isinstance(source, Path):
        read = ftrun_weights.read_weights(source, net.model.state_dict(), head=net.head_path)
        load(net, read.tensors, f"weight file {source}")
        net.notes += read.notes
    return net


def library_code(name: str, net: ftrun.Net) -> str | None:
    """What makes the model of `net` with torchvision alone; a head that is not its own does not fit into it."""
    if (target := net.plain_target) is None:
        return None
    entry = models.get_model_weights(name).__members__["DEFAULT"]
    arguments = _arguments(name, net.input.size, entry)
    if _module(name) in ("googlenet", "inception"):
        arguments |= {"aux_logits": False, "init_weights": False}
    given = "".join(f", {key}={value!r}" for key, value in arguments.items())
    call = f"torchvision.models.get_model({name!r}, weights=None, num_classes={target.outputs}{given})"
    return f"import torchvision\n{call}"


def _is_whole(entry: models.WeightsEnum) -> bool:
    """VGG's IMAGENET1K_FEATURES has no fully connected layers: they are NaN in its file."""
    return bool(entry.meta["categories"])


def _source(name: str, weights: str | None, entries: Mapping[str, Any]) -> models.WeightsEnum | Path | None:
    """What `weights` stands for: an entry of torchvision's, a file, or random weights."""
    if weights is None or weights in entries:
        return entries[weights] if weights else None
    path = ftrun.expand_path(weights)
    if path.is_file():
        return path
    if path.suffix in (".pth", ".pt", ".bin", ".safetensors") or len(path.parts) > 1:
        raise ftrun.SpecError(f"there is no weight file {weights!r} (looked for {path.absolute()}).")
    raise ftrun.SpecError(
        f"{name} has no weights {weights!r}, and there is no such file.{ftrun.did_you_mean(weights, entries)} "
        f"It has {', '.join(entries)}; null makes random ones."
    )


def _input(name: str, entry: models.WeightsEnum) -> ftrun_inputs.ImageInput:
    """What the weights were evaluated with."""
    preset = entry.transforms()
    mean, std = tuple(preset.mean), tuple(preset.std)
    if _module(name) in ("googlenet", "inception"):
        # With its own weights torchvision makes these models turn ImageNet's normalisation into this one (by
        # `transform_input`). Here the input does it, so that the weights mean the same in a model built without.
        mean = std = (0.5, 0.5, 0.5)
    size, resized = preset.crop_size[0], preset.resize_size[0]
    return ftrun_inputs.ImageInput(
        size=(size, size),
        mean=mean,
        std=std,
        interpolation=preset.interpolation.value,
        crop=size / resized,
    )


def _module(name: str) -> str:
    """The module of torchvision that has model `name`: `vision_transformer`."""
    return models.get_model_builder(name).__module__.rsplit(".", 1)[1]


def _arguments(name: str, size: tuple[int, int], entry: models.WeightsEnum) -> dict[str, Any]:
    """What torchvision's builder is to be given for images of `size`. Raises SpecError where the model takes none."""
    height, width = size
    match _module(name):
        case "vision_transformer":
            patch = int(name.rsplit("_", 1)[1])
            if height != width or height % patch:
                raise _wrong_size(name, size, f"squares whose side is a multiple of {patch}, such as {14 * patch}")
            return {"image_size": height}
        case "maxvit":
            if height % 224 or width % 224:
                raise _wrong_size(name, size, "sides that are multiples of 224")
            return {"input_size": size}
        case "swin_transformer":
            smallest = 32  # it pads to its windows; torchvision's `min_size` is the size of training
        case _:
            smallest = entry.meta["min_size"][0]
    if min(size) < smallest:
        raise _wrong_size(name, size, f"sides from {smallest} up")
    return {}


def _wrong_size(name: str, size: tuple[int, int], takes: str) -> ftrun.SpecError:
    return ftrun.SpecError(f"{name} does not take images of {size[0]} x {size[1]} pixels: it takes {takes}.")


def _downloaded(entry: models.WeightsEnum) -> dict[str, torch.Tensor]:
    """The state dict of torchvision's weights, from torch.hub's cache or from the network."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    try:
        with _impatient(), redirect_stdout(sys.stderr):  # torch.hub says on stdout that it downloads
            return entry.get_state_dict(
                progress=sys.stderr.isatty(), check_hash=True, map_location="cpu", weights_only=True
            )
    except (OSError, RuntimeError) as error:  # torch.hub raises the latter for a file with a wrong hash
        raise ftrun.FtrunError(
            f"the weights {entry!r} could not be fetched from {entry.url}: {getattr(error, 'reason', error)}. "
            f'Fetch that file elsewhere and put it into {folder}, or give it with "weights": "PATH"; '
            '"weights": null takes random ones.'
        ) from error


@contextmanager
def _impatient() -> Iterator[None]:
    """Inside, a silent host is an error after a while."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
