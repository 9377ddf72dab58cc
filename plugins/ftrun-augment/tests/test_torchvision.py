"""Each operation against torchvision's, with the same parameters; and what is drawn."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

import ftrun
from ftrun_augment import (
    Affine,
    GaussianBlur,
    Perspective,
    RandAugment,
    RandomErasing,
    TrivialAugment,
    VerticalFlip,
    filters,
    levels,
    maps,
    operations,
    patches,
)
from ftrun_augment.operations import BINS, CHANGES, Drawn, Operation, Space

BILINEAR = tv.InterpolationMode.BILINEAR
COUNT = 12
SIZE = (29, 37)
SPACES = {
    "TrivialAugmentWide": Space(shear=0.99, translate=32, degrees=135, factor=0.99, bits=6),
    "RandAugment": Space(shear=0.3, translate=150 / 331, degrees=30, factor=0.9, bits=4),
}
SPACE_OF = pytest.mark.parametrize("of", SPACES)


def pictures(count: int = COUNT, channels: int = 3, size: tuple[int, int] = SIZE) -> Tensor:
    """Smooth ones, since at a sharp edge a millionth of a pixel is many levels; of some levels only."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(20, 230, (count, channels, 5, 6), generator=generator).float()
    return torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=True).to(torch.uint8)


def noise(count: int = COUNT, channels: int = 3, size: tuple[int, int] = SIZE) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, channels, *size), generator=generator, dtype=torch.uint8)


def uniform(low: float, high: float, count: int = COUNT) -> Tensor:
    return torch.rand(count, generator=torch.Generator().manual_seed(2)) * (high - low) + low


def off(ours: Tensor, theirs: Tensor) -> int:
    """The largest difference, in levels."""
    assert ours.dtype == theirs.dtype == torch.uint8
    assert ours.shape == theirs.shape
    return int((ours.int() - theirs.int()).abs().max())


def each(function: Any, images: Tensor, *drawn: Tensor) -> Tensor:
    """Apply a function of torchvision's to each image on its own."""
    return torch.stack(
        [function(image, *values) for image, *values in zip(images, *(d.tolist() for d in drawn), strict=True)]
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("make", [pictures, noise])
@pytest.mark.parametrize(
    ("ours", "theirs", "low", "high"),
    [
        (levels.brightness, tv.adjust_brightness, 0, 2),
        (levels.saturation, tv.adjust_saturation, 0, 2),
        (levels.contrast, tv.adjust_contrast, 0, 2),
        (filters.sharpness, tv.adjust_sharpness, 0, 2),
        (levels.solarize, tv.solarize, 0, 255),
    ],
)
def test_an_operation_with_a_factor_is_torchvision_s(
    ours: Any, theirs: Any, low: float, high: float, make: Any, channels: int
) -> None:
    images, drawn = make(channels=channels), uniform(low, high)
    drawn[:2] = torch.tensor([low, high], dtype=torch.float32)
    before = images.clone()
    assert off(ours(images, drawn), each(theirs, images, drawn)) <= 1
    assert torch.equal(images, before)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("make", [pictures, noise])
def test_an_operation_without_a_factor_is_torchvision_s(make: Any, channels: int) -> None:
    images = make(channels=channels)
    images[0] = 77  # of one level
    images[1, :, :3] = 255  # many of the largest
    images[2, :, :, :-1] = 0  # nearly of one level
    assert torch.equal(levels.equalize(images), each(tv.equalize, images))
    assert off(levels.autocontrast(images), each(tv.autocontrast, images)) <= 1
    assert torch.equal(levels.grayscale(images), each(lambda x: tv.rgb_to_grayscale(x, channels), images))
    bits = torch.arange(COUNT) % 9
    assert torch.equal(levels.posterize(images, bits.float()), each(tv.posterize, images, bits))


@pytest.mark.parametrize("size", [(2, 9), (9, 1), (3, 3)])
def test_small_images_are_sharpened_as_torchvision_does(size: tuple[int, int]) -> None:
    images, factors = noise(size=size), uniform(0, 2)
    assert off(filters.sharpness(images, factors), each(tv.adjust_sharpness, images, factors)) <= 1


@pytest.mark.parametrize("size", [SIZE, (3, 40)])
def test_blur_is_torchvision_s(size: tuple[int, int]) -> None:
    images, sigmas, radius = noise(size=size), uniform(0.1, 2), min(4, min(size) - 1)
    theirs = each(lambda x, s: tv.gaussian_blur(x, [2 * radius + 1] * 2, [s, s]), images, sigmas)
    assert off(filters.blur(images, sigmas, 4), theirs) <= 1


def inner(warp: ftrun.Warp, size: tuple[int, int]) -> Tensor:
    """Pixels of the result that come from inside the image: at its rim, torchvision's blend with what is outside."""
    rows, columns = (torch.arange(side) + 0.5 for side in size)
    centres = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).double()
    x, y = warp.inverse().points(centres.expand(len(warp), -1, -1, -1)).unbind(-1)
    return ((x > 1) & (x < size[1] - 1) & (y > 1) & (y < size[0] - 1))[:, None]


def moved_off(images: Tensor, warp: ftrun.Warp, theirs: Tensor) -> int:
    size = (images.shape[2], images.shape[3])
    inside = inner(warp, size)
    assert inside.float().mean() > 0.2
    outside = ~inner(ftrun.Warp(warp.matrix, size, warp.form), (size[0], size[1]))
    assert bool(outside.any())
    return off(ftrun.resample(images, warp) * inside, theirs * inside)


@SPACE_OF
@pytest.mark.parametrize("operation", list(Operation)[1:6], ids=lambda each: each.name)
def test_moves_are_torchvision_s(of: str, operation: Operation) -> None:
    images = pictures(2 * BINS)
    theirs = theirs_of(of)
    space, name = SPACES[of], list(theirs._AUGMENTATION_SPACE)[operation]
    magnitudes, signed = theirs._AUGMENTATION_SPACE[name]
    assert signed
    drawn = Drawn(
        torch.full((2 * BINS, 1), operation),
        torch.arange(BINS).repeat_interleave(2)[:, None],
        torch.tensor([0, 1]).repeat(BINS)[:, None],
    )
    warp = operations.warp(drawn, space, SIZE)
    for index, image in enumerate(images):
        magnitude = float(magnitudes(BINS, *SIZE)[index // 2]) * (-1 if index % 2 else 1)
        expected = theirs._apply_image_or_video_transform(image, name, magnitude, BILINEAR, {})
        inside = inner(warp[index : index + 1], SIZE)
        ours = ftrun.resample(image[None], warp[index : index + 1])
        assert off(ours * inside, expected[None] * inside) <= 1, magnitude
        if operation in (Operation.TRANSLATE_X, Operation.TRANSLATE_Y):
            assert torch.equal(ours[0], expected)
    assert inner(warp, SIZE).float().mean() > 0.2


@SPACE_OF
@pytest.mark.parametrize("operation", list(Operation)[6:], ids=lambda each: each.name)
def test_changes_are_torchvision_s(of: str, operation: Operation) -> None:
    images = pictures(2 * BINS)
    theirs = theirs_of(of)
    space, name = SPACES[of], list(theirs._AUGMENTATION_SPACE)[operation]
    magnitudes, signed = theirs._AUGMENTATION_SPACE[name]
    assert signed == (operation <= Operation.SHARPNESS)
    bins, signs = torch.arange(BINS).repeat_interleave(2), torch.tensor([0, 1]).repeat(BINS)
    ours = operations.change(images, Drawn(torch.full((2 * BINS, 1), operation), bins[:, None], signs[:, None]), space)
    steps = magnitudes(BINS, *SIZE)
    for image, changed, at, sign in zip(images, ours, bins.tolist(), signs.tolist(), strict=True):
        magnitude = 0.0 if steps is None else float(steps[at]) * (-1 if sign and signed else 1)
        expected = theirs._apply_image_or_video_transform(image, name, magnitude, BILINEAR, {})
        assert off(changed, expected) <= 1, magnitude


def theirs_of(name: str) -> Any:
    """torchvision's transform, whose operations and magnitudes are what ours have to be."""
    made = getattr(v2, name)()
    assert [each.upper() for each in made._AUGMENTATION_SPACE] == [each.name.replace("_", "") for each in Operation]
    return made


def test_all_images_at_once_become_what_each_does_alone() -> None:
    """What a GPU computes, which is not told how many images an operation is for, against what a CPU does."""
    images = pictures(200)
    drawn = operations.draw(ftrun.SampleRandom(5, torch.arange(200)), 1)
    table = operations._magnitudes(SPACES["TrivialAugmentWide"], images.device)
    drawn_operations, magnitudes = drawn.operations[:, 0], table[drawn.operations, drawn.bins, drawn.signs][:, 0]
    together = operations._of_all(images, drawn_operations, magnitudes)
    assert torch.equal(operations._of_each(images, drawn_operations, magnitudes), together)
    assert set(drawn_operations.tolist()) == set(range(14))
    assert set(CHANGES) == set(list(Operation)[6:])


def chi_square(counts: Tensor, expected: Tensor | float) -> float:
    """Return by how many standard deviations counts are further from what is expected than they should be."""
    expected = torch.as_tensor(expected, dtype=torch.float64).expand(counts.shape)
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = counts.numel() - 1
    return float((statistic - freedom) / math.sqrt(2 * freedom))


def test_trivial_augment_draws_operations_magnitudes_and_signs_alike() -> None:
    many = 200_000
    drawn = operations.draw(ftrun.SampleRandom(3, torch.arange(many)), 1)
    code = (drawn.operations * BINS + drawn.bins) * 2 + drawn.signs
    counts = code.flatten().bincount(minlength=14 * BINS * 2)
    assert len(counts) == 14 * BINS * 2
    assert abs(chi_square(counts.double(), many / len(counts))) < 4


def test_rand_augment_draws_each_of_its_operations_on_its_own_at_one_magnitude() -> None:
    many = 100_000
    drawn = operations.draw(ftrun.SampleRandom(3, torch.arange(many)), 2, 9)
    assert bool((drawn.bins == 9).all())
    code = ((drawn.operations[:, 0] * 14 + drawn.operations[:, 1]) * 2 + drawn.signs[:, 0]) * 2 + drawn.signs[:, 1]
    counts = code.bincount(minlength=14 * 14 * 4)
    assert len(counts) == 14 * 14 * 4
    assert abs(chi_square(counts.double(), many / len(counts))) < 4


@pytest.mark.parametrize("part", [TrivialAugment(name="trivial-augment"), RandAugment(name="rand-augment")])
def test_one_draw_moves_and_changes(part: Any) -> None:
    """Of one operation an image is moved or changed, never both: the two functions draw alike."""
    draw, change = part.build()
    images, ids = noise(300), torch.arange(300)
    warp = draw(ftrun.SampleRandom(4, ids), SIZE)
    changed = change(ftrun.Batch(images, {}, ids), ftrun.SampleRandom(4, ids)).inputs
    still = (warp.matrix == torch.eye(2, 3, dtype=torch.float64)).flatten(1).all(1)
    same = (changed == images).flatten(1).all(1)
    if part.name == "trivial-augment":
        assert bool((still | same).all())
        assert 0.25 < float((~still).float().mean()) < 0.42
    assert bool((~still & ~same).any()) == (part.name == "rand-augment")


def test_affine_is_torchvision_s() -> None:
    images = pictures()
    angles, factors, shears = uniform(-40, 40), uniform(0.7, 1.4).flip(0), uniform(-20, 20).roll(3)
    right, down = uniform(-0.2, 0.2).roll(5), uniform(-0.2, 0.2).roll(7)
    warp = maps.shifted(maps.affine(angles, factors, shears), right, down, SIZE)
    for index, image in enumerate(images):
        offsets = [round(float(right[index]) * SIZE[1]), round(float(down[index]) * SIZE[0])]
        theirs = tv.affine(
            image, float(angles[index]), offsets, float(factors[index]), [float(shears[index]), 0], BILINEAR
        )
        assert moved_off(image[None], warp[index : index + 1], theirs[None]) <= 1


def test_affine_draws_torchvision_s_ranges() -> None:
    part = Affine(name="affine", degrees=0, translate=0.25, scale=(0.5, 1.5), shear=0)
    warp = part.build()(ftrun.SampleRandom(3, torch.arange(4000)), (20, 40))
    factors = warp.matrix[:, 0, 0]
    assert 0.5 <= float(factors.min()) < 0.51
    assert 1.49 < float(factors.max()) <= 1.5
    assert abs(float(factors.mean()) - 1) < 0.02
    centres = warp.points(torch.tensor([[20.0, 10.0]]).expand(4000, 2)) - torch.tensor([20.0, 10.0])
    rounded = centres.round()
    assert torch.allclose(centres, rounded, atol=1e-3)
    assert rounded.amin(0).tolist() == [-10, -5]
    assert rounded.amax(0).tolist() == [10, 5]
    turned = Affine(name="affine", degrees=30, translate=0, scale=(1, 1), shear=0)
    matrix = turned.build()(ftrun.SampleRandom(3, torch.arange(4000)), (20, 40)).matrix
    degrees = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]).rad2deg()
    assert -30 <= float(degrees.min()) < -29.5
    assert 29.5 < float(degrees.max()) <= 30


def test_perspective_is_torchvision_s() -> None:
    images = pictures()
    corners = maps.draw_corners(ftrun.SampleRandom(3, torch.arange(COUNT)), SIZE, 0.5, 1.0)
    warp = ftrun.Warp.projected(corners, SIZE)
    height, width = SIZE
    whole = [[0, 0], [width, 0], [width, height], [0, height]]
    for index, image in enumerate(images):
        theirs = tv.perspective(image, whole, corners[index].long().tolist(), BILINEAR)
        assert moved_off(image[None], warp[index : index + 1], theirs[None]) <= 1


def test_perspective_draws_corners_as_torchvision_does() -> None:
    many, (height, width) = 20_000, (20, 30)
    corners = maps.draw_corners(ftrun.SampleRandom(3, torch.arange(many)), (height, width), 0.5, 1.0)
    x, y = corners.unbind(2)
    inward = torch.stack([x[:, 0], width - x[:, 1], width - x[:, 2], x[:, 3]], 1).long()
    for corner in range(4):
        counts = inward[:, corner].bincount()
        assert len(counts) == int(0.5 * (width // 2)) + 1
        assert abs(chi_square(counts.double(), many / len(counts))) < 4
    assert int(y[:, 0].max()) == int(0.5 * (height // 2))
    none = Perspective(name="perspective", p=0).build()(ftrun.SampleRandom(3, torch.arange(9)), (height, width))
    assert torch.allclose(none.matrix, torch.eye(3, dtype=torch.float64).expand(9, 3, 3))
    assert torch.equal(ftrun.resample(noise(9, size=(height, width)), none), noise(9, size=(height, width)))


def test_vertical_flip_mirrors_top_to_bottom() -> None:
    images = noise(60)
    warp = VerticalFlip(name="vertical-flip").build()(ftrun.SampleRandom(3, torch.arange(60)), SIZE)
    moved = ftrun.resample(images, warp)
    flipped = (moved == images.flip(2)).flatten(1).all(1)
    assert bool((flipped ^ (moved == images).flatten(1).all(1)).all())
    assert 15 < int(flipped.sum()) < 45
    assert torch.equal(ftrun.resample(images.float(), warp), moved.float())


def test_erased_is_torchvision_s_rectangle() -> None:
    images = noise()
    part = RandomErasing(name="random-erasing", value=0)
    boxes = patches.draw_erased(ftrun.SampleRandom(3, torch.arange(COUNT)), SIZE, part.scale, part.ratio, 1.0)
    for image, box, erased in zip(images, boxes.tolist(), patches.covered(images, boxes, 0), strict=True):
        left, top, right, bottom = box
        theirs = tv.erase(image, top, left, bottom - top, right - left, torch.zeros(3, 1, 1))
        assert torch.equal(erased, theirs)
    means = patches.covered(images, boxes, "mean")
    assert bool(((means - patches.covered(images, boxes, 0)).flatten(1).float().amax(1) > 100).all())


def test_erased_rectangles_are_drawn_as_torchvision_draws_them() -> None:
    many, (height, width) = 6000, (20, 30)
    boxes = patches.draw_erased(
        ftrun.SampleRandom(3, torch.arange(many)), (height, width), (0.02, 0.33), (0.3, 3.3), 1.0
    )
    torch.manual_seed(0)
    theirs = v2.RandomErasing(p=1)
    made = [theirs.make_params([torch.empty(3, height, width)]) for _ in range(many)]
    sides = torch.stack([boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0], boxes[:, 1], boxes[:, 0]], 1).float()
    expected = torch.tensor([[each["h"], each["w"], each["i"], each["j"]] for each in made]).float()
    spread = expected.std(0) / math.sqrt(many)
    assert bool(((sides.mean(0) - expected.mean(0)).abs() < 6 * spread).all())
    assert torch.allclose(sides.std(0), expected.std(0), rtol=0.05)
    assert sides.amax(0).tolist() == pytest.approx(expected.amax(0).tolist(), abs=2)
    chances = patches.draw_erased(
        ftrun.SampleRandom(3, torch.arange(many)), (height, width), (0.1, 0.3), (0.5, 2), 0.25
    )
    assert 0.22 < float((chances[:, 2] > 0).float().mean()) < 0.28


def test_a_blur_s_width_is_uniform() -> None:
    seen: list[Tensor] = []
    part = GaussianBlur(name="gaussian-blur", p=1.0, sigma=(0.5, 1.5))
    augment = part.build()
    original = filters.blur
    try:
        filters.blur = lambda images, sigmas, radius: (seen.append(sigmas), images)[1]  # type: ignore[assignment]
        augment(
            ftrun.Batch(noise(2000, size=(3, 3)), {}, torch.arange(2000)), ftrun.SampleRandom(3, torch.arange(2000))
        )
    finally:
        filters.blur = original
    counts = torch.histc(seen[0], 10, 0.5, 1.5)
    assert abs(chi_square(counts.double(), 200)) < 4
