"""The command `export`, what an exporter gets, and the exporters `torch-export` and `safetensors`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import ftrun

if TYPE_CHECKING:
    from ftrun_export.exportable import Exportable
    from ftrun_export.exporting import Request, export

__all__ = ["Exportable", "Request", "export"]

FTRUN_API = "2.0"

_HOME = {"Exportable": "exportable", "Request": "exporting", "export": "exporting"}
"""The module of each public name: `ftrun --help` imports this one, and none of these."""


@ftrun.hookimpl
def ftrun_commands() -> list[ftrun.Command]:
    """Offer `export`."""
    text = "Write the best epoch of RUN as a file that needs no ftrun, such as ONNX, and compare it with the run."
    return [ftrun.Command("export", text, "ftrun_export.command:export")]


@ftrun.hookimpl
def ftrun_exporters() -> "list[type[ftrun.Exporter]]":
    """Offer `torch-export` and `safetensors`."""
    from ftrun_export.parts import Safetensors, TorchExport

    return [TorchExport, Safetensors]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"ftrun_export.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ftrun_export' has no attribute {name!r}")
