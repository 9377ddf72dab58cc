"""Which rows are set aside: each stratum gives its share, and a row's draw decides, wherever the row stands."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def draw(seed: int, text: str) -> int:
    """A number of 64 bits that depends on seed and text alone, so that equal texts have the same one."""
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest, "little", signed=True)


def set_aside(strata: Tensor, draws: Tensor, fraction: float) -> Tensor:
    """bool [N]: `fraction` of the rows, at least one, and of each stratum in proportion all but one at most.

    strata, draws: int64 [N]
    """
    _, strata, sizes = strata.unique(return_inverse=True, return_counts=True)
    shares = torch.tensor(_shares(sizes.tolist(), max(1, round(len(draws) * fraction))))
    order = draws.argsort(stable=True)
    order = order[strata[order].argsort(stable=True)]
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order)) - (sizes.cumsum(0) - sizes)[strata[order]]
    return place < shares[strata]


def _shares(sizes: Sequence[int], count: int) -> list[int]:
    """How many of each stratum make `count` in proportion to `sizes`: the method of largest remainders."""
    most = [size - 1 for size in sizes]
    count, total = min(count, sum(most)), sum(sizes)
    shares = [min(size * count // total, limit) for size, limit in zip(sizes, most, strict=True)]
    while missing := count - sum(shares):
        able = [index for index, share in enumerate(shares) if share < most[index]]
        able.sort(key=lambda index: shares[index] * total - sizes[index] * count)
        for index in able[:missing]:
            shares[index] += 1
    return shares
