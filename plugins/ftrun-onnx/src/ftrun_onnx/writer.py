"""Writing a net as ONNX, and running it again."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from torch import Tensor

import ftrun
from ftrun_export import Exportable
from ftrun_onnx.names import keep_apart
from ftrun_onnx.quantizing import quantize

_COMPUTE = '''\
session = onnxruntime.InferenceSession(FILE)


def compute(batch):
    """{{target: its scores [1, outputs]}}"""
    return dict(zip(TARGETS, session.run(list(TARGETS), {feed})))
'''


class OnnxWriter:
    """The format `onnx`; for the arguments see the part."""

    def __init__(self, opset: int, calibration: int, per_channel: bool, reduce_range: bool) -> None:
        self.opset = opset
        self.calibration = calibration
        self.per_channel = per_channel
        self.reduce_range = reduce_range

    def write(self, model: Exportable, file: Path) -> dict[str, Any]:
        """Write one file up to 2 GB; above, the weights are in `<file>.data` next to it. Raises FtrunError.

        The batch is of any size; an input is named by its kind, several by their own names, the outputs by the targets.
        """
        program = model.program
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns of its own LSTM's way; the file is compared in any case
                made = torch.onnx.export(
                    program,
                    (),
                    dynamo=True,
                    input_names=list(model.input_names),
                    output_names=list(model.output_names),
                    dynamic_shapes=(model.free,),
                    opset_version=self.opset,
                    verbose=False,
                )
            assert made is not None  # with dynamo, it is a program
        except torch.onnx.errors.OnnxExporterError as error:
            raise ftrun.FtrunError(f"this net cannot be written as ONNX: {_reason(error)}") from error
        keep_apart(made.model, {*model.input_names, *model.output_names})
        made.model.metadata_props.update(model.metadata)
        made.model.producer_name, made.model.producer_version = "ftrun", model.metadata.get("ftrun", "")
        made.save(file)
        onnx.checker.check_model(file)
        return {"opset": made.model.opset_imports[""], "ir": made.model.ir_version}

    def open(self, model: Exportable, file: Path) -> Callable[[Any], Mapping[str, Tensor]]:
        """Return a function that computes with ONNX Runtime on the CPU."""
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others may need the cores
        try:
            session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # a class for each of its errors, and no common one
            raise ftrun.FtrunError(f"ONNX Runtime does not take what was written: {_reason(error)}") from error
        names = [output.name for output in session.get_outputs()]

        def run(inputs: Any) -> dict[str, Tensor]:
            outputs = session.run(names, {name: each.numpy() for name, each in model.by_name(inputs).items()})
            return {name: torch.from_numpy(output) for name, output in zip(names, outputs, strict=True)}

        return run

    def code(self, model: Exportable) -> tuple[str, str]:
        """Return import statements, and code that computes with ONNX Runtime."""
        return "import onnxruntime", _COMPUTE.format(feed=_feed(model))

    def quantize(self, model: Exportable, file: Path, into: Path, samples: Callable[[int], Any]) -> None:
        """Make of `file` the file `into` in 8-bit integers; see `quantize`."""
        quantize(
            file,
            into,
            map(model.by_name, samples(self.calibration)),
            per_channel=self.per_channel,
            reduce_range=self.reduce_range,
        )


def _feed(model: Exportable) -> str:
    """Return Python for what the session is fed with: an array, or arrays by the names of the input's tensors."""
    if not isinstance(model.example, Mapping):
        return f"{{{model.input_names[0]!r}: batch}}"
    pairs = zip(model.input_names, model.example, strict=True)
    return f"{{{', '.join(f'{name!r}: batch[{key!r}]' for name, key in pairs)}}}"


def _reason(error: BaseException) -> str:
    """Return the innermost cause, with what it suggests: the exporter's own message is a page about the exporter."""
    while error.__cause__ is not None:
        error = error.__cause__
    return ftrun.suggestions(error)
