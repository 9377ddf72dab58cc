"""What a part gives is looked at, whatever its role: one message with part and plugin; and what it raises carries its
name."""

import json
from pathlib import Path
from typing import Literal

import pytest
from support import tiny_spec, write_spec

import ftrun as api
from ftrun_inputs import ImageInput, TextInput

HEAD = """
from typing import Literal
import torch
from torch import nn
import ftrun
import ftrun_inputs
"""
BAD = (
    HEAD
    + """
class Bad(ftrun.{role}):
    '''Bad.'''
    name: Literal["bad"]
    {takes}
    {body}

@ftrun.hookimpl
def {hook}():
    return [Bad]
"""
)
KEYS = {
    "Dataset": ("ftrun_datasets", {"dataset": "bad"}, "dataset"),
    "Backbone": ("ftrun_backbones", {"backbone": "bad"}, "backbone"),
    "Modifier": ("ftrun_modifiers", {"modifiers": ["bad"]}, "modifiers.0"),
    "Augmentation": ("ftrun_augmentations", {"augment": ["bad"]}, "augment.0"),
    "Loss": ("ftrun_losses", {"loss": "bad"}, "loss"),
    "Objective": ("ftrun_objectives", {"objective": "bad"}, "objective"),
    "Optimizer": ("ftrun_optimizers", {"optimizer": "bad"}, "optimizer"),
    "Sampler": ("ftrun_samplers", {"sampler": "bad"}, "sampler"),
    "Scheduler": ("ftrun_schedulers", {"scheduler": "bad"}, "scheduler"),
    "Metric": ("ftrun_metrics", {"metrics": ["bad"]}, "metrics.0"),
    "Recipe": ("ftrun_recipes", {"recipe": "bad"}, "recipe"),
    "Observer": ("ftrun_observers", {"observers": ["bad"]}, "observers.0"),
}
SPLITS = (
    "class Mine(ftrun.Classes):\n        extra: int = 1\n    "
    "def build(self): return ftrun.Splits(train={train}, targets={targets})"
)
SPLIT = "ftrun.TensorSplit(torch.zeros(12, 1, 8, 8, dtype=torch.uint8), {'label': torch.arange(12) % 2})"
CLASSES = "{'label': ftrun.Classes(names=('a', 'b'))}"


def data(train=SPLIT, targets=CLASSES):
    return SPLITS.replace("{train}", train).replace("{targets}", targets)


def module(forward):
    return f"def build(self, target, values):\n        class L(nn.Module):\n            {forward}\n        return L()"


MODIFIED = "def build(self, net): return "
WRONG = {
    "dataset: None": ("Dataset", "def build(self): return None", "build() gives None, but an ftrun.Splits("),
    "dataset: tuple": ("Dataset", "def build(self): return 1, 2", "build() gives tuple of 2, but an ftrun.Splits("),
    "dataset: kind of target": (
        "Dataset",
        data(targets="{'label': self.Mine(names=('a', 'b'))}"),
        "target 'label' is of the kind 'classes', a Mine, which no plugin offers: a run could not be opened again.",
    ),
    "dataset: list of labels": (
        "Dataset",
        data(train=SPLIT.replace("torch.arange(12) % 2", "[0, 1] * 6")),
        "list of 12 for target 'label' of its train split, but a tensor [N, ...] is needed.",
    ),
    "dataset: labels float": (
        "Dataset",
        data(train=SPLIT.replace("torch.arange(12) % 2", "torch.arange(12.0) % 2")),
        "Tensor float32 [12] for target 'label' of its train split, but a tensor int64 [N] is needed.",
    ),
    "dataset: split": ("Dataset", data(train="[1, 2]"), "a sample is int, but (raw input, {target: value}) is needed"),
    "dataset: name": ("Dataset", data(targets="{3: ftrun.Classes(names=('a',))}"), "whose name is 3, but a name is a"),
    "dataset: signature": (
        "Dataset",
        "def build(self, path): return 1",
        "build() is how it is called, but missing a required argument: 'path'.",
    ),
    "backbone: None": ("Backbone", "def build(self, overrides): return None", "build() gives None, but an ftrun.Net"),
    "backbone: module": ("Backbone", "def build(self, overrides): return nn.Linear(1, 1)", "build() gives Linear, but"),
    "backbone: signature": (
        "Backbone",
        "def build(self): return 1",
        "build(overrides) is how it is called, but too many positional arguments.",
    ),
    "backbone: no features": (
        "Backbone",
        "def build(self, overrides): return ftrun.Net(nn.Sequential(nn.Linear(1, 1)), "
        "input=ftrun_inputs.ImageInput(size=8), num_features=1, head_path='0', stages={})",
        "build() gives a Net that does not define features and pool.",
    ),
    "modifier: None": (
        "Modifier",
        "def build(self, net): net.model[5].p = 0.1",
        "build() gives None, but the changed net is needed, an ftrun.Net: end build() with `return net`.",
    ),
    "modifier: module": ("Modifier", MODIFIED + "net.model", "build() gives Sequential, but the changed net"),
    "modifier: signature": ("Modifier", "def build(self): return 1", "build(net) is how it is called, but too many"),
    "modifier: targets": (
        "Modifier",
        "def build(self, net):\n        net.targets = {}\n        return net",
        "build() gives a net for {}, but for {'label': Classes(",
    ),
    "augmentation: None": ("Augmentation", "def build(self): return None", "build() gives None, but a function"),
    "augmentation: gives None": (
        "Augmentation",
        "def build(self): return lambda batch, random: None",
        "its function gives None, but the changed batch is needed",
    ),
    "augmentation: floats": (
        "Augmentation",
        "def build(self):\n        from dataclasses import replace\n"
        "        return lambda batch, random: replace(batch, inputs=batch.inputs / 255)",
        "its function makes Tensor float32 [54, 3, 8, 8] of inputs Tensor uint8 [54, 3, 8, 8]; their number and dtype",
    ),
    "loss: function": (
        "Loss",
        "def build(self, target, values): return nn.functional.cross_entropy",
        "build() gives the function cross_entropy, but an nn.Module is needed",
    ),
    "loss: class": ("Loss", "def build(self, target, values): return nn.CrossEntropyLoss", "gives the class CrossEntr"),
    "loss: no mean": (
        "Loss",
        "def build(self, target, values): return nn.CrossEntropyLoss(reduction='none')",
        "its forward() gives Tensor float32 [16], but a scalar is needed, the mean over the batch.",
    ),
    "objective: module": (
        "Objective",
        "def build(self, net, losses): return nn.Identity()",
        "build() gives Identity, but an ftrun.ObjectiveModule is needed.",
    ),
    "objective: tensor": (
        "Objective",
        "def build(self, net, losses):\n        class O(ftrun.ObjectiveModule):\n"
        "            def forward(self, net, batch, at): return losses(net, batch, at).loss\n        return O()",
        "its forward() gives Tensor float32 [], but ftrun.Terms(loss, outputs, parts) is needed.",
    ),
    "objective: part": (
        "Objective",
        "def build(self, net, losses):\n        class O(ftrun.ObjectiveModule):\n"
        "            def forward(self, net, batch, at):\n                terms = losses(net, batch, at)\n"
        "                return ftrun.Terms(terms.loss, terms.outputs, {'far': 1.0})\n        return O()",
        "its part 'far' is float, but each is a scalar tensor with a name other than 'loss'.",
    ),
    "objective: keeps the net": (
        "Objective",
        "def build(self, net, losses):\n        class O(ftrun.ObjectiveModule):\n"
        "            def __init__(self):\n                super().__init__()\n                self.net = net\n"
        "        return O()",
        "its 'net.model.0.weight' is the net's own. Take the net that forward() is called with.",
    ),
    "optimizer: None": (
        "Optimizer",
        "def build(self, params): return None",
        "build() gives None, but a torch.optim",
    ),
    "optimizer: own": ("Optimizer", "def build(self, params): return object()", "build() gives object, but a torch.op"),
    "sampler: function": (
        "Sampler",
        "def build(self, split, targets): return lambda seed, epoch: torch.arange(4)",
        "but an object with indices() is needed; it lacks indices().",
    ),
    "sampler: list": (
        "Sampler",
        "def build(self, split, targets):\n        class S:\n"
        "            def indices(self, seed, epoch): return [0, 1]\n        return S()",
        "an object whose indices(0, 1) is list of 2, but int64 [M], at least one, is needed.",
    ),
    "sampler: beyond": (
        "Sampler",
        "def build(self, split, targets):\n        class S:\n"
        "            def indices(self, seed, epoch): return torch.arange(len(split) + 1)\n        return S()",
        "indices(0, 1) go from 0 to 54, but there are 54 samples.",
    ),
    "recipe: dict": (
        "Recipe",
        "def build(self, facts): return {'loss': 'mse'}",
        "build() gives dict of 1, but an ftrun.Filled(spec=..., why=...) is needed.",
    ),
    "recipe: key": (
        "Recipe",
        "def build(self, facts): return ftrun.Filled({'backbone': 'lstm'})",
        "the key 'backbone', but a recipe fills in augment, input, loss,",
    ),
    "recipe: mistake": (
        "Recipe",
        "def build(self, facts): return ftrun.Filled({'scheduler': 'cosin'})",
        "what it fills in: scheduler: no scheduler named 'cosin'. Did you mean 'cosine'?",
    ),
    "scheduler: number": ("Scheduler", "def build(self): return 0.5", "build() gives float, but a function is needed"),
    "scheduler: gives None": (
        "Scheduler",
        "def build(self): return lambda progress: None",
        "a function that makes None of progress 0.0, but a finite factor is needed.",
    ),
    "scheduler: gives NaN": (
        "Scheduler",
        "def build(self): return lambda progress: float('nan') if progress == 1 else 1.0",
        "a function that makes nan of progress 1.0, but a finite factor is needed.",
    ),
    "metric: no compute": (
        "Metric",
        "def build(self, target):\n        class M:\n            def update(self, o, v): ...\n"
        "            def reset(self): ...\n            def to(self, device): return self\n        return M()",
        "build() gives M, but an object with update(), compute(), reset(), to() is needed; it lacks compute().",
    ),
    "metric: None": ("Metric", "def build(self, target): return None", "build() gives None, but an object with"),
    "observer: None": ("Observer", "def build(self): return None", "build() gives None, but an object is needed"),
    "observer: unmarked": (
        "Observer",
        "def build(self):\n        class O:\n            def ftrun_after_run(self): ...\n        return O()",
        "build() gives O whose ftrun_after_run is not marked with @ftrun.hookimpl",
    ),
}


@pytest.fixture
def spec(site):
    def make(role, body):
        hook, changes, where = KEYS[role]
        takes = "input_type = ftrun_inputs.ImageInput" if role == "Backbone" else ""
        Path("bad_parts.py").write_text(BAD.format(role=role, hook=hook, takes=takes, body=body))
        return write_spec(tiny_spec(**changes, parts="bad_parts.py", train={"epochs": 1, "batch_size": 16})), where

    return make


@pytest.mark.parametrize(("role", "body", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_a_part_builds_is_looked_at(ftrun, spec, role, body, message):
    path, where = spec(role, body)
    result = ftrun(path)
    assert result.exit_code == 3
    (line,) = [line for line in result.output.splitlines() if "bad_parts.py" in line]
    assert line.startswith(f"Error: {where}: 'bad' of bad_parts.py: ")
    assert message in line


RAISES = "raise ZeroDivisionError('oops')"
RAISING = {
    "build": ("Optimizer", f"def build(self, params): {RAISES}"),
    "fit": ("Modifier", f"def build(self, net): return net\n    def fit(self, net, train): {RAISES}"),
    "loss": ("Loss", module(f"def forward(self, output, values): {RAISES}")),
    "augmentation": (
        "Augmentation",
        f"def build(self):\n        def change(batch, random): {RAISES}\n        return change",
    ),
    "metric": (
        "Metric",
        f"def build(self, target):\n        class M:\n            def update(self, o, v): {RAISES}\n"
        "            def compute(self): ...\n            def reset(self): ...\n"
        "            def to(self, device): return self\n        return M()",
    ),
    "optimizer": (
        "Optimizer",
        "def build(self, params):\n        class O(torch.optim.SGD):\n"
        f"            def step(self, closure=None): {RAISES}\n"
        "        return O(params, lr=0.1)",
    ),
    "scheduler": (
        "Scheduler",
        "def build(self):\n        calls = []\n        def factor(progress):\n            calls.append(progress)\n"
        f"            if len(calls) > 3: {RAISES}\n            return 1.0\n        return factor",
    ),
    "net": (
        "Modifier",
        f"def build(self, net):\n        class R(nn.Module):\n            def forward(self, x): {RAISES}\n"
        "        net.model[2] = R()\n        return net",
    ),
    "data": (
        "Dataset",
        "def build(self):\n        class S(ftrun.TensorSplit):\n"
        f"            def __getitems__(self, i):\n                if len(i) > 1: {RAISES}\n"
        "                return super().__getitems__(i)\n"
        f"        return ftrun.Splits(train={SPLIT.replace('ftrun.TensorSplit', 'S')}, targets={CLASSES})",
    ),
}


@pytest.mark.parametrize(("role", "body"), RAISING.values(), ids=RAISING.keys())
def test_what_a_part_raises_carries_its_name(ftrun, spec, role, body):
    path, where = spec(role, body)
    with pytest.raises(ZeroDivisionError, match="oops") as raised:
        ftrun(path)
    (note,) = raised.value.__notes__
    assert f"{where}, 'bad' of bad_parts.py" in note
    assert note.startswith("in ")


def test_a_sample_that_is_none(ftrun, spec):
    body = (
        "def build(self):\n        class S(ftrun.TensorSplit):\n            __getitems__ = None\n"
        "            def __getitem__(self, i): return self.inputs[i]\n"
        f"        return ftrun.Splits(train={SPLIT.replace('ftrun.TensorSplit', 'S')}, targets={CLASSES})"
    )
    result = ftrun(spec("Dataset", body)[0])
    assert result.exit_code == 3
    assert "a sample is Tensor uint8 [1, 8, 8], but (raw input, {target: value}) is needed." in result.output


def test_inputs_that_a_dataset_does_not_declare_are_looked_at_before_training(ftrun, spec):
    """Sounds go through no net for images."""
    sounds = SPLIT.replace("torch.zeros(12, 1, 8, 8, dtype=torch.uint8)", "torch.zeros(12, 1, 1600)")
    result = ftrun(spec("Dataset", data(train=sounds))[0])
    assert result.exit_code == 4
    assert (
        "Error: dataset: backbone 'tiny' takes an image, a uint8 or uint16 tensor [1 or 3, height, width], but a "
        "sample of dataset 'bad' of bad_parts.py is Tensor float32 [1, 1600]."
    ) in result.output
    assert not Path("runs").exists()


CSV = {"name": "csv", "path": "a.csv", "text": "text", "target": "label"}
PAIRS = {
    "texts for images": (
        {"dataset": "digits", "backbone": "lstm"},
        "backbone: 'lstm' takes texts, but the dataset 'digits' gives images. Backbones for images: ",
    ),
    "images for texts": (
        {"dataset": CSV, "backbone": "timm/resnet10t"},
        "backbone: 'timm' takes images, but the dataset 'csv' gives texts. Backbones for texts: ",
    ),
    "augmentation": (
        {"dataset": CSV, "backbone": "lstm", "augment": ["horizontal-flip"]},
        "augment.0: 'horizontal-flip' is for images, but the inputs of this spec are texts. Augmentations for texts: ",
    ),
    "augmentation of what the backbone alone says": (
        {"dataset": "tiny", "backbone": "lstm", "augment": ["horizontal-flip"]},
        "augment.0: 'horizontal-flip' is for images, but the inputs of this spec are texts.",
    ),
    "modifier": (
        {"dataset": "digits", "backbone": "timm/resnet10t", "modifiers": [{"name": "resize-vocabulary", "most": 3}]},
        "modifiers.0: 'resize-vocabulary' is for texts, but the inputs of this spec are images. Modifiers for images: ",
    ),
    "loss": (
        {
            "dataset": {"name": "digits", "targets": ["ink", "parity"]},
            "loss": {"ink": "cross-entropy", "parity": "bce"},
        },
        "loss: 'cross-entropy' works on classes, but the dataset's target 'ink' has values.",
    ),
    "metric": (
        {"dataset": CSV, "backbone": "lstm", "metrics": ["r2"]},
        "metrics.0: 'r2' works on values, but the dataset's target 'label' has classes.",
    ),
    "loss of no target": (
        {"dataset": CSV, "backbone": "lstm", "loss": {"labl": "cross-entropy"}},
        "loss.labl: the dataset has no target 'labl'. Did you mean 'label'?",
    ),
    "kind of another's input": (
        {"dataset": "digits", "backbone": "ear", "parts": "ear.py"},
        "backbone: 'ear' takes sounds, but the dataset 'digits' gives images.",
    ),
}
EAR = """
from typing import Literal
import ftrun
class Sound(ftrun.InputSpec):
    kind: Literal["sound"] = "sound"
    def prepare(self, batch): ...
class Ear(ftrun.Backbone):
    '''Hears.'''
    name: Literal["ear"]
    input_type = Sound
    def build(self, overrides): ...
@ftrun.hookimpl
def ftrun_backbones():
    return [Ear]
"""


@pytest.mark.parametrize(("changes", "message"), PAIRS.values(), ids=PAIRS.keys())
def test_parts_that_do_not_go_together_are_mistakes_of_the_spec(site, ftrun, changes, message):
    Path("ear.py").write_text(EAR)
    result = ftrun("check", write_spec(tiny_spec(**changes)))
    assert result.exit_code == 2
    assert message in result.output


def test_an_input_prepares_itself_or_has_a_module_that_does():
    with pytest.raises(TypeError, match=r"Mute needs prepare\(batch\), or preparation\(\), a module"):

        class Mute(api.InputSpec):
            kind: Literal["mute"] = "mute"


def test_a_kind_of_input_comes_from_the_class_right_below_the_contract():
    class Special(TextInput):
        kind: str = "special"

    assert (ImageInput.raw_kind, TextInput.raw_kind, Special.raw_kind) == ("image", "text", "text")
    assert json.loads(ImageInput(size=8).model_dump_json()).keys() >= {"kind", "size"}
