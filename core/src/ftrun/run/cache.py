"""Samples from files, decoded once: uint8 in one mapped file, at the size that the net works at, shared by runs.

An entry of the cache is a folder named after what it depends on: what the files are, and how the input prepares them.
It is written beside and renamed into place whole; where there is no room, those go that were used longest ago.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from ftrun import cachefolder
from ftrun.data import Split, Splits, Subset
from ftrun.errors import DataError
from ftrun.inputs import InputSpec
from ftrun.run.corrupt import CorruptSamples
from ftrun.run.files import sync
from ftrun.run.loader import Loader

_FORMAT = 1  # of an entry
_DATA = "inputs.uint8"
_PORTION = 64


class CachedSplit:
    """A split whose inputs are prepared, in a mapped file: uint8 [N, *shape]. Only what is read takes memory."""

    in_memory = True  # no workers are needed to read it
    collated = True

    def __init__(self, split: Split, place: Path, about: dict[str, Any]) -> None:
        self.targets = split.targets
        self._unreadable = dict(about["unreadable"])
        shape = torch.Size([about["samples"], *about["shape"]])
        self.inputs = torch.from_file(str(place / _DATA), shared=False, size=shape.numel(), dtype=torch.uint8)
        self.inputs = self.inputs.view(shape)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int, /) -> tuple[Tensor, dict[str, Tensor]]:
        inputs, targets = self.__getitems__([index])
        return inputs[0], {name: values[0] for name, values in targets.items()}

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        if self._unreadable:
            for index in indices:
                if index in self._unreadable:
                    raise DataError(self._unreadable[index])
        chosen = torch.as_tensor(indices)
        return self.inputs[chosen], {name: values[chosen] for name, values in self.targets.items()}


def cached(splits: Splits, prepare: InputSpec, *, dataset: str, skip: bool, say: Callable[[str], None]) -> Splits:
    """The splits, those from the cache that can be; what is not in it yet is decoded and put there.

    dataset: its name, for `ftrun cache`; skip: whether samples that cannot be read are no error yet
    """
    ready: dict[int, Split] = {}  # train and a val that is cut from it share one

    def of(split: Split, name: str) -> Split:
        if isinstance(split, Subset):
            return Subset(of(split.split, name), split.indices)
        if id(split) not in ready:
            ready[id(split)] = _cached(split, f"{dataset}, {name}", prepare, skip, say)
        return ready[id(split)]

    return Splits(**{name: of(split, name) for name, split in splits.items()}, targets=splits.targets)


def _cached(split: Split, name: str, prepare: InputSpec, skip: bool, say: Callable[[str], None]) -> Split:
    fingerprint, shape = getattr(split, "fingerprint", None), prepare.collated_shape
    if fingerprint is None or shape is None or not cachefolder.limit():
        return split
    place = cachefolder.folder() / _key(fingerprint, prepare)
    about = _read(place, len(split), shape)
    if about is None:
        if not cachefolder.make_room(len(split) * torch.Size(shape).numel()):
            say(f"{name}: no room in the cache for {len(split):,} samples; they are decoded anew in each epoch")
            return split
        try:
            about = _fill(place, split, name, prepare, skip, say)
        except OSError as error:
            say(f"{name}: decoded anew in each epoch, because the cache {place.parent} fails: {error.strerror}")
            return split
    with suppress(OSError):
        os.utime(place / cachefolder.ABOUT)  # what is used is not removed first
    return CachedSplit(split, place, about)


def _key(fingerprint: str, prepare: InputSpec) -> str:
    return hashlib.sha256(json.dumps([_FORMAT, fingerprint, prepare.collate_options()]).encode()).hexdigest()[:32]


def _read(place: Path, samples: int, shape: Sequence[int]) -> dict[str, Any] | None:
    """What an entry says of itself, if it is there and whole."""
    try:
        about: dict[str, Any] = json.loads((place / cachefolder.ABOUT).read_text(encoding="utf-8"))
        whole = (about["samples"], about["shape"]) == (samples, list(shape))
        return about if whole and (place / _DATA).stat().st_size == samples * torch.Size(shape).numel() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _fill(
    place: Path, split: Split, name: str, prepare: InputSpec, skip: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    """Decode every sample, write the entry, and give what it says of itself.

    Raises DataError for a sample that cannot be read, unless `skip`.
    """
    started = perf_counter()
    say(f"{name}: decoding {len(split):,} samples, once, into {place.parent}")
    shape = prepare.collated_shape
    assert shape is not None
    about = {"samples": len(split), "shape": list(shape), "name": name}
    corrupt = CorruptSamples(len(split) if skip else 0, lambda line: None)
    device = torch.device("cpu")
    loader = Loader(name, split, prepare.collate, corrupt, batch_size=_PORTION, workers=None, device=device)
    beside = place.with_name(f"{place.name}.{os.getpid()}.new")
    beside.mkdir(parents=True, exist_ok=True)
    try:
        inputs = _allocate(beside / _DATA, torch.Size([len(split), *shape]))
        for batch in loader.in_order():
            inputs[batch.ids] = batch.inputs
        about["unreadable"] = [[each.sample, each.reason] for each in corrupt.found]
        (beside / cachefolder.ABOUT).write_text(json.dumps(about), encoding="utf-8")
        sync(beside / _DATA)
        shutil.rmtree(place, ignore_errors=True)  # an entry that is not whole
        beside.rename(place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    say(f"{name}: decoded in {perf_counter() - started:.1f} s; from now on read from there")
    return about


def _allocate(path: Path, shape: torch.Size) -> Tensor:
    """A file of zeros, mapped to be written: uint8 of `shape`. Raises OSError where the disk is too small."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):  # a mapped file that finds no space when it is written kills the process
            os.posix_fallocate(file.fileno(), 0, shape.numel())
        file.truncate(shape.numel())
    return torch.from_file(str(path), shared=True, size=shape.numel(), dtype=torch.uint8).view(shape)
