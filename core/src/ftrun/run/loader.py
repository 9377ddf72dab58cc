"""Batches of a split. Their order is a pure function of (seed, epoch), whatever the number of workers."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from threading import Thread
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ftrun.data import Batch, Split, get_items
from ftrun.errors import DataError, FtrunError
from ftrun.localparts import Carried
from ftrun.randomness import seed_of
from ftrun.run.corrupt import CorruptSamples

Collate: TypeAlias = Callable[[Any], Any]
"""What makes a batch of raw inputs: `InputSpec.collate`."""
Ready: TypeAlias = Callable[[Batch], Batch]
"""What makes a batch ready for the net, on its device: each sample on its own, so that batches may go together."""

_CHUNK = 2**20  # bytes that are read and made ready at once: what each operation costs by itself is shared by batches
_MOST_BATCHES = 64
_SORTED_BATCHES = 50


class Loader:
    """Reads a split in whole batches: in order for evaluation, shuffled anew for each epoch of training.

    collate: makes a batch of raw inputs, as `InputSpec.collate` does; not used where the split's are collated already
    corrupt: told of samples that cannot be read; only where it allows for some are they skipped
    sample_bytes: size of a collated sample, if all have the same; several batches of a split in memory are then read
        at once
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
    ) -> None:
        self.name = name
        self.samples = len(split)
        self._batch_size = batch_size
        self._lengths: Tensor | None = getattr(split, "lengths", None)
        self._corrupt = corrupt
        in_memory = getattr(split, "in_memory", False)
        if workers is None:
            workers = 0 if in_memory else min(os.cpu_count() or 1, 8)
        together = _CHUNK // (sample_bytes * batch_size) if in_memory and sample_bytes else 1
        self._together = max(1, min(together, _MOST_BATCHES))
        self._pin = device.type == "cuda"
        if getattr(split, "collated", False):
            collate = _as_it_is
        self._reader = _BatchReader(split, collate, skip_corrupt=corrupt.limit > 0)
        self._workers = _Workers(self._reader, workers, pin=self._pin) if workers else None

    def steps(self, accumulate: int) -> int:
        """Number of optimizer steps in an epoch of training, each of `accumulate` batches."""
        return -(-len(_portions(range(self.samples), self._batch_size, lone_last=False)) // accumulate)

    def sample(self) -> Batch | None:
        """One whole batch, to try things on; None where there is none, or it cannot be read."""
        if self.samples < self._batch_size:
            return None
        batch, _ = self._reader.__getitems__(range(self._batch_size))
        return batch if isinstance(batch, Batch) else None

    def in_order(self, ready: Ready | None = None) -> Iterator[Batch]:
        """Every sample once, in the split's own order, or by their lengths; without those that cannot be read."""
        order = range(self.samples) if self._lengths is None else self._lengths.argsort(stable=True).tolist()
        for batch in self._read(_portions(order, self._batch_size, lone_last=True), 0, ready):
            if batch is not None:
                yield batch

    def shuffled(
        self, seed: int, epoch: int, ready: Ready | None = None, *, accumulate: int = 1, start: int = 0
    ) -> Iterator[list[Batch]]:
        """Every sample once, in an order that depends on (seed, epoch) alone: for each step, its batches.

        A lone last sample joins the batch before it: batch normalisation cannot learn from one.

        ready: applied to what is read; start: steps to leave out, because they are done
        """
        generator = torch.Generator().manual_seed(seed_of(seed, "order", epoch))
        order = torch.randperm(self.samples, generator=generator)
        if self._lengths is not None:
            order = _of_similar_length(order, self._lengths, self._batch_size, generator)
        portions = _portions(order.tolist(), self._batch_size, lone_last=False)
        batches = self._read(portions, start * accumulate, ready)
        while step := list(islice(batches, accumulate)):
            yield [batch for batch in step if batch is not None]

    def _read(self, portions: list[list[int]], start: int, ready: Ready | None) -> Iterator[Batch | None]:
        """A batch for each portion from number `start` on, or None where none of its samples can be read."""
        ready = ready or _as_it_is
        if self._workers:
            for read in self._workers.read(portions[start:]):
                batch = self._checked(read)
                yield batch and ready(batch)
            return
        # Chunks begin at the same places wherever one starts, so that a resumed epoch computes what the whole one did.
        for first in range(start - start % self._together, len(portions), self._together):
            chunk = portions[first : first + self._together]
            yield from self._read_chunk(chunk, ready)[max(0, start - first) :]

    def _read_chunk(self, portions: list[list[int]], ready: Ready) -> list[Batch | None]:
        read = self._reader.__getitems__([index for portion in portions for index in portion])
        batch, unreadable = read
        if len(portions) > 1 and (unreadable or not isinstance(batch, Batch)):  # find out which it is
            return [self._read_chunk([portion], ready)[0] for portion in portions]
        batch = self._checked(read)
        if batch is None:
            return [None]
        batch = ready(batch.pin_memory() if self._pin else batch)
        return list(batch.split([len(portion) for portion in portions])) if len(portions) > 1 else [batch]

    def _checked(self, read: "_Read") -> Batch | None:
        """The batch; raises what was raised where it was read."""
        batch, unreadable = read
        for index, reason in unreadable:
            self._corrupt.add(self.name, index, reason)
        if isinstance(batch, FtrunError):
            raise batch
        return batch


def _of_similar_length(order: Tensor, lengths: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """`order` [N], so changed that each `size` samples in a row have similar lengths.

    Some batches' worth of samples are sorted at a time, and their batches shuffled, so that what is learnt together
    stays random from epoch to epoch. A last short batch stays the last.
    """
    changed = []
    for some in torch.split(order, size * _SORTED_BATCHES):
        some = some[lengths[some].argsort(stable=True)]
        whole = some[: len(some) // size * size].reshape(-1, size)
        changed += [whole[torch.randperm(len(whole), generator=generator)].flatten(), some[whole.numel() :]]
    return torch.cat(changed)


class _Workers:
    """Processes that read batches ahead; they live on from epoch to epoch."""

    def __init__(self, reader: "_BatchReader", workers: int, *, pin: bool) -> None:
        self._order = _Order()
        self._loader: DataLoader[Any] = DataLoader(
            reader,  # type: ignore[arg-type]  # map-style by protocol, not by base class
            batch_sampler=self._order,
            collate_fn=_as_it_is,
            num_workers=workers,
            worker_init_fn=partial(_set_up_worker, os.getpid()),
            persistent_workers=True,
            pin_memory=pin,
        )

    def read(self, portions: list[list[int]]) -> "Iterator[_Read]":
        """What the reader gives for each portion."""
        self._order.portions = portions
        yield from self._loader


def _portions(order: Sequence[int], size: int, *, lone_last: bool) -> list[list[int]]:
    portions = [list(order[start : start + size]) for start in range(0, len(order), size)]
    if not lone_last and size > 1 and len(portions) > 1 and len(portions[-1]) == 1:
        portions[-2:] = [list(order[-size - 1 :])]
    return portions


class _Order:
    """The batch sampler that torch's loader, and its workers that live on from epoch to epoch, follow."""

    portions: list[list[int]] = []  # noqa: RUF012  (replaced, never changed)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.portions)

    def __len__(self) -> int:
        return len(self.portions)


_Read: TypeAlias = tuple[Batch | FtrunError | None, list[tuple[int, str]]]


class _BatchReader:
    """A split as torch's loader sees it: asked for a list of indices, it gives a Batch, and what could not be read.

    An expected error is handed over as a value, because torch would wrap a raised one in the worker's traceback.
    """

    def __init__(self, split: Split, collate: Collate, skip_corrupt: bool) -> None:
        self.local_parts = Carried()  # the first to be unpickled: the split may be of them
        self.split = split
        self.collate = collate
        self.embedded = getattr(split, "embedded", False)
        self.skip_corrupt = skip_corrupt

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, indices: Sequence[int]) -> _Read:
        try:
            return self._batch(indices), []
        except DataError as error:
            return self._readable(indices) if self.skip_corrupt else (error, [])
        except FtrunError as error:
            return error, []

    def _readable(self, indices: Sequence[int]) -> _Read:
        """The batch of those samples that can be read, and the index and the reason of each other one."""
        good, unreadable = [], []
        for index in indices:
            try:
                self._batch([index])
            except DataError as error:
                unreadable.append((index, str(error)))
            else:
                good.append(index)
        return self._batch(good) if good else None, unreadable

    def _batch(self, indices: Sequence[int]) -> Batch:
        raw, targets = _columns(get_items(self.split, indices))
        return Batch(self.collate(raw), targets, torch.as_tensor(indices), self.embedded)


def _set_up_worker(run: int, worker: int) -> None:
    """A terminal's Ctrl-C and a batch system's SIGTERM go to every process of a run, which needs us to finish the step.

    run: its process, which alone may end us
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "sigwaitinfo"):  # tells who sent it; macOS and Windows have none
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        Thread(target=_end_when_told, args=(run,), daemon=True).start()


def _end_when_told(run: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != run:
        continue
    os._exit(0)  # as torch's own workers do where their parent ends them; it takes any other code for a crash


def _columns(items: Any) -> tuple[Any, dict[str, Tensor]]:
    """(raw inputs, {target: [B, ...]}) from a whole batch, which is that already, or from a list of samples."""
    if isinstance(items, tuple):
        return items
    raw, targets = zip(*items, strict=True)
    return list(raw), {name: torch.stack([torch.as_tensor(each[name]) for each in targets]) for name in targets[0]}


def _as_it_is(batch: Any) -> Any:
    return batch
