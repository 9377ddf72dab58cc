"""What nets are given and give in checks, and how two of them are compared."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftrun import Ragged, Target, VectorTarget

if TYPE_CHECKING:
    from ftrun import Net


def width(target: Target) -> int:
    """Return how many numbers a net gives for a sample; of kinds alone whose output is a vector."""
    assert isinstance(target, VectorTarget)
    return target.outputs


def ready_inputs(net: "Net", count: int = 2) -> Any:
    """Made-up inputs as `net.features` takes them."""
    return net.input.prepare(net.input.collate(net.input.example(count)))


def digest(value: Any) -> str:
    """Equal for equal raw inputs: tensors, texts, and what holds them."""
    import torch

    if isinstance(value, torch.Tensor):
        content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return hashlib.sha256(repr((value.dtype, tuple(value.shape))).encode() + content).hexdigest()
    if isinstance(value, Mapping):
        value = tuple(value.items())
    text = repr([digest(each) for each in value] if isinstance(value, tuple | list) else value)
    return hashlib.sha256(text.encode()).hexdigest()


def close(one: Any, other: Any, tolerance: float = 1e-5) -> bool:
    """Whether two outputs are equal but for rounding: trees of tensors."""
    import torch

    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(close(*pair, tolerance) for pair in zip(one, other, strict=True))
    if isinstance(one, Ragged):
        return close((one.lengths, one.values), (other.lengths, other.values), tolerance)
    if one.shape != other.shape:
        return False
    return bool(torch.allclose(one.double(), other.double(), rtol=tolerance, atol=tolerance, equal_nan=True))
