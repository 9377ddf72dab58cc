"""Exporter `template`: a torch.export program, and the names of classes in a text file.

An exporter is a format in which a trained net leaves its run. `ftrun export RUN --format
template` writes a file, opens it again, and compares it with the run on real samples.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import ftrun
from pydantic import Field

if TYPE_CHECKING:  # for type checkers alone: ftrun lists and checks parts without torch
    from ftrun_export import Exportable
    from torch import Tensor

FTRUN_API = "2.0"  # what it was written for, so that a later ftrun can tell


class Template(ftrun.Exporter):
    """A torch.export program, and the names of classes in a text file beside it."""

    name: Literal["template"]
    suffix = ".pt2"  # of its files
    separator: str = Field(
        "\n",
        description="What stands between two names of classes.",
    )

    def build(self) -> Any:
        """An object that writes files of this format, and opens them."""
        return ProgramAndNames(self.separator)


class ProgramAndNames:
    """The methods that every format has; one with 8-bit integers has `quantize` too."""

    def __init__(self, separator: str) -> None:
        self.separator = separator

    def write(self, model: "Exportable", file: Path) -> Mapping[str, Any]:
        """Write `model` to `file`; what it gives goes into the report.

        What belongs to the file goes beside it, under a name that begins with its stem.
        """
        import torch

        # `model.module` is an nn.Module: images uint8 [B, C, H, W], as `model.example`,
        # -> {target: probabilities [B, K]}. `model.program` is the same by torch.export,
        # for any number of samples, `model.metadata` what a file should say of itself.
        torch.export.save(model.program, file, extra_files=dict(model.metadata))
        for name, target in model.net.targets.items():
            names = self.separator.join(target.names_in_use())
            beside = file.with_name(f"{file.stem}.{name}.txt")
            beside.write_text(names, encoding="utf-8")
        return {"targets": len(model.net.targets)}

    def open(self, model: "Exportable", file: Path) -> Callable[..., Any]:
        """What the file computes, read from disk: a function of a batch on the CPU.

        `model` says what the file is of; all that is computed with comes from the file.
        """
        import torch

        module = torch.export.load(file).module()

        def run(inputs: "Tensor") -> Mapping[str, "Tensor"]:
            with torch.no_grad():
                outputs: Mapping[str, Tensor] = module(inputs)
            return outputs

        return run


@ftrun.hookimpl
def ftrun_exporters() -> list[type[ftrun.Exporter]]:
    return [Template]
