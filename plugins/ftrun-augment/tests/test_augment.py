"""Augmentations: what they draw, and what they do with it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

import ftrun
from ftrun_augment import (
    Affine,
    AutoContrast,
    ColorJitter,
    GaussianBlur,
    Grayscale,
    HorizontalFlip,
    Perspective,
    RandAugment,
    RandomCrop,
    RandomErasing,
    RandomResizedCrop,
    Rotate,
    Scale,
    TrivialAugment,
    VerticalFlip,
    images,
    maps,
)

FLIP = HorizontalFlip(name="horizontal-flip")
CROP = RandomCrop(name="random-crop", padding=3)
RESIZED = RandomResizedCrop(name="random-resized-crop")
ROTATE = Rotate(name="rotate")
SCALE = Scale(name="scale")
JITTER = ColorJitter(name="color-jitter")
PARTS = [
    FLIP,
    CROP,
    RESIZED,
    ROTATE,
    SCALE,
    JITTER,
    VerticalFlip(name="vertical-flip"),
    Affine(name="affine"),
    Perspective(name="perspective", distortion=0.6),
    AutoContrast(name="auto-contrast"),
    Grayscale(name="grayscale", p=0.5),
    GaussianBlur(name="gaussian-blur"),
    RandomErasing(name="random-erasing"),
    TrivialAugment(name="trivial-augment"),
    RandAugment(name="rand-augment"),
]
TWO = ("horizontal-flip", "vertical-flip", "auto-contrast", "grayscale")  # what becomes of an image is one of two
ALL = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)


def some(count: int, channels: int = 3, height: int = 9, width: int = 12) -> Tensor:
    """Noise: no two of its parts are alike."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), generator=generator, dtype=torch.uint8)


def augmented(part: ftrun.Augmentation, inputs: Tensor, ids: Sequence[int] | None = None, seed: int = 7) -> Tensor:
    indices = torch.arange(len(inputs)) if ids is None else torch.tensor(ids)
    built = part.build()
    draw, change = built if isinstance(built, tuple) else (built, None) if part.moves else (None, built)
    if draw:
        size = (inputs.shape[2], inputs.shape[3])
        inputs = ftrun.resample(inputs, draw(ftrun.SampleRandom(seed, indices), size))
    if change is None:
        return inputs
    batch = ftrun.Batch(inputs, {"label": indices}, indices)
    result = change(batch, ftrun.SampleRandom(seed, indices))
    assert result.ids is batch.ids
    assert result.targets is batch.targets
    return result.inputs


@ALL
@pytest.mark.parametrize("shape", [(4, 3, 9, 12), (4, 1, 7, 5), (1, 3, 8, 8), (2, 3, 1, 1)])
def test_gives_the_same_kind_of_images_and_leaves_the_given_ones_alone(part: Any, shape: tuple[int, ...]) -> None:
    inputs = some(*shape)
    before = inputs.clone()
    result = augmented(part, inputs)
    assert result.shape == inputs.shape
    assert result.dtype == torch.uint8
    assert result.is_contiguous()
    assert torch.equal(inputs, before)
    result.zero_()
    assert torch.equal(inputs, before)


@ALL
def test_each_sample_is_drawn_on_its_own(part: Any) -> None:
    result = augmented(part, (some(1) // 2).expand(40, -1, -1, -1))
    assert len(result.unique(dim=0)) > (1 if part.name in TWO else 15)


@ALL
def test_the_seed_decides(part: Any) -> None:
    inputs = some(16) // 2
    assert torch.equal(augmented(part, inputs), augmented(part, inputs))
    assert not torch.equal(augmented(part, inputs), augmented(part, inputs, seed=8))


@ALL
def test_a_sample_alone_is_as_in_any_batch(part: Any) -> None:
    inputs = some(8)
    together = augmented(part, inputs)
    for index in range(8):
        assert torch.equal(augmented(part, inputs[[index]], [index])[0], together[index])
    assert torch.equal(augmented(part, inputs.flip(0), range(7, -1, -1)).flip(0), together)


@ALL
def test_channels_last_memory_changes_nothing(part: Any) -> None:
    inputs = some(4)
    assert torch.equal(augmented(part, inputs.contiguous(memory_format=torch.channels_last)), augmented(part, inputs))


def test_flip_mirrors_or_leaves_alone() -> None:
    inputs = some(200)
    result = augmented(FLIP, inputs)
    mirrored = (result == inputs.flip(3)).flatten(1).all(dim=1)
    same = (result == inputs).flatten(1).all(dim=1)
    assert (mirrored ^ same).all()
    assert 70 < mirrored.sum() < 130


def test_flip_s_probability_holds_at_both_ends() -> None:
    inputs = some(50)
    assert torch.equal(augmented(HorizontalFlip(name="horizontal-flip", p=0), inputs), inputs)
    assert torch.equal(augmented(HorizontalFlip(name="horizontal-flip", p=1), inputs), inputs.flip(3))


def test_crop_is_a_window_of_the_image_in_black() -> None:
    inputs = some(400)
    padded = torch.nn.functional.pad(inputs, (3, 3, 3, 3))
    windows = {(top, left): padded[:, :, top : top + 9, left : left + 12] for top in range(7) for left in range(7)}
    result = augmented(CROP, inputs)
    seen = set()
    for index in range(len(inputs)):
        at = [corner for corner, window in windows.items() if torch.equal(window[index], result[index])]
        assert len(at) == 1
        seen.update(at)
    assert seen == set(windows)


def test_crop_may_shift_by_more_than_the_image() -> None:
    result = augmented(RandomCrop(name="random-crop", padding=20), some(60).clamp(min=1))
    assert (result.flatten(1) == 0).all(dim=1).any()


def boxes(count: int, height: int, width: int, **options: Any) -> Tensor:
    part = RandomResizedCrop(name="random-resized-crop", **options)
    return maps.draw_boxes(ftrun.SampleRandom(1, torch.arange(count)), (height, width), part.scale, part.ratio)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 60), (60, 20), (1, 1)])
def test_boxes_lie_inside_the_image(height: int, width: int) -> None:
    left, top, right, bottom = boxes(1000, height, width).unbind(dim=1)
    assert (bottom > top).all()
    assert (right > left).all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (bottom <= height + 1e-4).all()
    assert (right <= width + 1e-4).all()


def test_boxes_have_the_areas_and_shapes_that_were_asked_for() -> None:
    left, top, right, bottom = boxes(2000, 30, 30, scale=(0.2, 0.4), ratio=(1.0, 2.0)).unbind(dim=1)
    tall, wide = bottom - top, right - left
    area, ratio = tall * wide / 900, wide / tall
    assert 0.2 - 1e-4 <= area.min() < 0.21
    assert 0.39 < area.max() <= 0.4 + 1e-4
    assert 1 - 1e-4 <= ratio.min() < 1.02
    assert 1.96 < ratio.max() <= 2 + 1e-4
    assert 900 < (ratio > 2**0.5).sum() < 1100  # as many wider as narrower than the middle


def test_a_box_that_never_fits_is_cut_to_the_image() -> None:
    left, top, right, bottom = boxes(10, 10, 100, scale=(1.0, 1.0), ratio=(1.0, 1.0)).unbind(dim=1)
    assert torch.equal(torch.stack([top, bottom]), torch.tensor([[0.0] * 10, [10.0] * 10]))
    assert torch.allclose(right - left, torch.full((10,), 1000**0.5))
    assert len(left.unique()) == 10


@pytest.mark.parametrize("side", [1, 7, 32, 33, 224])
def test_the_whole_image_stays_as_it_is(side: int) -> None:
    whole = RandomResizedCrop(name="random-resized-crop", scale=(1.0, 1.0), ratio=(1.0, 1.0))
    inputs = some(3, 3, side, side)
    assert torch.equal(augmented(whole, inputs), inputs)


def test_resized_crop_agrees_with_torchvision_inside() -> None:
    inputs = some(2, 3, 24, 32)
    warp = ftrun.Warp.cropped(torch.tensor([[5.0, 3.0, 21.0, 15.0], [8.0, 0.0, 28.0, 24.0]]), (24, 32))
    result = ftrun.resample(inputs, warp)
    for index, (top, left, tall, wide) in enumerate([(3, 5, 12, 16), (0, 8, 24, 20)]):
        theirs = tv.resized_crop(inputs[index], top, left, tall, wide, [24, 32]).int()
        ours = result[index].int()
        # At its rim torchvision repeats the box's last pixels, where ours looks at the image's next ones.
        assert (ours - theirs)[:, 2:-2, 2:-2].abs().max() <= 1


def test_resized_crop_brings_in_nothing_from_outside_the_image() -> None:
    white = torch.full((20, 3, 9, 12), 255, dtype=torch.uint8)
    assert torch.equal(augmented(RESIZED, white), white)


def test_resized_crop_of_an_even_slope_is_an_even_slope() -> None:
    slope = torch.arange(0, 200, 5, dtype=torch.uint8).expand(1, 1, 40, 40)
    result = ftrun.resample(slope, ftrun.Warp.cropped(torch.tensor([[10.0, 10.0, 30.0, 30.0]]), (40, 40)))
    expected = 5 * (10 + (torch.arange(40) + 0.5) / 2 - 0.5)
    assert (result[0, 0, 0] - expected).abs().max() <= 0.5


@pytest.mark.parametrize("degrees", [-90.0, 17.0, 130.0])
def test_rotation_agrees_with_torchvision(degrees: float) -> None:
    inputs = torch.nn.functional.interpolate(some(2, 3, 5, 6), size=(30, 36), mode="bilinear")
    warp = ftrun.Warp.linear(maps.rotation(torch.full((2,), degrees)), (30, 36))
    theirs = tv.rotate(inputs, -degrees, interpolation=tv.InterpolationMode.BILINEAR)  # theirs turns the other way
    off = (ftrun.resample(inputs, warp).int() - theirs.int()).abs()
    assert off.float().quantile(0.9) <= 1  # but for the rim


def test_rotation_draws_angles_to_both_sides() -> None:
    draw = Rotate(name="rotate", degrees=30).build()
    matrix = draw(ftrun.SampleRandom(3, torch.arange(500)), (8, 8)).matrix
    angles = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]).rad2deg()
    assert -30 <= angles.min() < -28
    assert 28 < angles.max() <= 30


def test_scale_draws_as_many_larger_as_smaller_about_the_centre() -> None:
    warp = Scale(name="scale", factor=(0.5, 2)).build()(ftrun.SampleRandom(3, torch.arange(500)), (8, 10))
    factors = warp.matrix[:, 0, 0]
    assert torch.equal(factors, warp.matrix[:, 1, 1])
    assert 0.5 <= factors.min() < 0.52
    assert 1.92 < factors.max() <= 2
    assert 200 < (factors > 1).sum() < 300
    assert torch.allclose(warp.points(torch.tensor([5.0, 4.0]).expand(500, 2)), torch.tensor([5.0, 4.0]))


def one(factor: float = 1.0) -> Tensor:
    return torch.tensor([factor])


def test_jitter_by_nothing_changes_nothing() -> None:
    still = ColorJitter(name="color-jitter", brightness=0, contrast=0, saturation=0)
    assert torch.equal(augmented(still, some(8)), some(8))


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.4, 2.0])
@pytest.mark.parametrize("which", ["brightness", "contrast", "saturation"])
def test_each_jitter_agrees_with_torchvision(which: str, factor: float) -> None:
    image = some(1)
    factors = {"brightness": one(), "contrast": one(), "saturation": one(), which: one(factor)}
    theirs = getattr(tv, f"adjust_{which}")(image.float() / 255, factor) * 255
    assert (images.jitter(image, **factors).float() - theirs).abs().max() <= 0.6


def test_jitter_of_grey_images_is_that_of_grey_color_images() -> None:
    grey = some(8, channels=1)
    colored = augmented(JITTER, grey.expand(-1, 3, -1, -1))
    assert (augmented(JITTER, grey).int() - colored.int()).abs().max() <= 1


def test_jitter_draws_over_the_whole_range() -> None:
    part = ColorJitter(name="color-jitter", brightness=0.5, contrast=0, saturation=0)
    factors = augmented(part, torch.full((500, 3, 2, 2), 100, dtype=torch.uint8))[:, 0, 0, 0] / 100
    assert 0.5 <= factors.min() < 0.53
    assert 1.47 < factors.max() <= 1.5
    assert factors.mean().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("horizontal-flip", {"p": 1.1}),
        ("random-crop", {"padding": 0}),
        ("random-crop", {"padding": 1.5}),
        ("random-resized-crop", {"scale": [0.5, 0.2]}),
        ("random-resized-crop", {"scale": [0, 1]}),
        ("random-resized-crop", {"ratio": [1]}),
        ("rotate", {"degrees": 181}),
        ("rotate", {"degrees": 0}),
        ("scale", {"factor": [0.4, 1]}),
        ("scale", {"factor": [1.2, 1.1]}),
        ("color-jitter", {"brightness": -0.1}),
        ("color-jitter", {"hue": 0.1}),
        ("vertical-flip", {"p": -0.1}),
        ("affine", {"translate": 1.1}),
        ("affine", {"scale": [1.2, 0.9]}),
        ("perspective", {"distortion": 1.5}),
        ("gaussian-blur", {"sigma": [0, 1]}),
        ("random-erasing", {"scale": [0.5, 0.1]}),
        ("random-erasing", {"value": 256}),
        ("rand-augment", {"magnitude": 31}),
        ("rand-augment", {"operations": 0}),
        ("rotate", {"until": 0}),
        ("rotate", {"until": 1.1}),
    ],
)
def test_senseless_options_are_refused(name: str, options: dict[str, Any]) -> None:
    cls = {part.name: type(part) for part in PARTS}[name]
    with pytest.raises(ValidationError):
        cls.model_validate_json(json.dumps({"name": name, **options}))
