"""What parts give as a run goes on, looked at: a sample of the data, a changed batch, a loss."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ftrun.contracts.data import Batch, Split, get_items
from ftrun.contracts.errors import DataError
from ftrun.contracts.geometry import Size, Warp, WarpForm
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.randomness import SampleRandom
from ftrun.plugins.building import inside, misbuilt, named, shown
from ftrun.spec.runspec import RunSpec


def fault_of_augmented(batch: Batch, random: SampleRandom, changed: Any) -> str:
    """Return what is wrong with what an augmentation has made of a batch, or nothing."""
    if not isinstance(changed, Batch):
        return f"its function gives {shown(changed)}, but the changed batch is needed, an ftrun.Batch."
    before, after = batch.inputs, changed.inputs
    if _kind(before) != _kind(after):
        return f"its function makes {shown(after)} of inputs {shown(before)}; their number and dtype have to stay."
    return ""


def _kind(inputs: Any) -> Any:
    """Return what an augmentation does not change of inputs: of each tensor, by name, the samples and the dtype."""
    if isinstance(inputs, Mapping):
        return {name: _kind(each) for name, each in inputs.items()}
    return (len(inputs), inputs.dtype) if isinstance(inputs, Tensor) else None


def fault_of_warp(random: SampleRandom, size: Size, warp: Any) -> str:
    """Return what is wrong with what an augmentation that moves pixels has drawn, or nothing."""
    if not isinstance(warp, Warp):
        return f"its function gives {shown(warp)}, but it moves pixels: an ftrun.Warp is needed."
    rows = 3 if warp.form is WarpForm.PROJECTIVE else 2
    shape, needed = tuple(warp.matrix.shape), (len(random), rows, 3)
    if shape != needed or warp.size != size:
        return (
            f"its function gives a Warp {shape} to images of {warp.size}, but {needed} to {size} is needed: a "
            "map for each sample, to images of the same size."
        )
    return ""


def fault_of_loss(value: Any) -> str:
    """Return what is wrong with what a loss has computed, or nothing."""
    if isinstance(value, Tensor) and value.ndim == 0:
        return ""
    return f"its forward() gives {shown(value)}, but a scalar is needed, the mean over the batch."


def fault_of_order(samples: int, length: int, seed: int, epoch: int, order: Any) -> str:
    """Return what is wrong with a sampler's indices of an epoch, or nothing.

    samples: in the split; length: of the first epoch's
    """
    if not isinstance(order, Tensor) or order.dtype != torch.int64 or order.shape != (length,):
        return f"indices({seed}, {epoch}) is {shown(order)}, but int64 [{length}] is needed, as in the first epoch."
    least, most = int(order.min()), int(order.max())
    if least < 0 or most >= samples:
        return f"indices({seed}, {epoch}) go from {least} to {most}, but there are {samples} samples."
    return ""


def check_sample(spec: RunSpec, split: Split, prepare: InputSpec) -> None:
    """Raise PluginError where the first sample is none, DataError where the net's input does not take it.

    What cannot be read is left to whoever reads it: a spec may have it skipped.
    """
    with inside(spec.dataset, "dataset"):
        try:
            items = get_items(split, [0])
        except DataError:
            return
        raw = _raw(spec, items)
    if getattr(split, "collated", False):
        return
    sample = raw[0] if isinstance(raw, list | Tensor) else raw  # or a whole batch of some other kind
    first = f"a sample of dataset {named(spec.dataset)} is {shown(sample)}"
    if sample is not raw and not prepare.accepts(sample):
        takes = f"backbone {spec.backbone.name!r} takes {prepare.requirement}"
        raise DataError(f"{takes}, but {first}.", where="dataset")
    try:
        prepare.collate(raw)
    except Exception as error:
        if isinstance(error, DataError):
            raise DataError(f"{first}: {error.message}", where="dataset") from error
        error.add_note(f"{first}; the {type(prepare).__name__} of backbone {named(spec.backbone)} was to take it")
        raise


def _raw(spec: RunSpec, items: Any) -> Any:
    """The raw inputs of what a split gives for [0]: a whole batch, or a list of samples."""
    if isinstance(items, tuple) and len(items) == 2 and isinstance(items[1], Mapping):
        return items[0]
    if isinstance(items, list) and len(items) == 1:
        (sample,) = items
        if isinstance(sample, tuple) and len(sample) == 2 and isinstance(sample[1], Mapping):
            return [sample[0]]
        items = sample
    raise misbuilt(spec.dataset, f"a sample is {shown(items)}, but (raw input, {{target: value}}) is needed.")
