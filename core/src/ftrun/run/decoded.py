"""Samples from files, decoded once: uint8 in a mapped file, at the size that the net works at, shared by runs."""

from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor

from ftrun import cachefolder
from ftrun.data import Split, Splits, Subset
from ftrun.inputs import InputSpec
from ftrun.run.corrupt import CorruptSamples
from ftrun.run.loader import Loader
from ftrun.run.mapped import Entry, MappedSplit, Unreadable

_PORTION = 64


def decoded(splits: Splits, prepare: InputSpec, *, dataset: str, skip: bool, say: Callable[[str], None]) -> Splits:
    """All the splits, as `decoder` gives each."""
    of = decoder(prepare, dataset=dataset, skip=skip, say=say)
    return splits.with_splits({name: of(split, name) for name, split in splits.items()})


def decoder(
    prepare: InputSpec, *, dataset: str, skip: bool, say: Callable[[str], None]
) -> Callable[[Split, str], Split]:
    """What gives a split, by its name, from the cache if it can be; what is not in it yet is decoded and put there.

    dataset: its name, for `ftrun cache`; skip: whether samples that cannot be read are no error yet
    """
    ready: dict[int, Split] = {}  # train and a val that is cut from it share one

    def of(split: Split, name: str) -> Split:
        if isinstance(split, Subset):
            return Subset(of(split.split, name), split.indices)
        if id(split) not in ready:
            ready[id(split)] = _decoded(split, f"{dataset}, {name}", prepare, skip, say)
        return ready[id(split)]

    return of


def _decoded(split: Split, name: str, prepare: InputSpec, skip: bool, say: Callable[[str], None]) -> Split:
    fingerprint, shape = getattr(split, "fingerprint", None), prepare.collated_shape
    if fingerprint is None or shape is None or not cachefolder.limit():
        return split
    entry = Entry([fingerprint, prepare.collate_options()], name, (len(split), *shape), torch.uint8)

    def fill(inputs: Tensor) -> Unreadable:
        started = perf_counter()
        say(f"{name}: decoding {len(split):,} samples, once, into {entry.path.parent}")
        corrupt = CorruptSamples(len(split) if skip else 0, lambda line: None)
        cpu = torch.device("cpu")
        loader = Loader(name, split, prepare.collate, corrupt, batch_size=_PORTION, workers=None, device=cpu)
        for batch in loader.in_order():
            inputs[batch.ids] = batch.inputs
        say(f"{name}: decoded in {perf_counter() - started:.1f} s; from now on read from there")
        return [(each.sample, each.reason) for each in corrupt.found]

    try:
        found = entry.read() or entry.write(fill)
    except OSError as error:
        say(f"{name}: decoded anew in each epoch, because the cache {entry.path.parent} fails: {error.strerror}")
        return split
    if found is None:
        say(f"{name}: no room in the cache for {len(split):,} samples; they are decoded anew in each epoch")
        return split
    return MappedSplit(split, *found, key=entry.key, embedded=False, source=fingerprint)
