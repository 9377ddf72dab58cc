"""What `ftrun compare` computes with: known values of the tests, and intervals that cover the truth as often as said."""

import math
from collections import Counter

import pytest
import torch
from torch import Tensor
from torchmetrics import classification, regression

from ftrun.run.compare.measures import HIGHER_IS_BETTER, Said, measures
from ftrun.run.compare.paired import differences, discordant, holm, mcnemar
from ftrun.targets import Classes, Labels, Target, Values

TARGETS: dict[str, Target] = {
    "classes": Classes(names=("a", "b", "c", "d")),
    "labels": Labels(names=("a", "b", "c")),
    "values": Values(names=("x", "y")),
}


def draw(target: Target, samples: int, seed: int, better: float = 0.0) -> tuple[Said, Said]:
    """What two runs say of the same samples: alike in what is hard for both, the second one better by so much."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(samples, *shape, generator=generator)

    width = target.outputs
    shared = noise(width)
    if isinstance(target, Classes):
        rarer = torch.tensor([0.5, 0.3, 0.15, 0.05])
        truth = torch.multinomial(rarer, samples, replacement=True, generator=generator)
        signal = torch.nn.functional.one_hot(truth, width).float()
    elif isinstance(target, Labels):
        truth = (torch.rand(samples, width, generator=generator) < torch.tensor([0.5, 0.3, 0.2])).float()
        signal = truth * 2 - 1
    else:
        truth = noise(width) * torch.tensor([1.0, 3.0]) + 100
        signal = None
    said = []
    for strength in (0.0, better):
        if signal is None:
            said.append(Said(truth + (shared + noise(width)) * (1 - strength), truth))
        else:
            said.append(Said((1.2 + strength) * signal + 0.7 * shared + 0.7 * noise(width), truth))
    return said[0], said[1]


def figures(target: Target, said: Said) -> dict[str, float]:
    return {name: value for measure in measures(target) for name, value in measure.of(said).items()}


def coverage(target: Target, *, repeats: int, samples: int, resamples: int, better: float) -> dict[str, float]:
    """How often the interval of each figure's difference holds the true one, that of two million samples."""
    one, other = (figures(target, each) for each in draw(target, 2_000_000, 10**6, better))
    held: Counter[str] = Counter()
    for seed in range(repeats):
        found = differences(measures(target), *draw(target, samples, seed, better), resamples=resamples)
        for name, each in found.items():
            held[name] += each.interval[0] <= other[name] - one[name] <= each.interval[1]
    return {name: held[name] / repeats for name in one}


@pytest.mark.parametrize("better", [0.0, 0.15], ids=["equal", "different"])
@pytest.mark.parametrize("kind", TARGETS)
def test_intervals_cover_the_truth(kind: str, better: float) -> None:
    for name, part in coverage(TARGETS[kind], repeats=100, samples=300, resamples=400, better=better).items():
        assert 0.88 <= part <= 1.0, (name, part)  # three standard deviations of 100 draws at 0.95


@pytest.mark.slow
@pytest.mark.parametrize("better", [0.0, 0.15], ids=["equal", "different"])
@pytest.mark.parametrize("kind", TARGETS)
def test_intervals_cover_the_truth_in_many_draws(kind: str, better: float) -> None:
    for name, part in coverage(TARGETS[kind], repeats=2000, samples=500, resamples=1000, better=better).items():
        assert 0.93 <= part <= 0.97, (name, part)
