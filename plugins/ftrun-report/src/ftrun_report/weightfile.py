"""What a file of weights says of itself in its header."""

import json
import math
from pathlib import Path

_BUFFERS = (".running_mean", ".running_var")  # of batch normalisation, saved with the parameters


def parameters(weights: Path) -> int | None:
    """Return how many parameters a safetensors file holds, by its header; None where that cannot be read.

    The header: 8 bytes, its length, then JSON (huggingface.co/docs/safetensors, "Format").
    """
    try:
        with weights.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return sum(
            int(math.prod(each["shape"]))
            for name, each in header.items()
            if name != "__metadata__" and "F" in each["dtype"] and not name.endswith(_BUFFERS)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError, OverflowError):
        return None
