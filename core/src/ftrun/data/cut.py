"""Cutting samples into two splits so that each class stays in both."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Members: TypeAlias = "Sequence[tuple[Tensor, Tensor]]"
"""For each target, samples and their classes, int64 [M] each: a sample with several labels is in it several times."""


def keep_classes(
    chosen: "Tensor", members: Members, draws: "Tensor", *, left: int = 1, in_both: bool = False
) -> "Tensor":
    """Return `chosen`, bool [N], changed where it takes the last samples of a class of any target, or none of them.

    chosen: the samples for val or test
    draws: int64 [N], random: of the samples of a class, those with the least are the first to be chosen
    left: how many samples of a class stay at least, if it has more; one stays always
    in_both: whether each class of two and more samples is to have one among the chosen too
    """
    chosen = chosen.clone()
    for samples, classes in members:
        sizes = classes.bincount()
        staying = classes[~chosen[samples]].bincount(minlength=len(sizes))
        by_number = by_class(samples, classes)
        for which in ((staying < left) & (staying < sizes)).nonzero().flatten().tolist():
            own = by_number[which]
            wanted = left if len(own) > left else 1
            taken = own[chosen[own]]
            missing = max(0, wanted - (len(own) - len(taken)))
            chosen[taken[draws[taken].argsort(descending=True)][:missing]] = False
    if in_both:
        _choose_of_each(chosen, members, draws)
    return chosen


def by_class(samples: "Tensor", classes: "Tensor") -> dict[int, "Tensor"]:
    """Return the samples of each class, in their order, by its number; int64 [M] both."""
    order = classes.argsort(stable=True)
    numbers, sizes = classes[order].unique_consecutive(return_counts=True)  # type: ignore[no-untyped-call]
    return dict(zip(numbers.tolist(), samples[order].split(sizes.tolist()), strict=True))  # type: ignore[no-untyped-call]


def _choose_of_each(chosen: "Tensor", members: Members, draws: "Tensor") -> None:
    """Choose a sample of each class that has none among the chosen, where no class loses its last one by that."""
    for samples, classes in members:
        sizes = classes.bincount()
        taken = classes[chosen[samples]].bincount(minlength=len(sizes))
        by_number = by_class(samples, classes)
        for which in ((taken == 0) & (sizes > 1)).nonzero().flatten().tolist():
            own = by_number[which]
            if not chosen[own].any():  # nor one that was chosen for another class
                able = (each for each in own[draws[own].argsort()] if not _is_last(each, chosen, members))
                for each in able:
                    chosen[each] = True
                    break


def _is_last(sample: "Tensor", chosen: "Tensor", members: Members) -> bool:
    """Return whether a class of this sample has no other one that stays."""
    for samples, classes in members:
        staying = ~chosen[samples]
        for which in classes[samples == sample].tolist():
            if int((staying & (classes == which)).sum()) <= 1:
                return True
    return False
