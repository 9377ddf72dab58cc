"""The val cut, and what has to hold of any data before it is trained on."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ftrun.contracts.data import Split, Splits, Subset
from ftrun.contracts.errors import DataError
from ftrun.contracts.randomness import seed_of
from ftrun.data.cut import by_class, keep_classes
from ftrun.data.fingerprint import ask_anew
from ftrun.data.remarks import absent
from ftrun.spec.specfile import is_text


def complete(splits: Splits, *, val_fraction: float, seed: int) -> Splits:
    """Return the splits with a val, cut from train where they have none; checked. Values know their mean in train."""
    check(ask_anew(splits))
    whole = _with_val(splits, val_fraction, seed)
    if splits.val is None:
        _check_known(whole)
    train = whole.training.targets
    fitted = whole.with_targets({name: target.fitted(train[name]) for name, target in whole.targets.items()})
    return fitted.with_notes(*_notes(fitted), *absent(fitted))


def _with_val(splits: Splits, val_fraction: float, seed: int) -> Splits:
    if splits.val is not None:
        return splits
    strata = _strata(splits)
    in_val = stratified(strata, val_fraction, seed_of(seed, "val"))
    draws = torch.randperm(len(strata), generator=torch.Generator().manual_seed(seed_of(seed, "val", "classes")))
    in_val = keep_classes(in_val, _members(splits), draws, in_both=True)
    if not in_val.any():
        raise DataError(f"{len(strata)} training samples are too few to cut a val split from.")
    train, val = (chosen.nonzero().flatten() for chosen in (~in_val, in_val))
    return replace(splits, train=Subset(splits.training, train), val=Subset(splits.training, val))


def _check_known(splits: Splits) -> None:
    """Raise DataError for a split of which nothing is known."""
    for split_name, split in splits.items():
        if len(_unknown_in(split, splits)) == len(splits.targets):
            raise DataError(f"no sample of the {split_name} split has target {' or '.join(map(repr, splits.targets))}.")


def check_monitored(splits: Splits, metrics: Sequence[str]) -> None:
    """Raise DataError where a metric that decides on the best epoch is of a target that no sample of val has."""
    assert splits.val is not None
    unknown = _unknown_in(splits.val, splits)
    for metric in metrics:
        if (target := metric.removeprefix("val/").rpartition("/")[0]) in unknown:
            raise DataError(
                f"no sample of the val split has target {target!r}, but {metric} is to decide which epoch is best. "
                "Add some, or choose another metric as train.monitor."
            )


def _notes(splits: Splits) -> Iterator[str]:
    """Yield notes on fitted targets: where they are not evaluated, and whose numbers have lost digits."""
    for name, target in splits.targets.items():
        missing = {
            split_name: int((~target.complete(split.targets[name])).sum()) for split_name, split in splits.items()
        }
        if any(missing.values()):
            counts = ", ".join(
                f"{count or 'none'} of {len(split):,} {split_name}"
                for (split_name, split), count in zip(splits.items(), missing.values(), strict=True)
            )
            yield f"target {name!r} is missing, if only in part, in {counts} samples: what is missing does not count"
        for split_name, split in splits.items():
            if name in _unknown_in(split, splits):
                yield f"target {name!r} is not judged on {split_name}: none of its samples has it"
        yield from (f"target {name!r}: {note}" for note in target.notes(splits.training.targets[name]))


def _unknown_in(split: Split, splits: Splits) -> list[str]:
    """Return the targets that none of its samples has."""
    return [name for name, target in splits.targets.items() if not target.present(split.targets[name]).any()]


def with_missing(splits: Splits) -> set[str]:
    """Return the targets that some sample does not have, or not all values of."""
    return {
        name
        for name, target in splits.targets.items()
        for _, split in splits.items()
        if not target.complete(split.targets[name]).all()
    }


def shortened(splits: Splits, batch_size: int, accumulate: int) -> Splits:
    """Return at most four steps of train, the last one shorter, and two batches of val, spread over them; no test."""
    most = {"train": 3 * accumulate * batch_size + batch_size // 2, "val": 2 * batch_size}
    chosen: dict[str, Split] = {}
    for name, split in splits.items():
        count = min(most.get(name, 0), len(split))
        if count:
            chosen[name] = Subset(split, torch.arange(count) * len(split) // count)
    return splits.with_splits(chosen)


def _strata(splits: Splits) -> Tensor:
    """Return int64 [N], what the val cut keeps the proportions of: the first classes, or who has the first target."""
    for name, target in splits.targets.items():
        if (strata := target.strata(splits.training.targets[name])) is not None:
            return strata
    name, target = next(iter(splits.targets.items()))
    return target.present(splits.training.targets[name]).long()


def _members(splits: Splits) -> list[tuple[Tensor, Tensor]]:
    """Return for each target training samples and the classes or labels that they have, int64 [M] each."""
    members = (target.members(splits.training.targets[name]) for name, target in splits.targets.items())
    return [each for each in members if each is not None]


def stratified(strata: Tensor, fraction: float, seed: int) -> Tensor:
    """Return bool [N]: a random part of each stratum, `fraction` of it to the nearest sample.

    Of a stratum with at least two samples, at least one is chosen and at least one is not.

    strata: int64 [N]
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.zeros(len(strata), dtype=torch.bool)
    for members in by_class(torch.arange(len(strata)), strata).values():
        count = min(max(round(len(members) * fraction), 1), len(members) - 1)
        chosen[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    return chosen


def check(splits: Splits) -> None:
    """Raise DataError for names that cannot be told apart or written, and for an empty split, a target that is missing
    or out of range, a class without samples."""
    _check_names(splits)
    check_values(splits)
    for name, target in splits.targets.items():
        values = splits.training.targets[name]
        if not target.present(values).any():
            raise DataError(f"no sample of the train split has target {name!r}.")
        target.check_training(values, name)


def _check_names(splits: Splits) -> None:
    """Raise DataError for names that cannot be told apart, or kept in JSON."""
    if "" in splits.targets:
        raise DataError("a target has no name. Give it one, a text that is not empty.")
    for target, kind in splits.targets.items():
        names = kind.names_in_use()
        wrong = next((name for name in (target, *names) if not is_text(name)), None)
        if wrong is not None:
            raise DataError(f"target {target!r}: the name {wrong!r} is not Unicode text. Rename it.")
        for name, count in Counter(names).items():
            if count > 1:
                raise DataError(f"target {target!r}: the name {name!r} stands for {count} of them. Give each its own.")


def check_values(splits: Splits) -> None:
    """Raise DataError for an empty split, a target that is missing or out of range, a split without any target."""
    for split_name, split in splits.items():
        if len(split) == 0:
            raise DataError(f"the {split_name} split is empty.")
        for name, target in splits.targets.items():
            values = split.targets.get(name)
            if values is None:
                known = ", ".join(split.targets) or "none"
                raise DataError(f"the {split_name} split has no target {name!r}; it has {known}.")
            if len(values) != len(split):
                raise DataError(
                    f"the {split_name} split has {len(split)} samples, but {len(values)} values of target {name!r}."
                )
            target.check(values, f"{split_name}, target {name!r}")
    _check_known(splits)
