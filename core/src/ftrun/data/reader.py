"""What reads a split in whole batches: here, or in processes of their own."""

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import Any, TypeAlias

from torch import Tensor
from torch.utils.data import DataLoader

from ftrun.contracts.data import Batch, Split, columns_of, get_items, index_tensor, sample_name
from ftrun.contracts.errors import DataError, FtrunError, WorkerLost
from ftrun.contracts.failures import shortage
from ftrun.contracts.geometry import Size, Warp, stacked
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.specs import Part
from ftrun.contracts.targets import Target
from ftrun.contracts.trees import Tree
from ftrun.data.collating import NotAccepted
from ftrun.plugins.building import blame
from ftrun.plugins.localparts import Carried

Collate: TypeAlias = Callable[[Any], Any]
"""What makes a batch of raw inputs: `Collating`."""

Read: TypeAlias = tuple[Batch | FtrunError | None, list[tuple[int, str]]]
"""A batch, or none or why there is none; and index and reason of each sample that cannot be read."""


class BatchReader:
    """A split as torch's loader sees it: asked for a list of indices, it gives a Batch, and what could not be read.

    With `repeats`, an index beyond the split's samples is a sample that comes again: index modulo their number. What
    randomness is drawn for, `Batch.extra["draws"]`, tells its times apart.

    An expected error is handed over as a value, because torch would wrap a raised one in the worker's traceback.

    targets: those whose values are wanted; what of them is no column is checked here, as it is read
    name: of the split: for messages
    warped: whether batches have where raw pixels went, as `extra["warp"]`; so they have where a target follows
    """

    def __init__(
        self,
        split: Split,
        collate: Collate,
        skip_corrupt: bool,
        dataset: Part | None = None,
        targets: Mapping[str, Target] | None = None,
        name: str = "",
        *,
        repeats: bool = False,
        warped: bool = False,
    ) -> None:
        self.local_parts = Carried()  # the first to be unpickled: the split may be of them
        self.split = split
        self.collate = collate
        self.embedded = getattr(split, "embedded", False)
        self.skip_corrupt = skip_corrupt
        self.dataset = dataset
        self.repeats = repeats
        self.targets = targets or {}
        self.name = name
        columns = columns_of(split)
        self._dtypes = {each: columns[each].dtype for each in self.targets if each in columns}
        self._prepare: InputSpec | None = getattr(collate, "input", None)  # None where they are collated already
        pixels = self._prepare.has_pixels() if self._prepare else getattr(split, "has_warps", False)
        self._following = {name: target for name, target in self.targets.items() if pixels and target.follows()}
        self.warped = warped or bool(self._following)

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, indices: Sequence[int]) -> Read:
        try:
            return self._batch(indices), []
        except DataError as error:
            return self._readable(indices) if self.skip_corrupt else (error, [])
        except FtrunError as error:
            return error, []
        except Exception as error:
            if self.dataset:
                blame(error, self.dataset, "dataset")
            raise

    def _readable(self, indices: Sequence[int]) -> Read:
        """Return the batch of those samples that can be read, and the index and the reason of each other one."""
        good, unreadable = [], []
        for index in indices:
            try:
                self._batch([index])
            except DataError as error:
                unreadable.append((index % len(self), str(error)))
            else:
                good.append(index)
        return self._batch(good) if good else None, unreadable

    def _batch(self, indices: Sequence[int]) -> Batch:
        ids, extra = index_tensor(indices), {}
        if self.repeats:
            extra = {"draws": ids}
            ids = ids % len(self)
            indices = ids.tolist()
        items = get_items(self.split, indices)
        raw, values = items if isinstance(items, tuple) else ([raw for raw, _ in items], [each for _, each in items])
        try:
            inputs = self.collate(raw)
        except NotAccepted as error:
            index = indices[error.position]
            raise error.of(sample_name(self.split, index) or f"sample {index}") from None
        if self.warped:
            extra["warp"] = self._warps(raw, indices)
            values = followed(values, self._following, extra["warp"], (inputs.shape[-2], inputs.shape[-1]))
        targets = {name: self._collated(name, target, values) for name, target in self.targets.items()}
        for name, each in targets.items():
            if name not in self._dtypes:
                self.targets[name].check(each, f"{self.name}, target {name!r}", indices)
        return Batch(inputs, targets, ids, self.embedded, extra)

    def _warps(self, raw: Any, indices: Sequence[int]) -> Tensor:
        """Return where raw pixels went, float64 [B, 2, 3]."""
        if self._prepare is None:
            warps: Tensor = self.split.warps(indices)  # type: ignore[attr-defined]
            return warps
        return stacked([warp for each in raw if (warp := self._prepare.warp(each))]).matrix

    def _collated(self, name: str, target: Target, values: Any) -> Tree:
        """Return a target's values of a batch, from those of all targets, of the whole batch or of each sample.

        What is a column has its type in each batch too, so that a number keeps its digits.
        """
        if isinstance(values, Mapping):
            return values[name]
        collated = target.collate([each[name] for each in values])
        keeps = name in self._dtypes and name not in self._following
        return collated.to(self._dtypes[name]) if keeps else collated


def followed(values: Any, targets: Mapping[str, Target], warps: Tensor, size: Size) -> Any:
    """Return values, a batch's or each sample's, of which those that lie in the inputs have followed them."""
    if not targets:
        return values
    if isinstance(values, Mapping):
        return {**values, **{name: each.follow(values[name], Warp(warps, size)) for name, each in targets.items()}}
    return [
        {**sample, **{name: each.follow(sample[name], Warp(warp, size)) for name, each in targets.items()}}
        for sample, warp in zip(values, warps, strict=True)
    ]


class Workers:
    """Processes that read batches ahead; they live on from epoch to epoch."""

    def __init__(self, reader: BatchReader, workers: int, *, pin: bool) -> None:
        self._portions: list[list[int]] = []  # the batch sampler, whose content is another one in each epoch
        self._loader: DataLoader[Any] = DataLoader(
            reader,  # type: ignore[arg-type]  # map-style by protocol, not by base class
            batch_sampler=self._portions,
            collate_fn=identity,
            num_workers=workers,
            worker_init_fn=partial(_set_up_worker, os.getpid()),
            persistent_workers=True,
            pin_memory=pin,
        )

    def read(self, portions: list[list[int]]) -> Iterator[Read]:
        """Return what the reader gives for each portion. Raises WorkerLost between two of them, if a process died."""
        self._portions[:] = portions
        with _as_worker_lost(), _own_sigchld():
            batches = iter(self._loader)  # which waits for the workers, from the second time on
        while True:
            with _as_worker_lost():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch


@contextmanager
def _as_worker_lost() -> Iterator[None]:
    """Raise WorkerLost where torch's loader raises that a worker is gone."""
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        if (lost := _lost(error)) is None:
            raise
        raise lost from None


@contextmanager
def _own_sigchld() -> Iterator[None]:
    """Keep torch from handling SIGCHLD: it would raise the death of a worker in the middle of a step.

    Whoever asks for the next batch is told too, between two steps, when all that is saved is whole.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler if handler is not None else signal.SIG_DFL)


def _lost(error: Exception) -> WorkerLost | None:
    """Return what to tell where torch's loader says that a worker is gone, or cannot be heard."""
    if short := shortage(error):
        return WorkerLost(short)
    if re.match("Caught .* in DataLoader worker process", str(error)):  # it lives, and what it read raised this
        return None
    if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
        return None
    return WorkerLost(
        "a process that reads samples has died: somebody killed it, or the system did for want of memory or of room "
        "in /dev/shm. Try fewer of them: --set train.workers=1."
    )


def _set_up_worker(run: int, worker: int) -> None:
    """Ignore a terminal's Ctrl-C and end, and a batch system's SIGTERM: the run needs its workers for a last step.

    run: its process, which alone may end a worker
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # tells who sent it; macOS has none
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        Thread(target=_end_with, args=(run,), daemon=True).start()


def _end_with(run: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != run:
        continue
    os._exit(0)  # as torch's own workers do where their parent ends them; it takes any other code for a crash


def identity(batch: Any) -> Any:
    """Return what it is given: torch's loader wants a function that collates, and workers one that can be pickled."""
    return batch
