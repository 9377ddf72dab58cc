"""8-bit integers by ONNX Runtime: static, in the QDQ format, its settings for processors of servers and desktops.

ONNX Runtime's quantization and not torchao's: torchao's 8-bit nets do not leave as ONNX.
"""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

OPERATORS = ["Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "MaxPool", "GlobalAveragePool"]
"""What is computed in 8 bits. The normalisation of images and the probabilities stay in floats: they need more."""


class _Samples(CalibrationDataReader):
    """Training inputs, by the input's name."""

    def __init__(self, name: str, batches: Iterable[Any]) -> None:
        self._batches = ({name: batch.numpy()} for batch in batches)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


def quantize(
    file: Path, into: Path, input_name: str, samples: Iterable[Any], *, per_channel: bool, reduce_range: bool
) -> None:
    """Make of an ONNX file one with 8-bit weights (signed) and activations (unsigned, ranges from the samples)."""
    with TemporaryDirectory(dir=into.parent, prefix=".quantize-") as scratch, _quiet():
        simplified = Path(scratch) / "simplified.onnx"
        quant_pre_process(file, simplified)  # batch normalisation goes into convolutions, shapes are inferred
        quantize_static(
            simplified,
            into,
            _Samples(input_name, samples),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=per_channel,
            reduce_range=reduce_range,
            extra_options={"MatMulConstBOnly": True},  # attention's products stay in floats: quicker, and no worse
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the tools have to say about how they work."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
