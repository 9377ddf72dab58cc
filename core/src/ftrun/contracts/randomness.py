"""Randomness as a pure function of where it is used: there is no generator state to save or to share out.

A draw for a sample depends on (seed, epoch, sample) alone: not on the batch that the sample is in, on the
device, on the number of workers, or on the number of processes. The mixing function is splitmix64's (Steele,
Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), on int64 tensors, which wrap around
in the same way on every device.
"""

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@lru_cache(maxsize=1024)
def seed_of(seed: int, *path: int | str) -> int:
    """Return a seed, 0 to 2^63 - 1, for one place: `seed_of(0, "order", epoch)`."""
    digest = hashlib.blake2b(repr((seed, *path)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def reseed(device: "torch.device", seed: int) -> None:
    """Start torch's own generators, which dropout draws from, at `seed`: once for each batch."""
    import torch

    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)  # torch.manual_seed looks at every other device too: 250 us
    elif device.type == "cuda":
        torch.default_generator.manual_seed(seed)
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)
    else:
        torch.manual_seed(seed)


class SampleRandom:
    """Random numbers for a batch, a row for each sample; each call draws afresh.

    A draw always takes the same number of random bits, so that no sample's depends on another's; and it is the
    same on every device.

    seed: what `seed_of` gave for (seed, epoch, place in the pipeline); ids: int64 [B], the samples' indices.
    """

    def __init__(self, seed: int, ids: "Tensor") -> None:
        self._streams = _mix(_mix(ids + _GOLDEN) ^ seed)
        self._drawn = 0

    def __len__(self) -> int:
        """Return the number of samples, B."""
        return self._streams.size(0)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> "Tensor":
        """Uniform float32 [B, *shape] in [low, high)."""
        unit = (self._bits(*shape) & 0xFFFFFF).float() / 2**24
        return unit * (high - low) + low

    def integers(self, *shape: int, high: int) -> "Tensor":
        """Uniform int64 [B, *shape] in [0, high); biased by high / 2^40, so for `high` up to a million or so."""
        return (self._bits(*shape) & 0xFFFFFFFFFF) % high

    def chance(self, p: float) -> "Tensor":
        """True with probability `p`: bool [B]."""
        return self.uniform() < p

    def normal(self, *shape: int, mean: float = 0.0, std: float = 1.0) -> "Tensor":
        """Normal float32 [B, *shape]; never more than 5.4 standard deviations from the mean."""
        from ftrun.contracts import quantiles

        bits = self._bits(*shape)
        return quantiles.drawn(bits, quantiles.normal(bits.device)) * std + mean

    def beta(self, alpha: float, beta: float, *shape: int) -> "Tensor":
        """Beta-distributed float32 [B, *shape] in [0, 1]. Both parameters are from 0.01 to 100."""
        from ftrun.contracts import quantiles

        bits = self._bits(*shape)
        return quantiles.drawn(bits, quantiles.beta(alpha, beta, bits.device))

    def permutation(self, length: int) -> "Tensor":
        """An order of 0 to length - 1 for each sample, each as likely as any other: int64 [B, length]."""
        return self._bits(length).argsort(dim=1, stable=True)

    def _bits(self, *shape: int) -> "Tensor":
        import torch

        count = 1
        for length in shape:
            count *= length
        draws = torch.arange(self._drawn + 1, self._drawn + count + 1, device=self._streams.device)
        self._drawn += count
        return _mix(self._streams[:, None] + draws * _GOLDEN).reshape(len(self._streams), *shape)


# Constants of 64 bits, as the int64 with the same bits.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_MULTIPLY_1 = 0xBF58476D1CE4E5B9 - 2**64
_MULTIPLY_2 = 0x94D049BB133111EB - 2**64


def _mix(x: "Tensor") -> "Tensor":
    # int64 shifts right with its sign, so the masks cut off what the sign brought in.
    x = (x >> 30).bitwise_and_(2**34 - 1).bitwise_xor_(x).mul_(_MULTIPLY_1)
    x = (x >> 27).bitwise_and_(2**37 - 1).bitwise_xor_(x).mul_(_MULTIPLY_2)
    return (x >> 31).bitwise_and_(2**33 - 1).bitwise_xor_(x)
