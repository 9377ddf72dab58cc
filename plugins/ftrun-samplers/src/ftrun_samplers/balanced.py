"""Each class equally often."""

import torch
from torch import Tensor


class Balanced:
    """Gives the indices of an epoch: each class has its equal share, to the nearest sample.

    A rare class's samples all come before one of them comes again; of a frequent class an epoch has a random part.

    members, classes: samples and the classes that they are in, int64 [M] both
    samples: in an epoch
    """

    def __init__(self, members: Tensor, classes: Tensor, samples: int) -> None:
        self._by_class = [members[classes == each] for each in classes.unique(sorted=True).tolist()]
        self._samples = samples

    def indices(self, seed: int, epoch: int) -> Tensor:
        """Return int64 [samples]: positions in the split, in a random order."""
        generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
        count = len(self._by_class)
        shares = torch.full((count,), self._samples // count)
        shares[torch.randperm(count, generator=generator)[: self._samples % count]] += 1  # whose turn the rest is
        chosen = []
        for members, share in zip(self._by_class, shares.tolist(), strict=True):
            rounds = -(-share // len(members))
            orders = [torch.randperm(len(members), generator=generator) for _ in range(rounds)]
            chosen += [members[order] for order in orders[:-1]]
            chosen += [members[order[: share - (rounds - 1) * len(members)]] for order in orders[-1:]]
        every = torch.cat(chosen)
        return every[torch.randperm(len(every), generator=generator)]
