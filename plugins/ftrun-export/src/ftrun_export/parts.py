"""Exporters `torch-export` and `safetensors`: what torch, timm and torchvision load by themselves."""

from typing import Any, Literal

import ftrun


class TorchExport(ftrun.Exporter):
    """A program of torch.export: the preparation of images and the net in one file, for torch alone."""

    name: Literal["torch-export"]
    suffix = ".pt2"

    def build(self) -> Any:
        """Return what writes and opens."""
        from ftrun_export.program import ProgramWriter

        return ProgramWriter()


class Safetensors(ftrun.Exporter):
    """The weights under the names of the library that they came from and, where it can be, a file that loads them."""

    name: Literal["safetensors"]
    suffix = ".safetensors"

    def build(self) -> Any:
        """Return what writes and opens."""
        from ftrun_export.weights import WeightsWriter

        return WeightsWriter()
