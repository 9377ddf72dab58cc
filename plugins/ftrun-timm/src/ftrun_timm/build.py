"""From a model's name and its weights to a net."""

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import timm
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from timm.data import resolve_data_config
from timm.models import PretrainedCfg, get_pretrained_cfg
from timm.models.dla import DLA
from torch import Tensor, nn

import ftrun
import ftrun_inputs
import ftrun_weights
from ftrun_timm.net import MISFIT, TimmNet

State = dict[str, Tensor]

# Seconds for which a host may be silent.
_PATIENCE = 15


def build(name: str, pretrained: bool, checkpoint: Path | None, overrides: Mapping[str, Any]) -> ftrun.Net:
    """The net of timm's model `name`; for the arguments see the part `timm`."""
    config = _config(name)
    prepare = _input(config).changed(**overrides).of_channels(config.input_size[0])
    download = pretrained and checkpoint is None
    if download and not config.has_weights:
        raise ftrun.SpecError(
            f"timm has no pretrained weights for {name!r}.{ftrun.did_you_mean(name, timm.list_pretrained())} "
            'Give another model, or "pretrained": false for random weights.'
        )
    size = prepare.size if "size" in overrides else None
    arguments = {"img_size": size} if size and config.fixed_input_size else {}
    with ftrun.library_errors(_wrong_size(name, config.input_size[1:], size)) if size else nullcontext():
        with _fetching(name, config) if download else nullcontext():
            model = timm.create_model(name, pretrained=download, **arguments)
        if arguments:
            _check_patches(name, model, config.input_size[1:], size)
        net = TimmNet(model, prepare)
    if checkpoint is None:
        return net
    read = ftrun_weights.read_weights(checkpoint, net.model.state_dict(), head=net.head_path)
    net = _with_weights(net, read.tensors, f"checkpoint {checkpoint}", name, arguments)
    net.notes += read.notes
    return net


def library_code(name: str, net: ftrun.Net) -> str | None:
    """What makes the model of `net` with timm alone; a head that is not timm's own does not fit into it."""
    if (target := net.plain_target) is None:
        return None
    size = f", img_size={net.input.size}" if _config(name).fixed_input_size else ""
    return f"import timm\ntimm.create_model({name!r}, num_classes={target.outputs}{size})"


def hub_name(name: str) -> str | None:
    """What the Hugging Face Hub calls the weights of a model; None where timm has them from elsewhere."""
    config = _config(name)
    repository = config.hf_hub_id
    if repository and repository.endswith("/"):  # timm's own way to say: and the model's name, with its tag
        return f"{repository}{config.architecture}.{config.tag}"
    return repository


def _config(name: str) -> PretrainedCfg:
    """timm's record of the model and of the weights of its tag."""
    architecture, _, tag = name.partition(".")
    known = timm.list_models()
    if architecture not in known:
        raise ftrun.SpecError(
            f"timm has no model {architecture!r}.{ftrun.did_you_mean(architecture, known)} "
            "`timm.list_models()` lists them all."
        )
    if not tag:
        return get_pretrained_cfg(name)
    try:
        return get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{architecture}.*")]
        raise ftrun.SpecError(
            f"timm's {architecture} has no weights with the tag {tag!r}.{ftrun.did_you_mean(tag, tags)} "
            f"Its tags are: {', '.join(tags) or 'none'}."
        ) from error


def _input(config: PretrainedCfg) -> ftrun_inputs.ImageInput:
    """What the weights were evaluated with."""
    data = resolve_data_config(pretrained_cfg=config.to_dict())
    return ftrun_inputs.ImageInput(
        size=tuple(data["input_size"][1:]),
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        interpolation=data["interpolation"],
        crop=min(data["crop_pct"], 1.0),  # three models enlarge a border away; not in the contract
    )


def _check_patches(name: str, model: nn.Module, native: tuple[int, int], size: tuple[int, int]) -> None:
    """A model of patches may cut off what is left over after the last whole patch; nobody would see it."""
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    patch = first.stride
    if first.kernel_size == patch and (size[0] % patch[0] or size[1] % patch[1]):
        reason = f"its patches are {_by(patch)}, so the sides must be multiples of that"
        raise ftrun.SpecError(f"{_wrong_size(name, native, size)}: {reason}.")


def _wrong_size(name: str, native: Iterable[int], size: Iterable[int]) -> str:
    return (
        f"timm's {name} does not take images of {_by(size)} pixels (its own size is {_by(native)}; multiples of that "
        "work, and in most families those of 32)"
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _by(size: Iterable[int]) -> str:
    return " x ".join(str(side) for side in size)


@contextmanager
def _fetching(name: str, config: PretrainedCfg) -> Iterator[None]:
    """Inside, weights come from the cache or the network."""
    repository = config.hf_hub_id
    place = f"https://huggingface.co/{repository}" if repository else config.url
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)  # torch.hub has no timeout of its own
    try:
        if repository:
            _check_hub(repository, config.hf_hub_filename)
        yield
    except OSError as error:
        file = "model.safetensors or pytorch_model.bin" if repository else Path(config.url).name
        raise ftrun.FtrunError(
            f"the weights of {name} could not be fetched from {place}: {error or type(error).__name__}. "
            f'Fetch the file ({file}) elsewhere and give it with "checkpoint": "PATH"; '
            '"pretrained": false takes random weights.'
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _check_hub(repository: str, file: str | None) -> None:
    """Raise OSError where the Hub is out of reach and its file is not in the cache.

    The Hub's client would try for most of a minute before it says so, and log each time.
    """
    files = [file] if file else ["model.safetensors", "pytorch_model.bin"]
    if any(isinstance(try_to_load_from_cache(repository, each), str) for each in files):
        return
    try:
        get_hf_file_metadata(hf_hub_url(repository, files[0]), timeout=_PATIENCE)
    except HfHubHTTPError as error:
        if error.response.status_code != 404:  # the file may have the other name
            raise
    except Exception as error:  # which class it is depends on the HTTP library that the client was built on
        raise ConnectionError(str(error)) from error


def _with_weights(net: TimmNet, state: State, source: str, name: str, arguments: Mapping[str, Any]) -> TimmNet:
    """The net with `state`, its own head included where that is of other classes; all else must fit."""
    own = net.model.state_dict()
    wrong = _differences(own, state)
    if not wrong:
        net.model.load_state_dict(state)
        return net
    misfit = ftrun.SpecError(f"{source} does not fit {name}, which has {len(own)} tensors: {wrong}.")
    if isinstance(net.model, DLA):  # the one family for which timm loads whatever has a name that fits
        raise misfit
    # timm can convert other layouts of names, and position embeddings for another size of input.
    try:
        model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"state_dict": state}, **arguments)
    except (*MISFIT, AttributeError, KeyError) as error:
        raise misfit from error
    del model.pretrained_cfg["state_dict"]
    return TimmNet(model, net.input)


def _differences(own: State, state: State) -> str:
    kinds = {
        "missing": [key for key in own if key not in state],
        "not in the model": [key for key in state if key not in own],
        "of another shape": [key for key in own if key in state and state[key].shape != own[key].shape],
    }
    return "; ".join(
        f"{len(keys)} {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for kind, keys in kinds.items()
        if keys
    )
