"""Tensors in mapped files: entries of the cache, shared by runs. Only what is read takes memory.

An entry is a folder named after all that its content depends on. It is written beside and renamed into place whole;
where there is no room, those go that were used longest ago.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ftrun import cachefolder
from ftrun.data import Split
from ftrun.errors import DataError
from ftrun.run.files import sync

_DATA = "data"
_FORMAT = 2  # of an entry

Unreadable = list[tuple[int, str]]
"""Index of each sample that cannot be read, and why."""


class MappedSplit:
    """A split whose inputs lie in a mapped file, [N, ...], ready for the device.

    embedded: whether they are embeddings
    source: the fingerprint of what they were made from
    """

    in_memory = True  # no workers are needed to read it
    collated = True

    def __init__(
        self, split: Split, inputs: Tensor, unreadable: Unreadable, *, key: str, embedded: bool, source: str
    ) -> None:
        self.targets = split.targets
        self.sample_name = getattr(split, "sample_name", None)
        self.inputs = inputs
        self.fingerprint = key
        self.source = source
        self.lengths = getattr(split, "lengths", None)  # the order of batches stays that of the inputs themselves
        self.embedded = embedded
        self._unreadable = dict(unreadable)

    @property
    def unreadable(self) -> Collection[int]:
        """The samples that could not be read: what stands in their place means nothing."""
        return self._unreadable.keys()

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


class Entry:
    """A place in the cache for one tensor.

    depends: JSON values; all that its content depends on
    """

    def __init__(self, depends: Sequence[Any], name: str, shape: Sequence[int], dtype: torch.dtype) -> None:
        self.key = hashlib.sha256(json.dumps([_FORMAT, *depends]).encode()).hexdigest()[:32]
        self.path = cachefolder.folder() / self.key
        self.shape = torch.Size(shape)
        self.dtype = dtype
        self._about = {"name": name, "samples": shape[0], "shape": list(shape[1:]), "dtype": str(dtype)}

    @property
    def bytes(self) -> int:
        """Size of the tensor."""
        return self.shape.numel() * self.dtype.itemsize

    def read(self) -> tuple[Tensor, Unreadable] | None:
        """The tensor and what could not be read, if the entry is there and whole."""
        try:
            about = json.loads((self.path / cachefolder.MARKER).read_text(encoding="utf-8"))
            if any(about[name] != value for name, value in self._about.items() if name != "name"):
                return None
            if (self.path / _DATA).stat().st_size != self.bytes:
                return None
            unreadable = [(int(index), str(reason)) for index, reason in about["unreadable"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        with suppress(OSError):
            os.utime(self.path / cachefolder.MARKER)  # what is used is not removed first
        return self._map(self.path / _DATA, shared=False), unreadable

    def write(self, fill: Callable[[Tensor], Unreadable]) -> tuple[Tensor, Unreadable] | None:
        """Have `fill` put the content into the tensor, and keep it; None where there is no room for it.

        Raises OSError where the cache cannot be written to, and what `fill` raises.
        """
        if not cachefolder.make_room(self.bytes):
            return None
        beside = self.path.with_name(f"{self.key}.{os.getpid()}.new")
        beside.mkdir(parents=True, exist_ok=True)
        try:
            self._allocate(beside / _DATA)
            unreadable = fill(self._map(beside / _DATA, shared=True))
            about = {**self._about, "unreadable": unreadable}
            (beside / cachefolder.MARKER).write_text(json.dumps(about), encoding="utf-8")
            sync(beside / _DATA)
            shutil.rmtree(self.path, ignore_errors=True)  # an entry that is not whole
            with suppress(FileExistsError):  # another run was quicker
                beside.rename(self.path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return self.read()

    def _allocate(self, path: Path) -> None:
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):  # a mapped file that finds no space when it is written kills the process
                os.posix_fallocate(file.fileno(), 0, self.bytes)
            file.truncate(self.bytes)

    def _map(self, path: Path, *, shared: bool) -> Tensor:
        return torch.from_file(str(path), shared=shared, size=self.shape.numel(), dtype=self.dtype).view(self.shape)
