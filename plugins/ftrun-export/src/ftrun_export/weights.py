"""The format `safetensors`: weights and, where the library alone can take them, the Python file that loads them."""

import copy
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor

from ftrun_export.exportable import Exportable
from ftrun_export.kinds import answers_of
from ftrun_export.weights_script import script

_HEADS = ".heads.safetensors"

_COMPUTE = '''\
functions = runpy.run_path(str(FILE.with_suffix(".py")))
net = functions["load"]()


def compute(batch):
    """{{{target!r}: its scores [1, outputs]}}"""
    with torch.no_grad():
        return {{{target!r}: {call}.numpy()}}
'''


class WeightsWriter:
    """Weights in safetensors, which timm, torchvision and others load by themselves."""

    def __init__(self) -> None:
        self._loads_without_ftrun = False

    def write(self, model: Exportable, file: Path) -> dict[str, Any]:
        """Write the weights with the metadata and a Python file that loads them without ftrun, where that works."""
        save_model(model.net.model, str(file), metadata={"format": "pt", **model.metadata})
        if model.net.extra_modules.state_dict():  # neck and heads that are not in the library's own module
            save_model(model.net.extra_modules, str(file.with_suffix(_HEADS)), metadata={"format": "pt"})
        script_file = file.with_suffix(".py")
        shown = all(answers_of(target).in_script for target in model.net.targets.values())
        if model.library_code is not None and model.net.input.raw_kind == "image" and shown:
            script_file.write_text(script(model, file.name), encoding="utf-8")
            if not _loads(script_file):
                script_file.unlink()
        self._loads_without_ftrun = script_file.exists()
        return {"loads_with": script_file.name if script_file.exists() else "ftrun"}

    def open(self, model: Exportable, file: Path) -> Callable[[Tensor], Mapping[str, Tensor]]:
        """Return the model that the Python file makes or, without one, the run's net with what the file holds alone."""
        script_file = file.with_suffix(".py")
        if not script_file.exists():
            return _in_own_net(model, file)
        names = runpy.run_path(str(script_file))
        net = names["load"]()
        (target,) = model.net.targets

        @torch.no_grad()
        def run(inputs: Tensor) -> Mapping[str, Tensor]:
            return {target: net(inputs) if model.raw else names["predict"](net, inputs)}

        return run

    def code(self, model: Exportable) -> tuple[str, str] | None:
        """Return import statements, and code that computes with the library alone, where it loads what was written."""
        if not self._loads_without_ftrun:
            return None
        (target,) = model.net.targets
        call = "net(torch.from_numpy(batch))" if model.raw else 'functions["predict"](net, torch.from_numpy(batch))'
        return "import runpy\nimport torch", _COMPUTE.format(target=target, call=call)


def _loads(script_file: Path) -> bool:
    """Whether the weights fit: a modifier may have made another net than the library's."""
    try:
        runpy.run_path(str(script_file))["load"]()
    except Exception:  # whatever a library says to weights that are not its own
        return False
    return True


def _in_own_net(model: Exportable, file: Path) -> Callable[[Tensor], Mapping[str, Tensor]]:
    module: Any = copy.deepcopy(model.module)
    for value in (*module.net.weights.parameters(), *module.net.weights.buffers()):
        if value.is_floating_point():
            value.fill_(torch.nan)  # what the files lack shows
    load_model(module.net.model, file)
    if module.net.extra_modules.state_dict():
        load_model(module.net.extra_modules, file.with_suffix(_HEADS))

    @torch.no_grad()
    def run(inputs: Tensor) -> Mapping[str, Tensor]:
        scores: Mapping[str, Tensor] = module(inputs)
        return scores

    return run
