"""What gives the indices of an epoch: pure functions of seed and epoch."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Shared:
    """Gives each group of samples its share of an epoch, to the nearest sample.

    All samples of a group come before one of them comes again; of a group that is larger than its share, an epoch has a
    random part.

    groups: the samples of each, int64 [M]; shares: of an epoch, in any unit; samples: in an epoch
    """

    def __init__(self, groups: Sequence[Tensor], shares: Sequence[float], samples: int) -> None:
        self._groups = list(groups)
        self._samples = samples
        wanted = torch.tensor(shares, dtype=torch.float64) * samples / sum(shares)
        self._whole = wanted.floor().long()
        self._rest = wanted - self._whole

    def indices(self, seed: int, epoch: int) -> Tensor:
        """Return int64 [samples]: positions in the split, in a random order."""
        generator = _generator(seed, epoch)
        chosen = []
        for members, count in zip(self._groups, self._counts(generator), strict=True):
            rounds = -(-count // len(members))
            orders = [torch.randperm(len(members), generator=generator) for _ in range(rounds)]
            chosen += [members[order] for order in orders[:-1]]
            chosen += [members[order[: count - (rounds - 1) * len(members)]] for order in orders[-1:]]
        every = torch.cat(chosen)
        return every[torch.randperm(len(every), generator=generator)]

    def _counts(self, generator: torch.Generator) -> list[int]:
        """Return how many samples of each group come: what rounding leaves over goes to the largest rests."""
        shuffled = torch.randperm(len(self._groups), generator=generator)  # so that equal rests have equal chances
        by_rest = shuffled[self._rest[shuffled].argsort(descending=True, stable=True)]
        counts = self._whole.clone()
        counts[by_rest[: self._samples - int(counts.sum())]] += 1
        return [int(count) for count in counts]


class Subset:
    """Gives the same samples in each epoch, in a random order. chosen: int64 [M]"""

    def __init__(self, chosen: Tensor) -> None:
        self._chosen = chosen

    def indices(self, seed: int, epoch: int) -> Tensor:
        """Return int64 [M]: positions in the split."""
        return self._chosen[torch.randperm(len(self._chosen), generator=_generator(seed, epoch))]


def weights_of_samples(members: Tensor, classes: Tensor, weights: Tensor, samples: int) -> Tensor:
    """Return what each sample weighs, float64 [samples]: the most that one of its classes does, 1 without any.

    members, classes: samples and the classes that they are in, int64 [M] both; weights: of classes, float64 [K]
    """
    of_samples = torch.ones(samples, dtype=torch.float64)
    for each in weights.argsort().tolist():  # the heaviest last, so that it stays
        of_samples[members[classes == each]] = weights[each]
    return of_samples


def few_of_each(members: Tensor, classes: Tensor, k: int, subset: int) -> Tensor:
    """Return k samples of each class, or all of one that has fewer, int64 [M], in the split's order.

    A sample with several labels counts for each: those of rare ones are chosen first, and others only fill up.

    members, classes: samples and the classes that they are in, int64 [M] both; subset: which of the possible ones
    """
    generator = torch.Generator().manual_seed(subset)
    counts = classes.bincount()
    chosen = torch.zeros(int(members.max()) + 1, dtype=torch.bool)
    for each in counts.argsort(stable=True).tolist():
        own = members[classes == each]
        own = own[torch.randperm(len(own), generator=generator)]
        missing = k - int(chosen[own].sum())
        chosen[own[~chosen[own]][: max(missing, 0)]] = True
    return chosen.nonzero().flatten()


def _generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
