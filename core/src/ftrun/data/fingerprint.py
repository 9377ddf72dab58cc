"""What tells one split from another: something that is another one for other data."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ftrun.contracts.data import Split, Splits, Subset, TensorSplit

_SAMPLED = 16


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


def of_sample(split: Split) -> str | None:
    """Return a digest of a few inputs, spread over the split; None where they cannot be read, or are others each time.

    It is for splits without a fingerprint: what it does not see may have changed all the same.
    """
    chosen = sorted({place * len(split) // _SAMPLED for place in range(_SAMPLED)}) if len(split) else []
    try:
        digests = {_of_items(split, chosen) for _ in range(2)}
    except Exception:  # whatever a dataset raises: training will say it
        return None
    return digests.pop() if len(digests) == 1 else None


def _of_items(split: Split, indices: list[int]) -> str | None:
    found = hashlib.sha256()
    for index in indices:
        content = _content(split[index][0])
        if content is None:
            return None
        found.update(len(content).to_bytes(8, "little") + content)
    return found.hexdigest()


def _content(raw: Any) -> bytes | None:
    """Return the bytes of a raw input; None for what has none that are the same in another process."""
    if isinstance(raw, Tensor):
        return f"{raw.dtype} {list(raw.shape)} ".encode() + bytes(bytes_of(raw))
    if isinstance(raw, str | int | float | bytes):
        return repr(raw).encode()
    if hasattr(raw, "tobytes") and hasattr(raw, "__array_interface__"):  # of NumPy, of Pillow
        return bytes(raw.tobytes())
    items = list(raw.items()) if isinstance(raw, Mapping) else raw if isinstance(raw, list | tuple) else None
    contents = None if items is None else [_content(each) for each in items]
    if contents is None or None in contents:
        return None
    return b"".join(len(each).to_bytes(8, "little") + each for each in contents if each is not None)


def bytes_of(tensor: Tensor) -> Any:
    """The bytes of a tensor, in order, as an array."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _of(split: Split, named: tuple[str, ...]) -> str | None:
    if isinstance(split, Subset):
        inner = _of(split.split, named)
        return inner and _hash(inner.encode(), split.indices)
    if isinstance(split, TensorSplit):
        return _once(split, "inputs", lambda: _hash(repr(split.inputs.shape).encode(), split.inputs))
    return next((value for name in named if (value := asked_once(split, name)) is not None), None)


_KNOWN: WeakKeyDictionary[Any, dict[str, str | None]] = WeakKeyDictionary()
"""What splits have answered: it may take them long, and a run has asked before it decodes anything."""


def asked_once(split: Split, name: str = "fingerprint") -> str | None:
    """Return what the split itself has, as it was the first time in a run; None where it has nothing."""
    return _once(split, name, lambda: getattr(split, name, None))


def _once(split: Split, name: str, ask: Callable[[], str | None]) -> str | None:
    try:
        known = _KNOWN.setdefault(split, {})
    except TypeError:  # it has no hash, or takes no weak reference
        return ask()
    if name not in known:
        known[name] = ask()
    return known[name]


def ask_anew(splits: Splits) -> Splits:
    """Return the splits, whose answers are forgotten: a dataset may give the same ones to another run, changed."""
    for _, split in splits.items():
        while isinstance(split, Subset):
            split = split.split
        with suppress(TypeError):
            _KNOWN.pop(split, None)
    return splits


def _hash(text: bytes, tensor: Tensor) -> str:
    found = hashlib.sha256(text)
    found.update(bytes_of(tensor))
    return found.hexdigest()
