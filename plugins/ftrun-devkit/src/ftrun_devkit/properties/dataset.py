"""What holds for datasets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ftrun import Split
from ftrun.devtools import get_items
from ftrun_devkit.subject import Subject, digest, expect, fail
from ftrun_devkit.suite import holds_for

_LOOKED_AT = 64
"""Samples of a split that are read."""
_MOST_SHARED = 0.1
"""Part of a split's samples that may stand in another one too: real data has doubles."""


@holds_for("dataset")
def lengths(subject: Subject, place: Path) -> None:
    """A split has at least one sample, and each of its columns as many values."""
    for name, split in subject.splits(place):
        expect(len(split) > 0, f"{name} has no samples.", "Leave a split out, as None, where there is none.")
        for target, values in _columns(split).items():
            expect(
                len(values) == len(split),
                f"{name} has {len(split)} samples, but {len(values)} values of {target!r}.",
                "Give one value for each sample, in the order of the samples.",
            )


@holds_for("dataset")
def classes_aligned(subject: Subject, place: Path) -> None:
    """Every sample has the dataset's targets, and every value is one that its target allows."""
    splits = subject.make(place).build()
    for name, split in splits.items():
        columns, some = _columns(split), _some(split)
        values = [split[index][1] for index in some]
        for target in (*splits.targets, *columns):
            expect(
                target in splits.targets and all(target in each for each in values),
                f"{name} has the targets {sorted({*columns, *values[0]})}, the dataset {sorted(splits.targets)}.",
                "Let every split have all targets.",
            )
        for target, kind in splits.targets.items():
            try:
                if target in columns:
                    kind.check(columns[target], f"{name}/{target}")
                else:
                    kind.check(kind.collate([each[target] for each in values]), f"{name}/{target}", some)
            except Exception as error:
                fail(
                    f"{error}",
                    "Order the classes once, by name, and let every split's labels be positions in that order.",
                )
    for target, kind in splits.targets.items():
        if kind.kind == "classes":
            names = kind.names_in_use()
            expect(
                len(set(names)) == len(names),
                f"classes of {target!r} stand twice: {names}.",
                "Let each class have a name of its own.",
            )


@holds_for("dataset")
def sample_types(subject: Subject, place: Path) -> None:
    """A sample is (raw, targets): an image uint8 or uint16 [C, H, W], a text, or what an input of its kind accepts."""
    for name, split in subject.splits(place):
        for index in _some(split):
            sample = split[index]
            expect(
                isinstance(sample, tuple) and len(sample) == 2 and hasattr(sample[1], "items"),
                f"{name}[{index}] is {type(sample).__name__}, not (input, {{target: value}}).",
                "Return the raw input and a dict of its targets.",
            )
            _check_raw(subject, f"{name}[{index}]", sample[0])
            for target, values in _columns(split).items():
                expect(
                    target in sample[1] and _same(torch.as_tensor(sample[1][target]), values[index]),
                    f"{name}[{index}] says {sample[1].get(target)} of {target!r}, but its column says {values[index]}.",
                    "Let a sample and `columns` say the same of each target.",
                )


def _columns(split: Split) -> Mapping[str, Any]:
    columns: Mapping[str, Any] = getattr(split, "columns", {})
    return columns


def _check_raw(subject: Subject, where: str, raw: Any) -> None:
    kind = getattr(subject.part, "input_kind", None)
    if isinstance(raw, str) and kind is None:
        return
    taken = subject.raw_input()
    expect(
        taken is None or taken.accepts(raw),
        f"the input of {where} is {_described(raw)}.",
        f"Give what the net's input takes: {taken.requirement if taken else kind}. It scales and normalises.",
    )


def _described(raw: Any) -> str:
    shape = f" {raw.dtype} {list(raw.shape)}" if isinstance(raw, torch.Tensor) else ""
    return f"{type(raw).__name__}{shape}"


@holds_for("dataset")
def batches_equal_samples(subject: Subject, place: Path) -> None:
    """`__getitems__(indices)`, where there is one, gives what `__getitem__` gives for each index."""
    for name, split in subject.splits(place):
        if not hasattr(split, "__getitems__"):
            continue
        indices = list(reversed(_some(split)[:8]))
        batch = get_items(split, indices)
        for position, index in enumerate(indices):
            raw, targets = split[index]
            if isinstance(batch, tuple):
                other, others = batch[0][position], {key: values[position] for key, values in batch[1].items()}
            else:
                other, others = batch[position]
            same = digest(raw) == digest(other) and all(
                _same_value(value, others[key]) for key, value in targets.items()
            )
            expect(
                same,
                f"{name}.__getitems__({indices})[{position}] is not {name}[{index}].",
                "Let __getitems__ give the samples of exactly these indices, in this order.",
            )


def _same_value(one: Any, other: Any) -> bool:
    try:
        return _same(torch.as_tensor(one), torch.as_tensor(other))
    except (TypeError, ValueError, RuntimeError):  # of another kind than numbers
        return digest(one) == digest(other)


@holds_for("dataset")
def no_overlap(subject: Subject, place: Path) -> None:
    """No split holds the samples of another one: what is judged on must not be learnt from."""
    digests = {
        name: {digest(split[index][0]) for index in range(min(len(split), 1000))}
        for name, split in subject.splits(place)
    }
    names = list(digests)
    for position, one in enumerate(names):
        for other in names[position + 1 :]:
            shared = len(digests[one] & digests[other]) / min(len(digests[one]), len(digests[other]))
            expect(
                shared <= _MOST_SHARED,
                f"{shared:.0%} of the samples looked at stand both in {one} and in {other}.",
                "Share the samples out, or leave val as None: the core then cuts it from train.",
            )


@holds_for("dataset")
def same_order_twice(subject: Subject, place: Path) -> None:
    """Built again, it is the same: the same samples in the same order."""
    first, second = subject.make(place).build(), subject.make(place).build()
    expect(first.targets == second.targets, "its targets differ when it is built again.", "Sort the classes by name.")
    for (name, one), (_, other) in zip(first.items(), second.items(), strict=True):
        same = len(one) == len(other) and all(_same(_columns(one)[key], _columns(other)[key]) for key in _columns(one))
        same = same and all(digest(one[index][0]) == digest(other[index][0]) for index in _some(one))
        expect(
            same,
            f"{name} differs when it is built again.",
            "Sort what a folder or a database lists, and draw from a torch.Generator with a seed from the options.",
        )


def _same(values: torch.Tensor, others: torch.Tensor) -> bool:
    """Whether they are equal; what is missing in both is."""
    return values.shape == others.shape and bool(((values == others) | (values.isnan() & others.isnan())).all())


def _some(split: Split) -> list[int]:
    """Indices all over a split."""
    step = max(1, len(split) // _LOOKED_AT)
    return list(range(0, len(split), step))[:_LOOKED_AT]
