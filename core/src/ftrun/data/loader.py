"""Batches of a split. Their order is a pure function of (seed, epoch), whatever the number of workers."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor

from ftrun.contracts.data import Batch, Split, TensorSplit, columns_of
from ftrun.contracts.errors import FtrunError
from ftrun.contracts.randomness import seed_of
from ftrun.contracts.specs import Part
from ftrun.contracts.targets import Target
from ftrun.data.corrupt import CorruptSamples
from ftrun.data.reader import BatchReader, Collate, Read, Workers, identity

Ready: TypeAlias = Callable[[Batch], Batch]
"""What makes a batch ready for the net, on its device: each sample on its own, so that batches may go together."""

_CHUNK = 2**20  # bytes that are read and made ready at once: what each operation costs by itself is shared by batches
_CHUNK_ON_GPU = 2**25  # a GPU is done with more of them in the time that it takes to start it
_MOST_BATCHES = 64
_SORTED_BATCHES = 50
_MOST_RESIDENT = 0.25  # of a GPU's memory that is free: the net needs some too
_COPIED = 4096  # samples that are copied to it at once

Order: TypeAlias = Callable[[int, int], Tensor]

T = TypeVar("T")


class Loader:
    """Reads a split in whole batches: in order for evaluation, shuffled anew for each epoch of training.

    collate: makes a batch of raw inputs, as `Collating` does; not used where the split's are collated already
    corrupt: counts samples that cannot be read; only where it allows for some are they skipped
    sample_bytes: size of a collated sample, if all have the same; several batches of a split in memory are then read
        at once, and on a GPU the split stays in its memory where there is room
    dataset: the part that the split is from: for messages
    order: which samples an epoch takes, of (seed, epoch): int64 [M]; all of them in a random order if not given
    targets: those whose values batches have; what lies in inputs follows them
    warped: whether batches have where raw pixels went, as `extra["warp"]`, also where no target needs it
    """

    def __init__(
        self,
        name: str,
        split: Split,
        collate: Collate,
        corrupt: CorruptSamples,
        *,
        batch_size: int,
        workers: int | None,
        device: torch.device,
        sample_bytes: int | None = None,
        dataset: Part | None = None,
        order: Order | None = None,
        targets: Mapping[str, Target] | None = None,
        warped: bool = False,
    ) -> None:
        self.name = name
        self.samples = len(split)
        self._order = order
        self.per_epoch = self.samples if order is None else len(order(0, 1))
        self._batch_size = batch_size
        self._lengths: Tensor | None = getattr(split, "lengths", None)
        self._corrupt = corrupt
        self._device = device
        in_memory = getattr(split, "in_memory", False)
        if workers is None:
            workers = 0 if in_memory else min(os.cpu_count() or 1, 8)
        self._may_stay = bool(in_memory and sample_bytes and device.type == "cuda")
        chunk = _CHUNK_ON_GPU if self._may_stay else _CHUNK
        together = chunk // (sample_bytes * batch_size) if in_memory and sample_bytes else 1
        self._together = max(1, min(together, _MOST_BATCHES))
        self._pin = device.type == "cuda"
        if getattr(split, "collated", False):
            collate = identity
        reading: dict[str, Any] = {"targets": targets, "name": name, "repeats": order is not None, "warped": warped}
        self._reader = BatchReader(split, collate, corrupt.limit > 0, dataset, **reading)
        self._workers = Workers(self._reader, workers, pin=self._pin) if workers else None

    def steps(self, accumulate: int) -> int:
        """Return the number of optimizer steps in an epoch of training, each of `accumulate` batches."""
        return -(-len(_starts(self.per_epoch, self._batch_size, lone_last=False)) // accumulate)

    def sample(self) -> Batch | None:
        """Return one whole batch, to try things on; None where there is none, or it cannot be read.

        Where samples differ in length it is one of middling length: a training batch has samples of similar length, and
        the first ones of the split, padded to their longest, would take several times as long.
        """
        if self.samples < self._batch_size:
            return None
        indices: Sequence[int] = range(self._batch_size)
        if self._lengths is not None:
            portions = self._in_order()
            indices = portions[(len(portions) - 1) // 2]
        batch, _ = self._reader.__getitems__(indices)
        return batch if isinstance(batch, Batch) else None

    def in_order(self, ready: Ready | None = None) -> Iterator[Batch]:
        """Yield every sample once, in the split's own order, or by their lengths; without those that cannot be read."""
        for batch in self._read(self._in_order(), 0, ready):
            if batch is not None:
                yield batch

    def one_in_order(self, number: int, ready: Ready | None = None) -> Batch | None:
        """Return one batch of those that `in_order` gives, counted on from the start where there are fewer.

        Where none of its samples can be read, it is the next one that has some; None where no batch has any. What
        cannot be read is not noted: which batch it is may depend on the cache.
        """
        portions = self._in_order()
        for place in range(len(portions)):
            batch, _ = self._read_together([portions[(number + place) % len(portions)]])  # nothing is skipped yet
            if isinstance(batch, FtrunError):
                raise batch
            if batch is not None:
                return (ready or identity)(batch)
        return None

    def _in_order(self) -> list[list[int]]:
        order = range(self.samples) if self._lengths is None else self._lengths.argsort(stable=True).tolist()
        return _portions(order, self._batch_size, lone_last=True)

    def shuffled(
        self, seed: int, epoch: int, ready: Ready | None = None, *, accumulate: int = 1, start: int = 0
    ) -> Iterator[list[Batch]]:
        """Yield the samples of an epoch in an order that depends on (seed, epoch) alone: for each step, its batches.

        A lone last sample joins the batch before it: batch normalisation cannot learn from one.

        ready: applied to what is read; start: steps to leave out, because they are done
        """
        generator = torch.Generator().manual_seed(seed_of(seed, "order", epoch))
        order = self._order(seed, epoch) if self._order else torch.randperm(self.samples, generator=generator)
        if self._lengths is not None:
            order = _of_similar_length(order, self._lengths, self._batch_size, generator)
        if self._order is not None:
            order = _told_apart(order, self.samples)
        portions = _portions(order.tolist(), self._batch_size, lone_last=False)
        batches = self._read(portions, start * accumulate, ready)
        while step := list(islice(batches, accumulate)):
            yield [batch for batch in step if batch is not None]

    def _read(self, portions: list[list[int]], start: int, ready: Ready | None) -> Iterator[Batch | None]:
        """Yield a batch for each portion from number `start` on, or None where none of its samples can be read."""
        ready = ready or identity
        if self._workers:
            for read in self._workers.read(portions[start:]):
                batch = self._checked(read)
                yield batch and ready(batch)
            return
        if self._may_stay:
            self._stay()
        # Chunks begin at the same places wherever one starts, so that a resumed epoch computes what the whole one did.
        firsts = range(start - start % self._together, len(portions), self._together)
        chunks = [portions[first : first + self._together] for first in firsts]
        reads = map(self._read_together, chunks)
        for first, chunk, read in zip(firsts, chunks, _ahead(reads) if self._pin else reads, strict=True):
            yield from self._made_ready(chunk, read, ready)[max(0, start - first) :]

    def _stay(self) -> None:
        """Put the split into the device's memory, if there is room for it."""
        self._may_stay = False
        staying = _resident(self._reader, self._device)
        if staying:
            self._reader, self._pin = staying, False

    def _read_together(self, portions: list[list[int]]) -> Read:
        batch, unreadable = self._reader.__getitems__([index for portion in portions for index in portion])
        return batch.pin_memory() if self._pin and isinstance(batch, Batch) else batch, unreadable

    def _made_ready(self, portions: list[list[int]], read: Read, ready: Ready) -> list[Batch | None]:
        """Return a batch for each portion, from what was read of all of them."""
        batch, unreadable = read
        if len(portions) > 1 and (unreadable or not isinstance(batch, Batch)):  # find out which it is
            return [self._made_ready([portion], self._read_together([portion]), ready)[0] for portion in portions]
        batch = self._checked(read)
        if batch is None:
            return [None]
        batch = ready(batch)
        return list(batch.split([len(portion) for portion in portions])) if len(portions) > 1 else [batch]

    def _checked(self, read: Read) -> Batch | None:
        """Return the batch; raise what was raised where it was read."""
        batch, unreadable = read
        for index, reason in unreadable:
            self._corrupt.add(self.name, index, reason)
        if isinstance(batch, FtrunError):
            raise batch
        return batch


def _told_apart(order: Tensor, samples: int) -> Tensor:
    """Return `order`, int64 [M], with `samples` added each time that one comes again: see `BatchReader`."""
    by_sample, positions = order.sort(stable=True)
    firsts = torch.searchsorted(by_sample, by_sample)  # where each sample's run begins
    times = torch.arange(len(order)) - firsts
    return order.index_add(0, positions, times * samples)


def _of_similar_length(order: Tensor, lengths: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return `order` [N], changed so that each `size` samples in a row have similar lengths.

    Some batches' worth of samples are sorted at a time, and their batches shuffled, so that what is learnt together
    stays random from epoch to epoch. A last short batch stays the last.
    """
    changed = []
    for some in torch.split(order, size * _SORTED_BATCHES):
        some = some[lengths[some].argsort(stable=True)]
        whole = some[: len(some) // size * size].reshape(-1, size)
        changed += [whole[torch.randperm(len(whole), generator=generator)].flatten(), some[whole.numel() :]]
    return torch.cat(changed)


def _portions(order: Sequence[int], size: int, *, lone_last: bool) -> list[list[int]]:
    starts = _starts(len(order), size, lone_last=lone_last)
    return [list(order[start:end]) for start, end in pairwise([*starts, len(order)])]


def _starts(samples: int, size: int, *, lone_last: bool) -> range:
    """Return where batches begin; unless `lone_last`, a last one of a single sample is a part of the one before it."""
    is_lone = size > 1 and samples > size and samples % size == 1
    return range(0, samples - 1 if is_lone and not lone_last else samples, size)


def _ahead(values: Iterator[T]) -> Iterator[T]:
    """Yield the same values; while one of them is used, a thread gets the next."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, values, end)
        while (value := coming.result()) is not end:
            coming = thread.submit(next, values, end)
            yield value  # type: ignore[misc]


class _Resident(TensorSplit):
    """Inputs, [N, ...], and columns on a device."""

    collated = True

    def __init__(self, inputs: Tensor, columns: dict[str, Tensor], *, embedded: bool) -> None:
        super().__init__(inputs, columns)
        self.embedded = embedded


def _resident(reader: BatchReader, device: torch.device) -> BatchReader | None:
    """Return what gives the samples of `reader`, all of one size, from the memory of `device`, so that no step waits.

    None where there is no room for them, one of them cannot be read, or a target is no column, or follows them.
    """
    columns = columns_of(reader.split)
    if reader.warped or any(name not in columns for name in reader.targets):
        return None
    inputs: Tensor | None = None
    for start in range(0, len(reader), _COPIED):
        batch, unreadable = reader.__getitems__(range(start, min(start + _COPIED, len(reader))))
        if unreadable or not isinstance(batch, Batch) or not isinstance(batch.inputs, Tensor):
            return None
        if inputs is None:
            shape = (len(reader), *batch.inputs.shape[1:])
            if batch.inputs[0].nbytes * len(reader) > _MOST_RESIDENT * torch.cuda.mem_get_info(device)[0]:
                return None
            inputs = torch.empty(shape, dtype=batch.inputs.dtype, device=device)
        inputs[start : start + len(batch)] = batch.inputs
    if inputs is None:
        return None
    split = _Resident(inputs, {name: columns[name].to(device) for name in reader.targets}, embedded=reader.embedded)
    about: dict[str, Any] = {"targets": reader.targets, "name": reader.name, "repeats": reader.repeats}
    return BatchReader(split, identity, reader.skip_corrupt, **about)
