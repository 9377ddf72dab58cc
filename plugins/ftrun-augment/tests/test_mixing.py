"""Mixed batches: mixup against the paper's formula, cutmix against torchvision's."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

import ftrun
from ftrun_augment import Cutmix, Mixup, patches

TARGETS = {"class": ftrun.Classes(names=("a", "b", "c")), "size": ftrun.Values(names=("width", "height"))}
SIZE = (8, 12)


def batch_of(samples: int) -> ftrun.Batch:
    """Each image is of its sample's number."""
    images = torch.arange(samples).float()[:, None, None, None].expand(samples, 3, *SIZE)
    values = {"class": torch.arange(samples) % 3, "size": torch.arange(2.0 * samples).reshape(samples, 2)}
    return ftrun.Batch(images, values, torch.arange(samples))


def drawing(seed: int = 0) -> ftrun.SampleRandom:
    return ftrun.SampleRandom(seed, torch.zeros(1, dtype=torch.int64))


def check_targets(after: ftrun.Batch, order: Tensor, weight: Tensor) -> None:
    before, rows = batch_of(len(after)), torch.arange(len(after))
    sizes = before.targets["size"]
    torch.testing.assert_close(after.targets["size"], weight[:, None] * sizes + (1 - weight)[:, None] * sizes[order])
    shares = torch.zeros(len(after), 3)
    for labels, share in ((rows % 3, weight), (order % 3, 1 - weight)):
        shares[rows, labels] += share
    torch.testing.assert_close(after.targets["class"], shares)
    assert torch.equal(after.ids, before.ids)


@pytest.mark.parametrize("options", [{}, {"alpha": 1.0}, {"each": "sample"}])
def test_mixup_mixes_inputs_and_targets_by_one_weight(options: dict[str, Any]) -> None:
    after = Mixup(name="mixup", **options).build(TARGETS)(batch_of(64), drawing())
    random = drawing()
    order = random.permutation(64)[0]
    alpha = options.get("alpha", 0.2)
    weight = random.beta(alpha, alpha, 64 if options.get("each") == "sample" else 1)[0]
    expected = weight * torch.arange(64) + (1 - weight) * order
    torch.testing.assert_close(after.inputs, expected[:, None, None, None].expand(-1, 3, *SIZE))
    check_targets(after, order, weight.expand(64))


@pytest.mark.parametrize("each", ["batch", "sample"])
def test_cutmix_puts_a_rectangle_of_the_partner_into_each(each: Any) -> None:
    after = Cutmix(name="cutmix", each=each).build(TARGETS)(batch_of(64), drawing(3))
    order = drawing(3).permutation(64)[0]
    rows = torch.arange(64)
    theirs = after.inputs[:, 0] == order[:, None, None]
    assert bool((theirs | (after.inputs[:, 0] == rows[:, None, None])).all())
    moved = order != rows
    kept = 1 - theirs.float().mean((1, 2))
    for mask in theirs[moved & (kept < 1)]:
        down, across = mask.any(1).nonzero(), mask.any(0).nonzero()
        assert int(mask.sum()) == (down.max() - down.min() + 1) * (across.max() - across.min() + 1)  # all of it
    weight = torch.where(moved, kept, 1.0)
    check_targets(after, torch.where(moved, order, rows), weight)
    assert (len(kept[moved].unique()) > 5) == (each == "sample")
    assert after.inputs.shape == (64, 3, *SIZE)


def test_cutmix_draws_its_rectangles_as_torchvision_does() -> None:
    many, (height, width) = 6000, SIZE
    random = drawing(1)
    boxes = patches.draw_pasted(random.beta(1, 1, many)[0], random.uniform(many, 2)[0], SIZE).float()
    torch.manual_seed(0)
    theirs = v2.CutMix(num_classes=3)
    made = torch.tensor([theirs.make_params([torch.empty(2, 3, *SIZE)])["box"] for _ in range(many)]).float()
    spread = made.std(0) / math.sqrt(many)
    assert bool(((boxes.mean(0) - made.mean(0)).abs() < 6 * spread).all())
    assert torch.allclose(boxes.std(0), made.std(0), rtol=0.05)
    assert boxes.amax(0).tolist() == [width - 1, height - 1, width, height] == made.amax(0).tolist()


@pytest.mark.parametrize("part", [Mixup(name="mixup"), Cutmix(name="cutmix")])
def test_a_sample_alone_stays_and_another_place_draws_anew(part: Any) -> None:
    mix = part.build(TARGETS)
    assert torch.equal(mix(batch_of(1), drawing()).inputs, batch_of(1).inputs)
    assert not torch.equal(mix(batch_of(32), drawing(1)).inputs, mix(batch_of(32), drawing(2)).inputs)
