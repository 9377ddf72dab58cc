"""Distributions as tables of their quantiles: one draw of random bits is one number, the same on every device.

A table holds quantiles at probabilities that are dense towards both ends, 128 in each halving, with straight lines
between them. So no draw is ever rejected, and how many bits a sample uses does not depend on their values; and to read
it takes additions and multiplications alone, which every device rounds alike, where logarithms differ.
"""

import math
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_BITS = 23  # of a draw, not counting the one that says which half of the distribution it is in
_CELLS = 7  # bits: knots in each halving of the probability
_KNOTS = (_BITS + 1 << _CELLS) + 1
_MOST_STEPS, _MOST_TERMS = 200, 1000


def drawn(bits: "Tensor", table: "Tensor") -> "Tensor":
    """Return a number for each of some random bits, float32 of their shape.

    bits: int64, all 64 of them random; table: what `normal` or `beta` gives, on the same device
    """
    import torch

    probability = (2 * (bits & (2**_BITS - 1)) + 1).float()  # in units of 2^-25: odd, and exact
    pattern = probability.view(torch.int32).long()  # its exponent, then its mantissa
    rest = 23 - _CELLS
    cell = (pattern >> rest) - (127 << _CELLS) + ((bits >> _BITS) & 1) * _KNOTS
    fraction = (pattern & (2**rest - 1)).float() / 2**rest
    low = table[cell]
    drawn: Tensor = low + (table[cell + 1] - low) * fraction
    return drawn


@lru_cache(maxsize=64)
def normal(device: "torch.device") -> "Tensor":
    """Return the table of the normal distribution with mean 0 and standard deviation 1."""
    import torch

    low = torch.special.ndtri(_probabilities())
    return torch.cat([low, -low]).float().to(device)


@lru_cache(maxsize=64)
def beta(alpha: float, beta: float, device: "torch.device") -> "Tensor":
    """Return the table of the beta distribution. Raises ValueError unless both parameters are from 0.01 to 100."""
    import torch

    if not (0.01 <= alpha <= 100 and 0.01 <= beta <= 100):
        raise ValueError(f"the parameters of a beta distribution are from 0.01 to 100, unlike {alpha:g} and {beta:g}")
    low, high = _logits(alpha, beta).sigmoid(), (-_logits(beta, alpha)).sigmoid()
    return torch.cat([low, high]).float().to(device)


def _probabilities() -> "Tensor":
    """The probabilities of the knots, from 2^-25 to 1/2: float64."""
    import torch

    cells = torch.arange(_KNOTS)
    octave, within = cells >> _CELLS, cells & (2**_CELLS - 1)
    knots: Tensor = 2.0 ** (octave - _BITS - 2) * (1 + within / 2**_CELLS).double()
    return knots


def _logits(a: float, b: float) -> "Tensor":
    """The logits of the quantiles of Beta(a, b) at the knots, float64, by Newton's method on the logarithm of its CDF.

    As a function of the logit that is concave and rising, so that steps from below never go too far; and the CDF is at
    most exp(a logit) / (a B(a, b)), from which they start.
    """
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    wanted = _probabilities().log()
    logits = (wanted + math.log(a) + log_beta) / a
    for _ in range(_MOST_STEPS):
        log_cdf = _log_cdf(a, b, log_beta, logits)
        log_density = a * _log_sigmoid(logits) + b * _log_sigmoid(-logits) - log_beta
        step = (wanted - log_cdf) * (log_cdf - log_density).exp()
        logits = logits + step
        if bool((step.abs() <= 1e-9 * (1 + logits.abs())).all()):
            break
    return logits


def _log_cdf(a: float, b: float, log_beta: float, logits: "Tensor") -> "Tensor":
    """The logarithm of Beta(a, b)'s CDF by its continued fraction (Lentz's method, DLMF 8.17.22)."""
    import torch

    x = logits.sigmoid()
    swapped = x >= (a + 1) / (a + b + 2)  # where it converges slowly, and 1 - CDF of the mirrored one does not
    x = x.where(~swapped, (-logits).sigmoid())
    one = torch.full_like(x, a).masked_fill(swapped, b)
    other = a + b - one
    c, d = torch.ones_like(x), 1 / (1 - (one + other) * x / (one + 1))
    fraction = d
    for m in range(1, _MOST_TERMS):
        even = m * (other - m) * x / ((one + 2 * m - 1) * (one + 2 * m))
        d, c = 1 / (1 + even * d), 1 + even / c
        fraction = fraction * c * d
        odd = -(one + m) * (one + other + m) * x / ((one + 2 * m) * (one + 2 * m + 1))
        d, c = 1 / (1 + odd * d), 1 + odd / c
        fraction = fraction * c * d
        if bool(((c * d - 1).abs() < 1e-13).all()):
            break
    log_tail = a * _log_sigmoid(logits) + b * _log_sigmoid(-logits) - log_beta - one.log() + fraction.log()
    return log_tail.where(~swapped, torch.log1p(-log_tail.exp().clamp(max=1 - 1e-16)))


def _log_sigmoid(logits: "Tensor") -> "Tensor":
    import torch

    return torch.nn.functional.logsigmoid(logits)
