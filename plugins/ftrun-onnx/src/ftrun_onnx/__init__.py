"""Exporter `onnx`: one file for ONNX Runtime and its like, in fp32 or in 8-bit integers."""

from typing import Any, Literal

from pydantic import Field

import ftrun

FTRUN_API = "2.0"


class Onnx(ftrun.Exporter):
    """ONNX: one file with the preparation of images, the net, class names and how inputs are made."""

    name: Literal["onnx"]
    suffix = ".onnx"
    quantizes = True

    opset: int = Field(20, ge=18, le=23, description="Version of ONNX's operators.")
    calibration: int = Field(256, ge=1, description="Training samples that the ranges of 8-bit integers are from.")
    per_channel: bool = Field(True, description="Whether each channel of 8-bit weights has a range of its own.")
    reduce_range: bool = Field(
        False, description="Whether 8-bit weights use 7 bits: for x86 processors without VNNI, whose sums overflow."
    )

    def build(self) -> Any:
        """Return what writes, opens and quantizes. Raises PluginError where a package is missing."""
        try:
            from ftrun_onnx.writer import OnnxWriter
        except ModuleNotFoundError as error:
            raise ftrun.PluginError(
                f"the format 'onnx' needs the package {error.name}, which is not here. Run: pip install ftrun-onnx"
            ) from error
        return OnnxWriter(self.opset, self.calibration, self.per_channel, self.reduce_range)


@ftrun.hookimpl
def ftrun_exporters() -> list[type[ftrun.Exporter]]:
    return [Onnx]
