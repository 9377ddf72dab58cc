"""Two runs on the same samples: how far apart they are, and whether that may be chance.

McNemar's test   McNemar 1947; its exact and its mid-p form: Fagerland, Lydersen and Laake 2013,
                 doi:10.1186/1471-2288-13-91
random swaps     approximate randomisation: Noreen 1989; for F1 and the like: Yeh 2000, aclanthology.org/C00-2137
bootstrap        percentile interval, samples drawn with both runs' answers: Efron and Tibshirani 1993
Holm             Holm 1979, A simple sequentially rejective multiple test procedure
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Generator, Tensor

from ftrun_report.compare.measures import Measure, Outcomes

LEVEL = 0.95
RESAMPLES = 2000
EXACT_BELOW = 25
"""Samples that only one of the runs has right, below which McNemar's test is the exact one."""

_DRAWN_AT_ONCE = 16
"""Resamples. The order in which random numbers are drawn follows from it, and so which ones a resample gets."""
_SUMMED_AT_ONCE = 160_000
"""Weights of samples, at least those of the resamples drawn at once: so many stay in the processor's cache."""


@dataclass(frozen=True)
class Difference:
    """How two runs differ in a measure: their values, an interval of `second - first`, and a test's p value."""

    first: float
    second: float
    interval: tuple[float, float]
    p: float
    test: str


def differences(
    measures: Sequence[Measure], first: Outcomes, second: Outcomes, *, resamples: int = RESAMPLES, level: float = LEVEL
) -> dict[str, Difference]:
    """Return how two runs differ on the same N samples, by metric; the same answer each time.

    The interval is the bootstrap's. The p value is that of swapping the runs' answers to samples at random, which
    changes nothing where the two are alike.
    """
    sums = [(measure, measure.summing(first), measure.summing(second)) for measure in measures]
    everything = torch.ones(1, len(first))
    wholes = [(one(everything), other(everything)) for _, one, other in sums]
    drawn: dict[str, list[Tensor]] = defaultdict(list)
    swapped: dict[str, list[Tensor]] = defaultdict(list)
    for weights, swaps in _at_random(len(first), resamples):
        for (measure, one, other), (whole, other_whole) in zip(sums, wholes, strict=True):
            _note(drawn, measure, one(weights), other(weights), len(first))
            own, theirs = one(swaps), other(swaps)
            _note(swapped, measure, whole - own + theirs, other_whole - theirs + own, len(first))
    ones, others = (
        {name: value for measure in measures for name, value in measure.of(outcomes).items()}
        for outcomes in (first, second)
    )
    return {
        name: _difference(ones[name], others[name], torch.cat(drawn[name]), torch.cat(swapped[name]), level)
        for name in ones
    }


def _at_random(samples: int, resamples: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield how often each sample is drawn, and whether its outcomes are swapped: float32 [R, N], in parts."""
    drawn = _drawn(samples, resamples)
    while parts := list(islice(drawn, max(1, _SUMMED_AT_ONCE // (samples * _DRAWN_AT_ONCE)))):
        weights, swaps = zip(*parts, strict=True)
        yield torch.cat(weights), torch.cat(swaps)


def _drawn(samples: int, resamples: int) -> Iterator[tuple[Tensor, Tensor]]:
    generator = Generator().manual_seed(0)
    for done in range(0, resamples, _DRAWN_AT_ONCE):
        shape = (min(_DRAWN_AT_ONCE, resamples - done), samples)
        drawn = torch.randint(samples, shape, generator=generator)
        weights = torch.zeros(shape).scatter_add_(1, drawn, torch.ones(1, 1).expand(shape))
        yield weights, torch.randint(2, shape, generator=generator, dtype=torch.int8).float()


def _note(spread: dict[str, list[Tensor]], measure: Measure, one: Tensor, other: Tensor, samples: int) -> None:
    """Add what `other` has more than `one`, from sums [R, ...]."""
    ones, others = measure.values(one.double(), samples), measure.values(other.double(), samples)
    for name in ones:
        spread[name].append(others[name] - ones[name])


def _difference(one: float, other: float, drawn: Tensor, swapped: Tensor, level: float) -> Difference:
    low, high = torch.quantile(drawn, drawn.new_tensor([(1 - level) / 2, (1 + level) / 2])).tolist()
    nearer = swapped.abs() < abs(other - one) - 1e-9  # sums in another order differ a little; what is no number is not
    as_far = len(swapped) - int(nearer.sum())
    return Difference(one, other, (low, high), (as_far + 1) / (len(swapped) + 1), f"{len(swapped):,} random swaps")


def discordant(first: Outcomes, second: Outcomes) -> tuple[int, int]:
    """Return how many samples only the first run has right, and only the second."""
    right, also = (each.decisions == each.truth for each in (first, second))
    return int((right & ~also).sum()), int((also & ~right).sum())


def mcnemar(only_first: int, only_second: int) -> tuple[float, str]:
    """Return the p value of samples that one run alone has right being shared evenly, two-sided, and the test's form.

    Exact (binomial) for few of them; else mid-p, which is not as cautious, and not too bold either.
    """
    samples, fewer = only_first + only_second, min(only_first, only_second)
    exact = samples < EXACT_BELOW
    counts, total = torch.arange(fewer + 1, dtype=torch.float64), torch.tensor(samples, dtype=torch.float64)
    ways = torch.lgamma(total + 1) - torch.lgamma(counts + 1) - torch.lgamma(total - counts + 1)
    chances = ways - samples * math.log(2)  # of so many samples for the one run, as logarithms
    p = 2 * float(chances.logsumexp(0).exp()) - (0 if exact else float(chances[-1].exp()))
    return min(p, 1.0), f"McNemar, {'exact' if exact else 'mid-p'}"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values adjusted for being tested at once."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min((len(p_values) - rank) * p_values[index], 1.0))
        adjusted[index] = largest
    return adjusted
