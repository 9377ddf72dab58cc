"""Classes and labels that no sample of val or test has: what figures of these splits are silent about."""

from collections.abc import Iterator

from ftrun.contracts.data import Split, Splits
from ftrun.contracts.targets import Classes, Labels, Target

_LISTED = 8


def notes(splits: Splits) -> Iterator[str]:
    """Return a sentence for each target that lacks a class or a label there, with what a macro figure is a mean of."""
    for name, target in splits.targets.items():
        if not isinstance(target, Classes | Labels):
            continue
        by_split = {each: _absent(split, name, target) for each, split in splits.items() if each != "train"}
        lacking = {split: absent for split, absent in by_split.items() if absent}
        same = len(lacking) > 1 and len(set(map(tuple, lacking.values()))) == 1
        for where, absent in [(" and ".join(lacking), next(iter(lacking.values())))] if same else lacking.items():
            yield _sentence(where, name if len(splits.targets) > 1 else None, target, absent)


def _absent(split: Split, name: str, target: Classes | Labels) -> list[str]:
    values = split.targets[name]
    values = values[target.present(values)]
    classes = isinstance(target, Classes)
    occurs = values.bincount(minlength=target.outputs) > 0 if classes else (values > 0.5).any(0)
    return [target.names[index] for index in (~occurs).nonzero().flatten().tolist()]


def _sentence(where: str, name: str | None, target: Target, absent: list[str]) -> str:
    more = len(absent) - _LISTED
    listed = ", ".join(map(repr, absent[:_LISTED])) + (f" and {more:,} more" if more > 0 else "")
    if isinstance(target, Classes):
        kind, meaning = "classes", "macro figures are means over the classes that occur there or are predicted"
    else:
        kind, meaning = "labels", "their precision, recall and F1 are 0 there, and count in macro figures"
    of = f"target {name!r}: " if name else ""
    have = "have" if " and " in where else "has"
    return f"{of}{where} {have} no sample of {len(absent):,} of {target.outputs:,} {kind} ({listed}): {meaning}"
