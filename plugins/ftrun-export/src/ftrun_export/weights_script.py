"""The Python file that loads weights without ftrun."""

from ftrun import VectorTarget
from ftrun_export.exportable import Exportable

_TEXT = '''\
"""Loads {file} without ftrun.

`load()` gives the model; `predict(load(), images)` says of images what the run says of them.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_model

{imports}

FILE = Path(__file__).with_name({file!r})


def load():
    """The model with its weights, to predict with."""
    model = {call}
    load_model(model, FILE)
    return model.eval()


def about():
    """What the file says of itself: `input`, `targets` with the names of classes, and more."""
    with safe_open(FILE, "pt") as file:
        return {{name: _read(text) for name, text in file.metadata().items()}}


def _read(text):
    return json.loads(text) if text[:1] in "{{[" else text


def prepare(images):
    """uint8 [B, channels, *about()["input"]["size"]], resized and cropped -> float32, normalised."""
    mean, std = (torch.tensor(about()["input"][name]).mul(255)[:, None, None] for name in ("mean", "std"))
    return images.float().sub(mean).div(std)


@torch.no_grad()
def predict(model, images):
    """{gives}: [B, {outputs}]."""
{constants}    return model(prepare(images)){scores}
'''

_SCORES = {
    "classes": ("The probabilities of the classes", ".softmax(1)"),
    "labels": ("The probability of each label", ".sigmoid()"),
    "values": ("The values, float64", ".double().mul(std).add(mean)"),
}
_VALUES = """\
    target = next(iter(about()["targets"].values()))
    mean, std = (torch.tensor(target[name], dtype=torch.float64) for name in ("mean", "std"))
"""


def script(model: Exportable, file: str) -> str:
    """Return the text of the Python file next to `file`, for a model of one target on images, with `library_code`."""
    assert model.library_code is not None
    *imports, call = model.library_code.splitlines()
    (target,) = model.net.targets.values()
    assert isinstance(target, VectorTarget)
    gives, scores = _SCORES[target.kind]
    if (temperature := getattr(target, "temperature", 1.0)) != 1:
        scores = f".div({temperature!r}){scores}"
    return _TEXT.format(
        file=file,
        imports="\n".join(imports),
        call=call,
        gives=gives,
        outputs=target.outputs,
        constants=_VALUES if target.kind == "values" else "",
        scores=scores,
    )
