"""The format `torch-export`."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ftrun_export.exportable import Exportable

METADATA = "ftrun.json"
"""The name of the file inside that holds the metadata."""


_COMPUTE = '''\
module = torch.export.load(FILE).module()


def compute(batch):
    """{target: its scores [1, outputs]}"""
    with torch.no_grad():
        return {target: scores.numpy() for target, scores in module(%s).items()}
'''


class ProgramWriter:
    """Programs of torch.export, as `torch.export.save` writes them."""

    def write(self, model: Exportable, file: Path) -> dict[str, Any]:
        """Write the program for any number of samples, with the metadata as an extra file in JSON."""
        torch.export.save(model.program, file, extra_files={METADATA: json.dumps(dict(model.metadata), indent=2)})
        return {"metadata": METADATA}

    def open(self, model: Exportable, file: Path) -> Callable[[Any], Mapping[str, Tensor]]:
        """Return a function that computes with the program, loaded again."""
        module = torch.export.load(file).module()

        @torch.no_grad()
        def run(inputs: Any) -> Mapping[str, Tensor]:
            scores: Mapping[str, Tensor] = module(inputs)
            return scores

        return run

    def code(self, model: Exportable) -> tuple[str, str]:
        """Return import statements, and code that computes with torch."""
        many = isinstance(model.example, dict)
        tensors = (
            "{name: torch.from_numpy(each) for name, each in batch.items()}" if many else "torch.from_numpy(batch)"
        )
        return "import torch", _COMPUTE.replace("%s", tensors)
