"""95 % intervals: where a metric would lie on ever more samples of the same kind, in 95 of 100 cases."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

_Z = NormalDist().inv_cdf(0.975)
GROUPS = 20
_T = 2.0930  # 0.975 quantile of Student's t with 19 degrees of freedom, one less than there are groups


@dataclass(frozen=True)
class Rate:
    """A fraction, 0 to 1, and its interval; None where there is nothing to be counted."""

    value: float | None
    low: float | None = None
    high: float | None = None


def proportion(hits: int, trials: int) -> Rate:
    """Return `hits` of `trials`, with Wilson's score interval.

    E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22. It stays within
    0 and 1 and is no point at their ends, so it can be trusted with few trials too (Brown, Cai & DasGupta, 2001).
    """
    if not trials:
        return Rate(None)
    share, weight = hits / trials, _Z**2 / trials
    centre = (share + weight / 2) / (1 + weight)
    half = _Z * math.sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    # At the ends the bound is exact; rounding would put it beside.
    low, high = 0.0 if hits == 0 else centre - half, 1.0 if hits == trials else centre + half
    return Rate(share, low, high)


def f1(hits: int, false: int, missed: int) -> Rate:
    """Return F1 from true positives, false positives and false negatives.

    F1 is 2 f / (1 + f), where f is the share of the hits among these three: a proportion, so Wilson's interval of f
    gives one of F1. That is the "Wilson indirect" method of K. F. Y. Lam, V. Gopal & J. Qian (2023), Confidence
    intervals for the F1 score, which covers better than the delta method, and needs no resampling.
    """
    share = proportion(hits, hits + false + missed)
    return Rate(*(None if each is None else 2 * each / (1 + each) for each in (share.value, share.low, share.high)))


def groups(samples: int) -> Tensor | None:
    """Return the group of each sample, int64 [N]: at random, always the same one; None where samples are too few."""
    if samples < GROUPS:
        return None
    return torch.randperm(samples, generator=torch.Generator().manual_seed(0)) % GROUPS


def jackknife(metric: Callable[[list[int]], float]) -> float | None:
    """Return half the length of the interval of any metric; None where it is not finite without some group.

    The delete-a-group jackknife (P. S. Kott, 2001, Journal of Official Statistics 17): the samples are dealt out into
    20 groups, and the metric is taken without each in turn.

    metric: of the samples in these groups
    """
    without = [metric([each for each in range(GROUPS) if each != left_out]) for left_out in range(GROUPS)]
    mean = sum(without) / GROUPS
    error = math.sqrt((GROUPS - 1) / GROUPS * sum((each - mean) ** 2 for each in without))
    return _T * error if math.isfinite(error) else None
