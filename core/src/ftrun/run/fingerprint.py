"""What tells one split from another: something that is another one for other data."""

import hashlib
from typing import Any

import torch
from torch import Tensor

from ftrun.data import Split, Subset, TensorSplit


def of_collated(split: Split) -> str | None:
    """Of the inputs as they are here, prepared or not; None where there is no telling."""
    return _of(split, ("fingerprint",))


def of_inputs(split: Split) -> str | None:
    """Of the inputs that the dataset gave, however they are prepared since; None where there is no telling."""
    return _of(split, ("source", "fingerprint"))


def of_targets(split: Split) -> str:
    """SHA-256 of all targets, by their names."""
    found = hashlib.sha256()
    for name, values in sorted(split.targets.items()):
        found.update(f"{name} {values.dtype} {list(values.shape)}\n".encode())
        found.update(bytes_of(values))
    return found.hexdigest()


def bytes_of(tensor: Tensor) -> Any:
    """The bytes of a tensor, in order, as an array."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _of(split: Split, named: tuple[str, ...]) -> str | None:
    if isinstance(split, Subset):
        inner = _of(split.split, named)
        return inner and _hash(inner.encode(), split.indices)
    if isinstance(split, TensorSplit):
        return _hash(repr(split.inputs.shape).encode(), split.inputs)
    return next((value for name in named if (value := getattr(split, name, None)) is not None), None)


def _hash(text: bytes, tensor: Tensor) -> str:
    found = hashlib.sha256(text)
    found.update(bytes_of(tensor))
    return found.hexdigest()
