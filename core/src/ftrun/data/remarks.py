"""What a user has to know of any dataset before a net learns from it: a note each, as `Splits.notes` has them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from unicodedata import category, normalize

import torch
from torch import Tensor

from ftrun.contracts.data import Splits
from ftrun.contracts.targets import Classes, Labels, Target, Values
from ftrun.data.sameinputs import digests

_NAMED = 5  # classes in a note; of more, how many


def remarks(splits: Splits) -> list[str]:
    """Return a note for each thing that makes metrics mean less than they seem to, from targets and inputs."""
    notes: list[str] = []
    for name, target in splits.targets.items():
        values = {split_name: split.targets[name] for split_name, split in splits.items()}
        notes += [f"target {name!r}: {note}" for note in _of_target(target, values)]
    return [*notes, *_same_inputs(splits)]


def _of_target(target: Target, values: Mapping[str, Tensor]) -> Iterator[str]:
    if isinstance(target, Values):
        yield from _constant(target, values["train"])
        return
    counts = {name: _counts(target, each) for name, each in values.items() if target.known(each).any()}
    yield from _twins(target.names, counts["train"])
    yield from _absent(target.names, counts)
    if isinstance(target, Labels):
        known = target.known(values["train"]).sum(0).tolist()
        yield from (
            f"every training sample has label {name!r}: there is nothing to learn of it"
            for name, count, of in zip(target.names, counts["train"], known, strict=True)
            if count == of
        )


def _counts(target: Classes | Labels, values: Tensor) -> list[int]:
    """How many samples have each class or label."""
    if isinstance(target, Classes):
        counts = values[target.known(values)].bincount(minlength=target.outputs)
    else:
        counts = (values == 1).sum(0)
    return [int(count) for count in counts.tolist()]


def _constant(target: Values, values: Tensor) -> Iterator[str]:
    for name, column, known in zip(target.names, values.unbind(1), target.known(values).unbind(1), strict=True):
        column = column[known]
        if len(column) and (column == column[0]).all():
            yield f"{name!r} is {column[0]:g} in every training sample: there is nothing to learn"


def _twins(names: Sequence[str], counts: Sequence[int]) -> Iterator[str]:
    """Names that differ in case, blanks or signs that are not seen alone, or are one number."""
    alike: dict[str | Decimal, list[int]] = {}
    for index, name in enumerate(names):
        alike.setdefault(_plain(name), []).append(index)
    for plain, indices in alike.items():
        if len(indices) > 1:
            listed = " and ".join(f"{_shown(names[index])} ({counts[index]:,} in train)" for index in indices)
            how = "differ in case, blanks or unseen signs alone" if isinstance(plain, str) else "are one number"
            yield f"{listed} {how}, and are {len(indices)} classes"


def _plain(name: str) -> str | Decimal:
    """Equal for names that look alike, or are one number: 1, 01, 1e0."""
    try:
        if (number := Decimal(name)).is_finite():
            return number
    except InvalidOperation:
        pass
    seen = "".join(each for each in normalize("NFKC", name) if category(each) != "Cf")
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", seen).strip().casefold()


def _shown(name: str) -> str:
    return repr(name) if name.isprintable() else ascii(name)


def _absent(names: Sequence[str], counts: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """The classes that some split has no sample of."""
    absent: dict[tuple[str, ...], list[str]] = {}
    for index, name in enumerate(names):
        lacking = tuple(split for split, each in counts.items() if not each[index])
        if lacking:
            absent.setdefault(lacking, []).append(f"{_shown(name)} ({counts['train'][index]:,} in train)")
    for lacking, which in absent.items():
        more = f" and {len(which) - _NAMED:,} more" if len(which) > _NAMED else ""
        yield f"no sample in {' and '.join(lacking)} of {', '.join(which[:_NAMED])}{more}"


def _same_inputs(splits: Splits) -> Iterator[str]:
    found = digests(splits)
    if "train" not in found:
        return
    train = found["train"]
    for name, own in found.items():
        same = int(torch.isin(own, train).sum()) if name != "train" else 0
        if same:
            yield (
                f"{same:,} of {len(own):,} {name} samples are in train too, with equal inputs: metrics of {name} are "
                "better than they are on new data"
            )
    _, which, counts = train.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
    several = counts[which] > 1
    if several.any():
        yield from _contradictions(splits, which, several)


def _contradictions(splits: Splits, which: Tensor, several: Tensor) -> Iterator[str]:
    """Equal training inputs with different labels. which: int64 [N], equal for equal inputs; several: bool [N]"""
    for name, target in splits.targets.items():
        if isinstance(target, Values):  # may well be measured twice
            continue
        values = splits.training.targets[name]
        chosen = several & target.present(values)
        labels = values[chosen].nan_to_num(-1).long().reshape(int(chosen.sum()), -1)
        pairs = torch.cat([which[chosen, None], labels], 1).unique(dim=0)  # type: ignore[no-untyped-call]
        inputs = int((pairs[:, 0].bincount() > 1).sum())
        if inputs:
            yield f"target {name!r}: inputs that are in train more than once, with different labels: {inputs:,}"
