"""Samples from files, decoded once, as the net's input collates them, into a mapped file that runs share."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from random import Random
from time import perf_counter
from typing import Any

import torch

from ftrun.contracts.data import Batch, Split, Splits, Subset, reads_values
from ftrun.contracts.errors import DataError
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.layout import Layout, TensorLayout
from ftrun.contracts.specs import Dataset
from ftrun.contracts.trees import leaves
from ftrun.data import cachefolder, fingerprint
from ftrun.data.code import code_of
from ftrun.data.collating import Collating
from ftrun.data.corrupt import CorruptSamples
from ftrun.data.loader import Loader
from ftrun.data.mapped import Content, Done, Entry, MappedSplit, options_of, same_bits
from ftrun.data.reader import BatchReader, Collate, Read
from ftrun.data.rows import Apart, Rows

_PORTION = 64
_PROBED = 8  # samples of an entry that are decoded anew before it is used


class Decoder:
    """Gives splits from the cache, where they can be; what is not in it yet is decoded and put there.

    dataset: the part that made the splits; targets: the names of those whose values are wanted
    workers: as the spec has them
    skip: whether samples that cannot be read are no error yet
    say: shows a line; progress: shows how much of a split is decoded, as `Console.progress` does
    check: called between batches; raises what is to end the decoding
    why: what inputs at this size are for, for the cache's listing
    """

    def __init__(
        self,
        prepare: InputSpec,
        *,
        dataset: Dataset,
        targets: Collection[str] = (),
        workers: int | None,
        skip: bool,
        say: Callable[[str], None],
        progress: Callable[[str, int], AbstractContextManager[Any]] = lambda title, samples: nullcontext(),
        check: Callable[[], None] = lambda: None,
        why: str = "",
    ) -> None:
        self._prepare = prepare
        self._rows = _rows_of(prepare.collated_layout) if prepare.cached else None
        self._dataset = dataset
        self._targets = tuple(targets)
        self._workers = workers
        self._skip = skip
        self._say = say
        self._progress = progress
        self._check = check
        self._why = why
        self._ready: dict[int, Split] = {}  # train and a val that is cut from it share one

    def splits(self, splits: Splits) -> Splits:
        """Return the dataset with all its splits decoded, as far as they can be kept."""
        return splits.with_splits({name: self.split(split, name) for name, split in splits.items()})

    def split(self, split: Split, name: str) -> Split:
        """Return one split, decoded where it can be kept, and as it is where it cannot."""
        if isinstance(split, Subset) and not self._is_decoded_alone(split, name):
            return Subset(self.split(split.split, name), split.indices)
        if id(split) not in self._ready:
            self._ready[id(split)] = self._decoded(split, self._title(name))
        return self._ready[id(split)]

    def _title(self, name: str) -> str:
        return f"{self._dataset.name}, {name}{self._why}"

    def _is_decoded_alone(self, split: Subset, name: str) -> bool:
        """Return whether a part of a split is so small that it is decoded by itself, where the whole is not at hand."""
        if 2 * len(split) > len(split.split) or id(split.split) in self._ready:
            return False
        entry = self._entry(split.split, self._title(name))
        return entry is not None and not entry.path.exists()

    def _entry(self, split: Split, name: str) -> Entry | None:
        """Return the place of a split in the cache; None where it has none."""
        shape, source = self._shape, self._source(split)
        if shape is None or not cachefolder.limit() or source is None:
            return None
        return Entry(
            self._depends(split, source), name, (len(split), *shape), torch.uint8, warped=self._prepare.has_pixels()
        )

    def _source(self, split: Split) -> str | None:
        """Return the fingerprint of what is to be decoded; None of what lies in memory, or is of an unknown state."""
        whole = split
        while isinstance(whole, Subset):
            whole = whole.split
        known = fingerprint.asked_once(whole)
        return known and fingerprint.of_collated(split)

    def _decoded(self, split: Split, name: str) -> Split:
        entry, source = self._entry(split, name), self._source(split)
        if entry is None or source is None:
            return split
        if not reads_values(split, self._targets):
            self._say(f"{name}: decoded anew in each epoch, because its targets cannot be read without its inputs")
            return split
        try:
            content = entry.read()
            stale = content is not None and not self._still_so(split, content, entry.key)
            if stale:
                self._say(f"{name}: what the cache holds is not what is decoded now, so it is decoded anew")
            if content is None or stale:
                content = entry.write(partial(self._fill, split, source, entry.key, name), replace=stale)
        except OSError as error:
            reason = error.strerror or error
            self._say(f"{name}: decoded anew in each epoch, because the cache {entry.path.parent} fails: {reason}")
            return split
        except _FilesChanged:
            self._say(f"{name}: decoded anew in each epoch, because files have changed while they were decoded")
            return split
        if content is None:
            self._say(f"{name}: no room in the cache for {len(split):,} samples; they are decoded anew in each epoch")
            return split
        if self._rows and not self._same_together(split, content, self._rows):
            self._say(f"{name}: decoded anew in each epoch, because a sample's values depend on its batch")
            return split
        read = partial(self._read, split)
        about: dict[str, Any] = {"key": entry.key, "embedded": False, "source": source, "rows": self._rows}
        return MappedSplit(split, content, read, targets=self._targets, **about)

    @property
    def _shape(self) -> tuple[int, ...] | None:
        """The shape of what is kept of a sample, uint8: what `collate` gives, if it is so, or a row of its bytes."""
        if self._rows:
            return (self._rows.width,)
        layout = self._prepare.collated_layout
        return layout.shape if self._prepare.cached and isinstance(layout, TensorLayout) else None

    @property
    def _collate(self) -> Collate:
        collate = Collating(self._prepare)
        return Apart(collate, self._rows) if self._rows else collate

    def _depends(self, split: Split, source: str) -> list[Any]:
        """All that decides what comes out: the inputs, where they are, how they are read and prepared."""
        whole = split
        while isinstance(whole, Subset):
            whole = whole.split
        return [
            source,
            options_of(self._dataset),
            [type(self._prepare).__qualname__, self._prepare.collate_options()],
            code_of([type(self._dataset), type(whole), type(self._prepare)]),
        ]

    def _fill(self, split: Split, source: str, key: str, name: str, content: Content, done: Done) -> None:
        """Decode what is not done yet of a split into `content`.

        source: its fingerprint, as the entry's key has it
        """
        started = perf_counter()
        if done.samples and not self._still_so(split, Content(content.inputs[: done.samples], done.unread), key):
            done.samples, done.unread = 0, []
        begun = f", the last {len(split) - done.samples:,} of them now" if done.samples else ""
        self._say(f"{name}: decoding {len(split):,} samples, once, into {cachefolder.folder()}{begun}")
        corrupt = CorruptSamples(len(split) if self._skip else 0, lambda line: None)
        first = done.samples
        loader = Loader(
            name,
            Subset(split, torch.arange(first, len(split))) if first else split,
            self._collate,
            corrupt,
            batch_size=_PORTION,
            workers=self._workers,
            device=torch.device("cpu"),
            warped=self._prepare.has_pixels(),
        )
        kept = list(done.unread)
        try:
            with self._progress("decoding", loader.samples) as bar:
                for batch in loader.in_order():
                    content.inputs[batch.ids + first] = batch.inputs
                    if content.warps is not None:
                        content.warps[batch.ids + first] = batch.extra["warp"]
                    done.samples = first + int(batch.ids[-1]) + 1
                    if bar:
                        bar.advance(len(batch))
                    self._check()
            done.samples = len(split)
        finally:
            unread = [first + each.sample for each in corrupt.samples]
            done.unread = kept + [index for index in unread if index < done.samples]
            if fingerprint.read_anew(split) != source:
                done.samples = 0  # what is decoded is of no one state of the files
        if not done.samples:
            raise _FilesChanged
        self._say(f"{name}: decoded in {perf_counter() - started:.1f} s; from now on read from there")

    def _still_so(self, split: Split, content: Content, key: str) -> bool:
        """Return whether some samples all over what is decoded, others for another entry, come out as they are kept."""
        size = len(content.inputs)
        indices = sorted(Random(key).sample(range(size), min(_PROBED, size)))
        indices = [index for index in indices if index not in content.unread]
        if not indices:
            return True
        batch, _ = self._batch(split, indices)
        return isinstance(batch, Batch) and same_bits(batch.inputs, content.inputs[indices])

    def _same_together(self, split: Split, content: Content, rows: Rows) -> bool:
        """Return whether samples that are kept each by itself make the batch that `collate` makes of them."""
        indices = [index for index in range(min(_PROBED, len(split))) if index not in content.unread]
        if not indices:
            return True
        batch, _ = BatchReader(split, Collating(self._prepare), skip_corrupt=False).__getitems__(indices)
        kept = rows.batch(content.inputs[indices])
        return isinstance(batch, Batch) and all(map(same_bits, leaves(batch.inputs), leaves(kept)))

    def _read(self, split: Split, index: int) -> Batch:
        batch, _ = self._batch(split, [index])
        if not isinstance(batch, Batch):
            raise batch or DataError(f"sample {index} cannot be read.")
        return batch

    def _batch(self, split: Split, indices: list[int]) -> Read:
        reader = BatchReader(split, self._collate, skip_corrupt=False, warped=self._prepare.has_pixels())
        return reader.__getitems__(indices)


def _rows_of(layout: Layout | None) -> Rows | None:
    """Return how samples become rows of bytes; None where they are bytes already, or their layout is not known."""
    is_bytes = isinstance(layout, TensorLayout) and layout.dtype == "uint8" and layout.shape is not None
    return None if layout is None or is_bytes else Rows(layout)


class _FilesChanged(Exception):
    """What was decoded is of no one state of the files."""
