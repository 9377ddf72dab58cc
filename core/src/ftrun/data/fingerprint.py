"""What tells one split from another: something that is another one for other data."""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ftrun.contracts.data import Split, Splits, Subset, TensorSplit, columns_of, values_at

_SAMPLED = 16


def of_collated(split: Split) -> str | None:
    """Return a fingerprint of the inputs as they are here, prepared or not; None where it is unknown."""
    return _of(split, "fingerprint")


def of_inputs(split: Split) -> str | None:
    """Return a fingerprint of the inputs that the dataset gave, however they are prepared since; None if unknown."""
    return _of(split, "source", "fingerprint")


def of_targets(split: Split, targets: Iterable[str] = ()) -> str:
    """Return the SHA-256 of all columns, by their names, and of a few samples' values of targets that are none."""
    digest, columns = hashlib.sha256(), columns_of(split)
    for name, values in sorted(columns.items()):
        digest.update(f"{name} {values.dtype} {list(values.shape)}\n".encode())
        digest.update(bytes_of(values))
    unread = sorted(name for name in targets if name not in columns)
    for index in _spread(split) if unread else ():
        with suppress(Exception):  # whatever a dataset raises: training will say it
            sample = values_at(split, index)
            digest.update(_joined([_content(sample[name]) for name in unread]) or b"")
    return digest.hexdigest()


def _spread(split: Split) -> list[int]:
    return sorted({part * len(split) // _SAMPLED for part in range(_SAMPLED)}) if len(split) else []


def of_sample(split: Split) -> str | None:
    """Return a digest of a few inputs, spread over the split; None where they cannot be read, or are others each time.

    It is for splits without a fingerprint: what it does not see may have changed all the same.
    """
    chosen = _spread(split)
    try:
        contents = [[_content(split[index][0]) for index in chosen] for _ in range(2)]
    except Exception:  # whatever a dataset raises: training will say it
        return None
    joined = _joined(contents[0])
    return hashlib.sha256(joined).hexdigest() if joined is not None and contents[0] == contents[1] else None


def _content(raw: Any) -> bytes | None:
    """Return the bytes of a raw input; None for what has none that are the same in another process."""
    if isinstance(raw, Tensor):
        return f"{raw.dtype} {list(raw.shape)} ".encode() + bytes(bytes_of(raw))
    if isinstance(raw, str | int | float | bytes):
        return repr(raw).encode()
    if hasattr(raw, "tobytes") and hasattr(raw, "__array_interface__"):  # arrays of any library
        return bytes(raw.tobytes())
    items = list(raw.items()) if isinstance(raw, Mapping) else raw if isinstance(raw, list | tuple) else None
    return None if items is None else _joined([_content(each) for each in items])


def _joined(contents: list[bytes | None]) -> bytes | None:
    whole = [len(each).to_bytes(8, "little") + each for each in contents if each is not None]
    return b"".join(whole) if len(whole) == len(contents) else None


def bytes_of(tensor: Tensor) -> Any:
    """Return the bytes of a tensor, in order, as an array."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _of(split: Split, *names: str) -> str | None:
    if isinstance(split, Subset):
        inner = _of(split.split, *names)
        return inner and _hash(inner.encode(), split.indices)
    if isinstance(split, TensorSplit):
        known = _known(split)
        if "inputs" not in known:
            known["inputs"] = _hash(repr(split.inputs.shape).encode(), split.inputs)
        return known["inputs"]
    return next((value for name in names if (value := asked_once(split, name)) is not None), None)


def read_anew(split: Split) -> str | None:
    """Return what a split, or the one that it is a part of, has as its fingerprint now."""
    if isinstance(split, Subset):
        inner = read_anew(split.split)
        return inner and _hash(inner.encode(), split.indices)
    return getattr(split, "fingerprint", None)


_KNOWN: WeakKeyDictionary[Any, dict[str, str | None]] = WeakKeyDictionary()
"""What splits have answered: it may take them long, and a run has asked before it decodes anything."""


def asked_once(split: Split, name: str = "fingerprint") -> str | None:
    """Return what the split itself has, as it was the first time in a run; None where it has nothing."""
    known = _known(split)
    if name not in known:
        known[name] = getattr(split, name, None)
    return known[name]


def _known(split: Split) -> dict[str, str | None]:
    try:
        return _KNOWN.setdefault(split, {})
    except TypeError:  # it has no hash, or takes no weak reference
        return {}


def ask_anew(splits: Splits) -> Splits:
    """Return the splits, whose answers are forgotten: a dataset may give the same ones to another run, changed."""
    for _, split in splits.items():
        while isinstance(split, Subset):
            split = split.split
        with suppress(TypeError):
            _KNOWN.pop(split, None)
    return splits


def _hash(text: bytes, tensor: Tensor) -> str:
    digest = hashlib.sha256(text)
    digest.update(bytes_of(tensor))
    return digest.hexdigest()
