"""Tensors in mapped files: entries of the cache, shared by runs. Only what is read takes memory.

An entry is a folder named after all that its content depends on. It is written beside and renamed into place whole;
where there is no room, those go that were used longest ago. Its size is looked at when it is opened. Whoever cuts a
file short that a run has open ends that run (SIGBUS), which nothing can catch; to remove one does no harm.
"""

import errno
import hashlib
import json
import mmap
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ftrun.contracts.data import Batch, Split, columns_of, files_of, index_tensor
from ftrun.contracts.errors import Interrupted
from ftrun.contracts.specs import Part
from ftrun.contracts.trees import tree_map
from ftrun.data import cachefolder
from ftrun.data.files import sync
from ftrun.data.rows import Rows

_FORMAT = 4  # of an entry
_PART = ".part"  # of an entry, whose making was interrupted

ReadAnew = Callable[[int], Batch]
"""Reads a sample, by its index, as it would be without a cache. Raises DataError where it cannot be read."""


@dataclass(frozen=True)
class Content:
    """What an entry holds: `inputs` [N, ...], the indices of the samples in it that could not be read, and `warps`."""

    inputs: Tensor
    unread: Collection[int]
    warps: Tensor | None = None
    """Where raw pixels went, float64 [N, 2, 3], if they have places."""


@dataclass
class Done:
    """How much of an entry is written: the first `samples`, but for those of them that could not be read."""

    samples: int = 0
    unread: list[int] = field(default_factory=list)


class MappedSplit:
    """A split whose inputs lie in a mapped file, [N, ...], ready for the device.

    An error is never kept: what could not be read when the others were is read anew whenever it is asked for.

    key: what tells these inputs from others; source: the fingerprint of what they were made from
    embedded: whether they are embeddings
    rows: how inputs that are kept as rows of bytes become a batch
    targets: those whose values are wanted; what of them is no column, the split gives without reading its inputs
    """

    in_memory = True  # no workers are needed to read it
    collated = True

    def __init__(
        self,
        split: Split,
        content: Content,
        anew: ReadAnew,
        *,
        key: str,
        embedded: bool,
        source: str,
        rows: Rows | None = None,
        targets: Iterable[str] = (),
    ) -> None:
        self.columns = columns_of(split)
        values: Callable[[int], Mapping[str, Any]] | None = getattr(split, "values", None)
        if values:
            self.values = values
        self.sample_name = getattr(split, "sample_name", None)
        self.files = files_of(split)
        self.inputs = content.inputs
        self.fingerprint = key
        self.source = source
        self.lengths = getattr(split, "lengths", None)  # the order of batches stays that of the inputs themselves
        self.embedded = embedded
        self._unread = frozenset(content.unread)
        self._reads_values = any(name not in self.columns for name in targets)
        self._warps = content.warps
        self._anew = anew
        self._rows = rows

    @property
    def unreadable(self) -> Collection[int]:
        """The samples that could not be read: what stands in their place means nothing."""
        return self._unread

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int, /) -> tuple[Any, Mapping[str, Any]]:
        inputs, values = self.__getitems__([index])
        first = values[0] if isinstance(values, list) else {name: each[0] for name, each in values.items()}
        return tree_map(lambda each: each[0], inputs), first

    def __getitems__(self, indices: Sequence[int]) -> tuple[Any, Any]:
        chosen = index_tensor(indices)
        inputs = self.inputs.index_select(0, chosen)
        if self._unread:
            for position, index in enumerate(indices):
                if index in self._unread:
                    inputs[position] = self._anew(index).inputs[0]
        whole = self._rows.batch(inputs) if self._rows else inputs
        if self._reads_values:
            return whole, [self.values(index) for index in indices]
        return whole, {name: values.index_select(0, chosen) for name, values in self.columns.items()}

    @property
    def has_warps(self) -> bool:
        """Whether it has where raw pixels went."""
        return self._warps is not None

    def warps(self, indices: Sequence[int]) -> Tensor:
        """Return where raw pixels of some samples went, float64 [B, 2, 3]."""
        assert self._warps is not None
        warps = self._warps.index_select(0, index_tensor(indices))
        for position, index in enumerate(indices):
            if index in self._unread:
                warps[position] = self._anew(index).extra["warp"][0]
        return warps


class Entry:
    """A place in the cache for one tensor.

    depends: JSON values; all that its content depends on
    warped: whether it also has where raw pixels went
    """

    def __init__(
        self, depends: Sequence[Any], name: str, shape: Sequence[int], dtype: torch.dtype, *, warped: bool = False
    ) -> None:
        self.key = key_of(depends)
        self.path = cachefolder.folder() / self.key
        self.shape = torch.Size(shape)
        self.dtype = dtype
        self._files = {cachefolder.DATA: (self.shape, dtype)}
        if warped:
            self._files[cachefolder.WARPS] = (torch.Size((self.shape[0], 2, 3)), torch.float64)
        self._about = {"name": name, "samples": shape[0], "shape": list(shape[1:]), "dtype": str(dtype)}

    @property
    def bytes(self) -> int:
        """Size of its tensors."""
        return sum(shape.numel() * dtype.itemsize for shape, dtype in self._files.values())

    def read(self) -> Content | None:
        """What it holds, if it is there and whole."""
        try:
            about = json.loads((self.path / cachefolder.MARKER).read_text(encoding="utf-8"))
            if any(about[name] != value for name, value in self._about.items() if name != "name"):
                return None
            unread = [int(index) for index in about["unread"]]
            content = self._content(self.path, unread, write=False)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        with suppress(OSError):
            os.utime(self.path / cachefolder.MARKER)  # what is used is not removed first
        return content

    def write(self, fill: Callable[[Content, Done], None], *, replace: bool = False) -> Content | None:
        """Have `fill` put the content into its tensors, and keep it; None where there is no room for it.

        What is returned is what was written, whatever another process does to the entry meanwhile. Where `fill` is
        interrupted, what it says is done is kept, and is where the next one begins.

        fill: says as it goes on what is done, and what of it could not be read
        replace: whether an entry that is there and whole is to go

        Raises OSError where the cache cannot be written to, and what `fill` raises.
        """
        new, done = self._begun() or (None, Done())
        if new is None:
            if not cachefolder.make_room(self.bytes):
                return None
            new = cachefolder.new_folder(self.key, self._about)
        try:
            if not done.samples:
                self._allocate(new)
            fill(self._content(new, (), write=True), done)
            unread = sorted(done.unread)
            (new / cachefolder.MARKER).write_text(json.dumps({**self._about, "unread": unread}), encoding="utf-8")
            self._sync(new)
            content = self._content(new, unread, write=False)
            self._put_in_place(new, replace=replace)
        except Interrupted:
            if done.samples:
                self._put_aside(new, done)
            raise
        finally:
            cachefolder.remove(new)
        return content

    def _put_aside(self, new: Path, done: Done) -> None:
        """Keep what is done of an entry, in the place of what was done before, for `_begun`."""
        part = self.path.with_suffix(_PART)
        name = f"{self._about['name']}, the first {done.samples:,}"
        about = {**self._about, "name": name, "done": done.samples, "unread": done.unread}
        with suppress(OSError):
            self._sync(new)
            (new / cachefolder.MARKER).write_text(json.dumps(about), encoding="utf-8")
            cachefolder.remove(part)
            new.rename(part)

    def _begun(self) -> tuple[Path, Done] | None:
        """Take what an interrupted process has done of this entry: no other one takes it too."""
        new = cachefolder.folder() / cachefolder.new_name(self.key)
        try:
            self.path.with_suffix(_PART).rename(new)
            os.utime(new / cachefolder.MARKER)  # it is being written to
            about = json.loads((new / cachefolder.MARKER).read_text(encoding="utf-8"))
            done = Done(int(about["done"]), [int(index) for index in about["unread"]])
            self._content(new, (), write=True)
        except (OSError, ValueError, KeyError, TypeError):
            cachefolder.remove(new)
            return None
        if not 0 < done.samples <= self.shape[0]:
            cachefolder.remove(new)
            return None
        return new, done

    def _put_in_place(self, new: Path, *, replace: bool) -> None:
        """Rename `new` to its place, if it can be. Another run may have been quicker, and its entry is as good."""
        for _ in range(3):
            try:
                new.rename(self.path)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            else:
                return
            if (not replace and self.read()) or not cachefolder.is_ours(self.path):  # nothing of others is moved away
                return
            replace = False
            aside = cachefolder.folder() / cachefolder.new_name(self.key)
            with suppress(OSError):  # yet another process has done so
                self.path.rename(aside)
            cachefolder.remove(aside)

    def _allocate(self, folder: Path) -> None:
        for name, (shape, dtype) in self._files.items():
            size = shape.numel() * dtype.itemsize
            with (folder / name).open("wb") as file:
                if hasattr(os, "posix_fallocate"):  # a mapped file that finds no space when it is written kills us
                    os.posix_fallocate(file.fileno(), 0, size)
                file.truncate(size)

    def _sync(self, folder: Path) -> None:
        for name in self._files:
            sync(folder / name)

    def _content(self, folder: Path, unread: Collection[int], *, write: bool) -> Content:
        """The files as tensors; what is written to ones that are not to be written to stays in this process.

        Raises ValueError where a file is of another size, OSError where it cannot be opened or mapped.
        """
        access = mmap.ACCESS_WRITE if write else mmap.ACCESS_COPY
        tensors = {}
        for name, (shape, dtype) in self._files.items():
            size = shape.numel() * dtype.itemsize
            with (folder / name).open("r+b" if write else "rb") as file:
                if os.fstat(file.fileno()).st_size != size:
                    raise ValueError(f"{folder / name} is not of {size} bytes")
                mapped = mmap.mmap(file.fileno(), size, access=access)
            tensors[name] = torch.frombuffer(mapped, dtype=dtype).view(shape)
        return Content(tensors[cachefolder.DATA], unread, tensors.get(cachefolder.WARPS))


def key_of(depends: Sequence[Any]) -> str:
    """The name of what depends on these JSON values."""
    return hashlib.sha256(json.dumps([_FORMAT, *depends], sort_keys=True).encode()).hexdigest()[:32]


def options_of(part: Part) -> dict[str, Any]:
    """All options of a part as JSON values, and where its paths lead."""
    options = part.model_dump(mode="json", by_alias=True, serialize_as_any=True)
    return {**options, "paths": {name: str(path.absolute()) for name, path in part.paths().items()}}


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same bytes, NaN included."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(*(each.contiguous().reshape(-1).view(torch.uint8) for each in (one, other)))
