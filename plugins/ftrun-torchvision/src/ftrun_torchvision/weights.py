"""Weights: made to fit, checked, loaded."""

import re
from collections.abc import Iterable, MutableMapping

from torch import Tensor
from torchvision import models
from torchvision.models.vision_transformer import interpolate_embeddings

import ftrun

State = MutableMapping[str, Tensor]

# Auxiliary classifiers, which only training from scratch needs.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


def load(net: ftrun.Net, state: State, source: str) -> None:
    """Put `state` into the net. A head for another number of classes is left out; anything else must fit.

    Raises SpecError, naming `source`, where it does not.
    """
    own = net.model.state_dict()
    _modernise(net, state)
    for name in [name for name in own if name.startswith(f"{net.head_path}.")]:
        if name in state and state[name].shape != own[name].shape:
            state[name] = own[name]
    wrong = [
        *_listed("missing", [name for name in own if name not in state]),
        *_listed("not in the model", [name for name in state if name not in own]),
        *_listed("of another shape", [k for k in own if k in state and state[k].shape != own[k].shape]),
    ]
    if wrong:
        raise ftrun.SpecError(f"{source} does not fit the model, which has {len(own)} tensors: {'; '.join(wrong)}.")
    net.model.load_state_dict(state)


def _modernise(net: ftrun.Net, state: State) -> None:
    """Bring a file as torchvision publishes it into the shape of today's model, in place (it may carry metadata)."""
    own = net.model.state_dict()
    for name in list(state):
        if name.startswith(_AUXILIARY):
            del state[name]
        elif isinstance(net.model, models.DenseNet):  # `norm.1` was written for `norm1`
            state[re.sub(r"\.(norm|conv)\.([12])\.", r".\1\2.", name)] = state.pop(name)
    for name in own:
        if name.endswith("num_batches_tracked"):  # files from before torch 0.4.1 lack it
            state.setdefault(name, own[name])
    if isinstance(net.model, models.VisionTransformer) and "encoder.pos_embedding" in state:
        interpolate_embeddings(net.model.image_size, net.model.patch_size, state)


def _listed(what: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    return [f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"] if names else []
