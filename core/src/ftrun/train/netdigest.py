"""What tells the state of a net that gives embeddings from any other: its layers and every value but the head's."""

import hashlib
from collections.abc import Iterator
from zlib import crc32

import torch
from torch import Tensor

from ftrun.contracts.net import Net
from ftrun.data import fingerprint


class NetDigest:
    """The SHA-256 of a net without its head.

    It is computed from the values, whenever it is asked for: torch counts what is written to a tensor, but not through
    `p.data`. A checksum of each tensor, four times as quick, sees whether there is anything new to compute.
    """

    def __init__(self, net: Net) -> None:
        self._net = net
        self._checked: tuple[str, list[tuple[str, int]]] | None = None
        self._digest = ""

    def now(self) -> str:
        """The digest of the net as it is."""
        layers, tensors = _layers(self._net), dict(_tensors(self._net))
        checked = layers, [(name, crc32(fingerprint.bytes_of(_as_it_lies(each)))) for name, each in tensors.items()]
        if checked != self._checked:
            found = hashlib.sha256(layers.encode())
            for name, tensor in tensors.items():
                found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
                found.update(fingerprint.bytes_of(tensor))
            self._checked, self._digest = checked, found.hexdigest()
        return self._digest


def _layers(net: Net) -> str:
    """Each layer with its options, as far as it shows them."""
    lines = [
        f"{name} {type(module).__module__}.{type(module).__qualname__} {module.extra_repr()}"
        for name, module in net.named_modules()
        if not net.in_head(name)
    ]
    return "\n".join(lines)


def _tensors(net: Net) -> Iterator[tuple[str, Tensor]]:
    """Parameters, buffers, those that no checkpoint has included, and tensors that layers have as plain attributes."""
    for path, module in net.named_modules():
        plain = {name: value for name, value in vars(module).items() if isinstance(value, Tensor)}
        for name, tensor in {**module._parameters, **module._buffers, **plain}.items():
            if tensor is not None and not net.in_head(f"{path}.{name}"):
                yield f"{path}.{name}", tensor


def _as_it_lies(tensor: Tensor) -> Tensor:
    """The same values in the order in which they are in memory, where that is channels_last: nothing is copied."""
    if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        return tensor.permute(0, 2, 3, 1)
    return tensor
