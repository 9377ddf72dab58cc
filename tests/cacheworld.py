"""A project that changes at random, in all that a cache depends on: code, options, modifiers, files, order, places."""

import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from ftrun.plugins.catalogue import Catalogue
from ftrun.plugins.installed import Plugin
from ftrun.plugins.load import _loaded, _manager, load_local
from ftrun.plugins.localparts import PartsFile
from ftrun.spec.check import check_spec
from ftrun.train import begin

PARTS = '''
from typing import Literal
from pydantic import Field
import ftrun
import ftrun_inputs

GAIN = {gain}

class Net(ftrun.Net):
    def features(self, x):
        return self.model.features(x)
    def pool(self, features):
        from changing_helper import pooled
        return pooled(features) * GAIN

class Backbone(ftrun.Backbone):
    """A convolution."""
    name: Literal["mine"]
    input_type = ftrun_inputs.ImageInput
    power: float = Field(1.0, description="Exponent of the embedding.")
    def build(self, overrides):
        from torch import nn
        class Power(nn.Module):
            def __init__(self, by):
                super().__init__()
                self.by = by
            def forward(self, x):
                return x.abs() ** self.by
        model = nn.Sequential()
        model.add_module("features", nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), Power(self.power)))
        model.add_module("head", nn.Linear(4, 2))
        given = ftrun_inputs.ImageInput(size=(8, 8)).changed(**overrides)
        return Net(model, input=given, num_features=4, head_path="head", stages={{"all": ["features"]}})

class Scale(ftrun.Modifier):
    """Scales the features, in a hook."""
    name: Literal["scale"]
    by: float = Field(2.0, description="Factor.")
    keeps_features = False
    def build(self, net):
        net.model.get_submodule("features").register_forward_hook(lambda module, args, output: output * self.by)
        return net

class Shift(ftrun.Modifier):
    """Shifts the features, in a hook."""
    name: Literal["shift"]
    keeps_features = False
    def build(self, net):
        net.model.get_submodule("features").register_forward_hook(lambda module, args, output: output + 0.5)
        return net

class DataDescent(ftrun.Optimizer):
    """Gradient descent through p.data, which torch does not count."""
    name: Literal["data-descent"]
    lr: float = Field(0.1, gt=0, description="Learning rate.")
    def build(self, params):
        import torch
        class Descent(torch.optim.Optimizer):
            def step(self, closure=None):
                for group in self.param_groups:
                    for each in group["params"]:
                        if each.grad is not None:
                            each.data.add_(each.grad.data, alpha=-group["lr"])
        return Descent(params, {{"lr": self.lr}})

@ftrun.hookimpl
def ftrun_backbones():
    return [Backbone]

@ftrun.hookimpl
def ftrun_modifiers():
    return [Scale, Shift]

@ftrun.hookimpl
def ftrun_optimizers():
    return [DataDescent]
'''

HELPER = """
def pooled(features):
    return features.mean((2, 3)) + {offset}
"""

PLUGIN = '''
from pathlib import Path
from typing import Literal
from pydantic import Field
import ftrun
import ftrun_inputs

DARKER = {darker}

class Split:
    def __init__(self, root, paths, flipped):
        import torch
        self.root, self.paths, self.flipped = root, paths, flipped
        self.columns = {{"label": torch.tensor([int(path.parent.name == "dog") for path in paths])}}
    @property
    def fingerprint(self):
        found = ftrun.files_fingerprint(self.paths, self.root)
        return found and f"{{found}} {{self.flipped}}"
    def __len__(self):
        return len(self.paths)
    def __getitem__(self, index):
        image = ftrun_inputs.read_image(self.paths[index]) // DARKER
        return image.flip(2) if self.flipped else image, {{"label": self.columns["label"][index]}}

class Pictures(ftrun.Dataset):
    """Images in two folders."""
    name: Literal["pictures"]
    path: Path = Field(description="Where they are.")
    flipped: bool = Field(False, description="Whether they are mirrored.")
    def build(self):
        paths = sorted(self.path.absolute().glob("*/*"))
        splits = {{"train": paths[::2], "val": paths[1::4], "test": paths[3::4]}}
        return ftrun.Splits(
            **{{name: Split(self.path.absolute(), each, self.flipped) for name, each in splits.items()}},
            targets={{"label": ftrun.Classes(names=("cat", "dog"))}},
        )

class Dim(ftrun.Augmentation):
    """Takes some brightness away."""
    name: Literal["dim"]
    most: float = Field(0.5, description="Most of it.")
    def build(self):
        def change(batch, random):
            from dataclasses import replace
            factor = 1 - self.most * random.uniform().view(-1, 1, 1, 1) / DARKER
            return replace(batch, inputs=(batch.inputs * factor.to(batch.inputs.device)).to(batch.inputs.dtype))
        return change

@ftrun.hookimpl
def ftrun_datasets():
    return [Pictures]

@ftrun.hookimpl
def ftrun_augmentations():
    return [Dim]
'''

OPTIONS: dict[str, list[Any]] = {
    "dataset": ["image-folder", "table-images", "pictures"],
    "root": ["a", "b", "link"],
    "images": [None, "a", "b"],
    "flipped": [False, True],
    "split_seed": [0, 1],
    "power": [1.0, 2.0],
    "modifiers": [[], ["scale"], ["shift"], ["scale", "shift"], ["shift", "scale"], [{"name": "scale", "by": 3.0}]],
    "input": [{}, {"size": 6}, {"mean": [0.1, 0.2, 0.3]}, {"crop": 0.8}, {"interpolation": "nearest"}],
    "augment": [[], ["dim"], [{"name": "dim", "most": 0.9}]],
    "views": [None, 1, 2],
    "batch_size": [4, 5],
    "seed": [0, 1],
    "precision": ["fp32", "bf16"],
    "thawed": [False, True],
    "on_corrupt": [3],
    "gain": [1, 2],
    "offset": [0.0, 0.25],
    "darker": [1, 2],
}


class World:
    """The project in the folder `place`, and a cache beside it that all its runs share."""

    def __init__(self, place: Path, base: Catalogue) -> None:
        self.place = place
        self.base = base
        self.state = {name: values[0] for name, values in OPTIONS.items()}
        self.runs = 0
        for root, seed in (("a", 0), ("b", 1)):
            for name in ("cat", "dog"):
                (place / root / name).mkdir(parents=True)
                for number in range(6):
                    paint(place / root / name / f"{number}.bmp", Random(f"{seed} {name} {number}"))
        (place / "link").symlink_to("a")
        for root in ("a", "b"):
            rows = [f"{name}/{number}.bmp,{name}" for name in ("cat", "dog") for number in range(6)]
            (place / root / "list.csv").write_text("\n".join(["image,label", *rows, ""]))

    def change(self, random: Random) -> str:
        """Change something, and say what."""
        kind = random.choice(["option"] * 3 + list(_FILES))
        if kind in _FILES:
            return f"{kind}: {_FILES[kind](self.place / random.choice('ab'), random)}"
        name = random.choice(sorted(OPTIONS))
        self.state[name] = random.choice(OPTIONS[name])
        return f"{name} = {self.state[name]}"

    def spec(self) -> dict[str, Any]:
        state = self.state
        path = str(self.place / state["root"])
        dataset = {
            "image-folder": {"path": path, "split": {"val": 0.2, "test": 0.2, "seed": state["split_seed"]}},
            "table-images": {
                "path": f"{path}/list.csv", "image": "image", "target": "label", "split_seed": state["split_seed"],
                **({"images": str(self.place / state["images"])} if state["images"] else {}),
            },
            "pictures": {"path": path, "flipped": state["flipped"]},
        }[state["dataset"]]  # fmt: skip
        frozen = {"epochs": 1, "freeze": "features", "views": state["views"] if state["augment"] else None}
        frozen = {key: value for key, value in frozen.items() if value is not None}
        return {
            "dataset": {"name": state["dataset"], **dataset},
            "backbone": {"name": "mine", "power": state["power"]},
            "modifiers": state["modifiers"],
            "input": state["input"],
            "augment": state["augment"],
            "loss": "cross-entropy",
            "optimizer": "data-descent",
            "metrics": ["accuracy"],
            "seed": state["seed"],
            "train": {
                "phases": [frozen, {"epochs": 1}, frozen] if state["thawed"] else [{**frozen, "epochs": 2}],
                "batch_size": state["batch_size"],
                "precision": state["precision"],
                "memory_format": "contiguous",
                "on_corrupt": state["on_corrupt"],
                "workers": 0,
            },
        }

    def outcome(self) -> dict[str, Any]:
        """Run it, and return all that a run gives but its times; or the error that it ends with."""
        spec = self.spec()
        out = self.place / "runs" / str(self.runs)
        self.runs += 1
        try:
            catalogue = self._catalogue()
            request = begin.Request(
                check_spec(spec, catalogue), "spec", json.dumps(spec), (), catalogue, out, "cpu", with_plugins=False
            )
            results = begin.run(request)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}".replace(str(out), "")}
        tensors = {
            f"{path.relative_to(out)} {name}": tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            for path in out.rglob("*.safetensors")
            for name, tensor in load_file(path).items()
        }
        shutil.rmtree(out)
        return {"results": {key: results[key] for key in ("best_epoch", "val", "test", "corrupt")}, **tensors}

    def _catalogue(self) -> Catalogue:
        """What is installed, the plugin and the parts file, loaded afresh."""
        place, state = self.place, self.state
        (place / "changing_parts.py").write_text(PARTS.format(gain=state["gain"]))
        (place / "changing_helper.py").write_text(HELPER.format(offset=state["offset"]))
        (place / "changing_plugin.py").write_text(PLUGIN.format(darker=state["darker"]))
        for name in ("changing_parts", "changing_helper", "changing_plugin"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        record = Plugin("changing-plugin", "1.0", "changing", "changing_plugin")
        plugin = _loaded(_manager(), record, lambda: importlib.import_module("changing_plugin"))
        parts = load_local(PartsFile.read(place / "changing_parts.py"))
        assert not plugin.error
        assert not parts.error
        return Catalogue([*self.base.plugins, plugin, parts])


def paint(path: Path, random: Random) -> None:
    """Write an image whose size and time are those of all the others."""
    pixels = np.frombuffer(random.randbytes(8 * 8 * 3), np.uint8).reshape(8, 8, 3)
    Image.fromarray(pixels).save(path)
    os.utime(path, (1e9, 1e9))


def _file(root: Path, random: Random) -> Path:
    return random.choice(sorted(root.glob("*/*.bmp")))


def _repaint(root: Path, random: Random) -> str:
    path = _file(root, random)
    paint(path, Random(random.randrange(2)))
    return str(path)


def _exchange(root: Path, random: Random) -> str:
    one, other = _file(root, random), _file(root, random)
    if one != other:
        _swap(one, other)
    return f"{one} and {other}"


def _exchange_folders(root: Path, random: Random) -> str:
    one, other = (
        (root / "cat", root / "dog") if random.random() < 0.5 else (root, root.parent / "ba"["ab".index(root.name)])
    )
    _swap(one, other)
    return f"{one} and {other}"


def _swap(one: Path, other: Path) -> None:
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def _damage(root: Path, random: Random) -> str:
    path = _file(root, random)
    path.write_bytes(b"?" * path.stat().st_size)
    os.utime(path, (1e9, 1e9))
    return str(path)


def _reorder(root: Path, random: Random) -> str:
    head, *rows = (root / "list.csv").read_text().splitlines()
    random.shuffle(rows)
    (root / "list.csv").write_text("\n".join([head, *rows, ""]))
    return str(root)


def _damage_cache(root: Path, random: Random) -> str:
    """Cut an entry of the cache short, or take away its marker or its content."""
    entries = sorted((root.parent / "cache").glob("?" * 32))
    if entries:
        entry = random.choice(entries)
        how = random.choice(["cut", "data", "ftrun-cache.json"])
        if how == "cut" and (entry / "data").exists():
            os.truncate(entry / "data", 1)
        else:
            (entry / how).unlink(missing_ok=True)
    return "damaged"


_FILES: dict[str, Callable[[Path, Random], str]] = {
    "repaint": _repaint,
    "exchange": _exchange,
    "exchange folders": _exchange_folders,
    "damage": _damage,
    "reorder": _reorder,
    "damage cache": _damage_cache,
}
