"""Batches of a split. Their order is a pure function of (seed, epoch), whatever the number of workers."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ftrun.data import Batch, Split, get_items
from ftrun.errors import FtrunError
from ftrun.inputs import InputSpec
from ftrun.randomness import seed_of


class Loader:
    """Reads a split in whole batches: in order for evaluation, shuffled anew for each epoch of training."""

    def __init__(
        self,
        split: Split,
        input_spec: InputSpec,
        *,
        batch_size: int,
        workers: int | None,
        device: torch.device,
    ) -> None:
        self.samples = len(split)
        self._batch_size = batch_size
        self._order = _Order()
        if workers is None:
            workers = 0 if getattr(split, "in_memory", False) else min(os.cpu_count() or 1, 8)
        self._loader: DataLoader[Any] = DataLoader(
            _BatchReader(split, input_spec),  # type: ignore[arg-type]  # map-style by protocol, not by base class
            batch_sampler=self._order,
            collate_fn=_as_it_is,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
        )

    @property
    def batches(self) -> int:
        """Number of batches in an epoch of training."""
        return len(_portions(range(self.samples), self._batch_size, lone_last=False))

    def in_order(self) -> Iterator[Batch]:
        """Every sample once, in the split's own order."""
        return self._read(_portions(range(self.samples), self._batch_size, lone_last=True))

    def shuffled(self, seed: int, epoch: int) -> Iterator[Batch]:
        """Every sample once, in an order that depends on (seed, epoch) alone.

        A lone last sample joins the batch before it: batch normalisation cannot learn from one.
        """
        generator = torch.Generator().manual_seed(seed_of(seed, "order", epoch))
        order = torch.randperm(self.samples, generator=generator).tolist()
        return self._read(_portions(order, self._batch_size, lone_last=False))

    def _read(self, portions: list[list[int]]) -> Iterator[Batch]:
        self._order.portions = portions
        for batch in self._loader:
            if isinstance(batch, FtrunError):
                raise batch
            yield batch


def groups(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """The batches in groups of `size`; the last group may be smaller."""
    while group := list(islice(batches, size)):
        yield group


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


class _BatchReader:
    """A split as torch's loader sees it: asked for a list of indices, it gives a Batch.

    An expected error is handed over as a value, because torch would wrap a raised one in the worker's traceback.
    """

    def __init__(self, split: Split, input_spec: InputSpec) -> None:
        self.split = split
        self.input_spec = input_spec

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, indices: Sequence[int]) -> Batch | FtrunError:
        try:
            raw, targets = _columns(get_items(self.split, indices))
            return Batch(self.input_spec.collate(raw), targets, torch.as_tensor(indices))
        except FtrunError as error:
            return error


def _columns(items: Any) -> tuple[Any, dict[str, Tensor]]:
    """(raw inputs, {target: [B, ...]}) from a whole batch, which is that already, or from a list of samples."""
    if isinstance(items, tuple):
        return items
    raw, targets = zip(*items, strict=True)
    return list(raw), {name: torch.stack([torch.as_tensor(each[name]) for each in targets]) for name in targets[0]}


def _as_it_is(batch: Any) -> Any:
    return batch
