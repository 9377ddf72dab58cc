"""8-bit integers by ONNX Runtime: static, in the QDQ format, its settings for processors of servers and desktops.

ONNX Runtime's quantization and not torchao's: torchao's 8-bit nets do not leave as ONNX.
"""

import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor

import ftrun

OPERATORS = ["Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "MaxPool", "GlobalAveragePool"]
"""What is computed in 8 bits, of the net alone. How inputs are prepared and the probabilities need more: floats."""

_SCOPES, _PREPARATION = "pkg.torch.onnx.name_scopes", "'net.preparation'"
"""Where torch's exporter notes the modules that a node is from, and that of `ftrun_export.Deployed` that prepares."""


class _Samples(CalibrationDataReader):
    """Training inputs, by their names."""

    def __init__(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        self._batches = ({name: each.numpy() for name, each in batch.items()} for batch in batches)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


def quantize(
    file: Path, into: Path, samples: Iterable[Mapping[str, Tensor]], *, per_channel: bool, reduce_range: bool
) -> None:
    """Make of an ONNX file one with 8-bit weights (signed) and activations (unsigned, ranges from the samples).

    Raises FtrunError for a net of more than 2 GB, whose weights are in a file of their own.
    """
    if file.with_name(f"{file.name}.data").exists():
        raise ftrun.FtrunError("a net of more than 2 GB cannot be written in 8-bit integers. Leave --int8 out.")
    with TemporaryDirectory(dir=into.parent, prefix=".quantize-") as scratch, _quiet():
        simplified = _simplified(file, Path(scratch) / "simplified.onnx")
        try:
            quantize_static(
                simplified,
                into,
                _Samples(samples),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=OPERATORS,
                nodes_to_exclude=_preparing(file),
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=per_channel,
                reduce_range=reduce_range,
                extra_options={"MatMulConstBOnly": True},  # attention's products stay in floats: quicker, and no worse
            )
        except ftrun.FtrunError:
            raise  # the samples' own
        except Exception as error:  # a class for each of its errors, and no common one
            raise ftrun.FtrunError(
                f"ONNX Runtime does not write this net in 8-bit integers: {type(error).__name__}: {error}"
            ) from error
    _tidy(into)


def _preparing(file: Path) -> list[str]:
    """Return the names of the nodes that prepare inputs."""
    return [
        node.name
        for node in onnx.load(file, load_external_data=False).graph.node
        if any(each.key == _SCOPES and _PREPARATION in each.value for each in node.metadata_props)
    ]


def _simplified(file: Path, into: Path) -> Path:
    """Return the file with batch normalisation in its convolutions and shapes inferred, as far as ONNX Runtime can.

    Its symbolic inference knows fewer operators than it computes with. Without it, fewer values have a shape, and what
    has none stays in floats: what that costs is measured on the result, as always.
    """
    attempts = ({}, {"skip_symbolic_shape": True}, {"skip_symbolic_shape": True, "skip_onnx_shape": True})
    for skipped in attempts:
        try:
            quant_pre_process(file, into, **skipped)
        except Exception:  # an AssertionError, an AttributeError, or its own: whatever an operator makes of it
            continue
        return into
    return file


def _tidy(file: Path) -> None:
    """Take out the operator sets that ONNX Runtime notes and no node is from: other runtimes may not know them."""
    model = onnx.load(file, load_external_data=False)
    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    onnx.save(model, file)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the tools from logging how they work."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
