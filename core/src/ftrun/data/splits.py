"""The val cut, and what has to hold of any data before it is trained on."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ftrun.contracts.data import Split, Splits, Subset, columns_of, values_at
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
    train = columns_of(whole.training)
    fitted = whole.with_targets(
        {name: target.fitted(train[name]) if name in train else target for name, target in whole.targets.items()}
    )
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
        if splits.targets and len(_unknown_in(split, splits)) == len(splits.targets):
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
        columns = splits.columns(name)
        missing = {split_name: int((~target.complete(values)).sum()) for split_name, values in columns.items()}
        if any(missing.values()):
            counts = ", ".join(
                f"{missing[split_name] or 'none'} of {len(each):,} {split_name}" for split_name, each in columns.items()
            )
            yield f"target {name!r} is missing, if only in part, in {counts} samples: what is missing does not count"
        for split_name, split in splits.items():
            if name in _unknown_in(split, splits):
                yield f"target {name!r} is not judged on {split_name}: none of its samples has it"
        if "train" in columns:
            yield from (f"target {name!r}: {note}" for note in target.notes(columns["train"]))


def _unknown_in(split: Split, splits: Splits) -> list[str]:
    """Return the targets that none of its samples has, as far as that is known."""
    known = columns_of(split)
    return [name for name, target in splits.targets.items() if name in known and not target.present(known[name]).any()]


def with_missing(splits: Splits) -> set[str]:
    """Return the targets that some sample does not have, or not all values of, as far as that is known."""
    return {
        name
        for name, target in splits.targets.items()
        for _, split in splits.items()
        if (
            not target.complete(columns_of(split)[name]).all() if name in columns_of(split) else target.may_be_missing()
        )
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
    columns = columns_of(splits.training)
    known = [(target, columns[name]) for name, target in splits.targets.items() if name in columns]
    for target, values in known:
        if (strata := target.strata(values)) is not None:
            return strata
    return known[0][0].present(known[0][1]).long() if known else torch.zeros(len(splits.training), dtype=torch.int64)


def _members(splits: Splits) -> list[tuple[Tensor, Tensor]]:
    """Return for each target training samples and the classes or labels that they have, int64 [M] each."""
    columns = columns_of(splits.training)
    members = (target.members(columns[name]) for name, target in splits.targets.items() if name in columns)
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
    columns = columns_of(splits.training)
    for name, target in splits.targets.items():
        if name not in columns:
            continue
        values = columns[name]
        if not target.present(values).any():
            raise DataError(f"no sample of the train split has target {name!r}.")
        target.check_training(values, name)


def _check_first(name: str, split: Split, targets: Iterable[str]) -> None:
    """Raise DataError where the first sample lacks a target that is no column."""
    unread = [target for target in targets if target not in columns_of(split)]
    try:
        values = values_at(split, 0) if unread else {}
    except (DataError, TypeError, LookupError):  # it cannot be read, which a spec may allow, or is none at all
        return
    lacking = next((target for target in unread if target not in values), None)
    if lacking is not None:
        raise DataError(f"the {name} split has no target {lacking!r}; it has {', '.join(values) or 'none'}.")


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
        columns = columns_of(split)
        _check_first(split_name, split, splits.targets)
        for name, target in splits.targets.items():
            if name not in columns:
                continue
            values = columns[name]
            if len(values) != len(split):
                raise DataError(
                    f"the {split_name} split has {len(split)} samples, but {len(values)} values of target {name!r}."
                )
            target.check(values, f"{split_name}, target {name!r}")
    _check_known(splits)
