"""Warps: composed, inverted, applied to points, boxes and pixels."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from ftrun import Warp, WarpForm, resample

SIDE = st.integers(1, 8192)
SIZE = st.tuples(SIDE, SIDE)


def noise(count: int = 4, height: int = 9, width: int = 12, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), generator=generator, dtype=torch.uint8)


def rotation(degrees: Tensor, size: tuple[int, int]) -> Warp:
    angle = torch.deg2rad(degrees.double())
    rows = [torch.stack([angle.cos(), -angle.sin()], -1), torch.stack([angle.sin(), angle.cos()], -1)]
    return Warp.linear(torch.stack(rows, -2), size)


def test_corners_of_a_picture_go_to_the_corners_of_the_resized_one() -> None:
    warp = Warp.resized((480, 640), (240, 320))
    corners = torch.tensor([[0.0, 0.0], [640.0, 480.0], [0.5, 0.5]])
    assert torch.equal(warp.points(corners), torch.tensor([[0.0, 0.0], [320.0, 240.0], [0.25, 0.25]]))
    assert torch.equal(warp.boxes(torch.tensor([[0.0, 0.0, 640.0, 480.0]])), torch.tensor([[0.0, 0.0, 320.0, 240.0]]))
    assert warp.size == (240, 320)


def test_one_map_after_the_other_is_their_composition_for_each_sample() -> None:
    size = (30, 40)
    first = Warp.resized((60, 50), size)  # one for all
    second = Warp.mirrored(torch.tensor([True, False, True]), size)
    third = rotation(torch.tensor([10.0, 0.0, -80.0]), size)
    points = torch.rand(3, 7, 2) * 50
    composed = first.then(second).then(third)
    assert torch.allclose(composed.points(points), third.points(second.points(first.points(points))), atol=1e-4)
    assert composed.form is WarpForm.AFFINE
    assert len(composed) == 3
    assert first.then(second).form is WarpForm.ALIGNED


def test_the_form_says_what_a_map_may_do() -> None:
    size = (8, 8)
    assert Warp.identity(size).form is WarpForm.MIRRORED
    shifted = Warp.shifted(torch.tensor([[2, 3]]), size)
    assert Warp.mirrored(torch.tensor([True]), size).then(shifted).form is WarpForm.EXACT
    assert shifted.then(Warp.cropped(torch.tensor([[1.0, 1.0, 5.0, 6.0]]), size)).form is WarpForm.ALIGNED
    assert Warp(shifted.matrix, size).form is WarpForm.AFFINE


def test_a_map_of_each_sample_for_its_items() -> None:
    warp = Warp.shifted(torch.tensor([[1, 0], [0, 2], [5, 5]]), (9, 9))
    items = warp.of_items(torch.tensor([2, 0, 1]), total=3)
    assert items.points(torch.zeros(3, 2)).tolist() == [[1, 0], [1, 0], [5, 5]]
    assert warp[1].points(torch.zeros(2)).tolist() == [0, 2]
    assert warp[1:].points(torch.zeros(2, 2)).tolist() == [[0, 2], [5, 5]]


@settings(max_examples=40, derandomize=True, deadline=None)
@given(raw=SIZE, net=SIZE, degrees=st.floats(-180, 180), zoom=st.floats(0.25, 4), mirrored=st.booleans())
def test_the_inverse_brings_points_back(
    raw: tuple[int, int], net: tuple[int, int], degrees: float, zoom: float, mirrored: bool
) -> None:
    warp = Warp.resized(raw, net).then(Warp.mirrored(torch.tensor([mirrored]), net))
    warp = warp.then(Warp.linear(torch.eye(2, dtype=torch.float64) * zoom, net, WarpForm.ALIGNED))
    boxes = torch.rand(1, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    boxes = torch.cat([boxes, boxes + 1], -1) * max(raw)
    assert (warp.inverse(raw).boxes(warp.boxes(boxes)) - boxes).abs().max() < 1e-6
    turned = warp.then(rotation(torch.tensor([degrees]), net))
    points = boxes[..., :2]
    back = turned.inverse(raw)
    assert (back.points(turned.points(points)) - points).abs().max() < 1e-6
    assert back.size == raw


def test_mirrors_and_shifts_move_whole_pixels() -> None:
    images, size = noise(), (9, 12)
    mirrored, offsets = torch.tensor([True, False, True, False]), torch.tensor([[2, -3], [0, 0], [-12, 1], [5, 9]])
    flips, shifts = Warp.mirrored(mirrored, size), Warp.shifted(offsets, size)
    flipped = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    assert torch.equal(resample(images, flips), flipped)
    padded = F.pad(flipped, (12,) * 4)
    windows = [
        padded[index, :, 12 - down : 21 - down, 12 - right : 24 - right]
        for index, (right, down) in enumerate(offsets.tolist())
    ]
    assert torch.equal(resample(images, flips.then(shifts)), torch.stack(windows))
    outside = resample(torch.ones_like(images), shifts) == 0
    assert torch.equal(resample(images.float(), shifts, fill=-5.0) == -5, outside)


@pytest.mark.parametrize("form", WarpForm)
def test_a_form_that_may_do_more_gives_the_same_pixels(form: WarpForm) -> None:
    images, size = noise(), (9, 12)
    shifts = Warp.shifted(torch.tensor([[2, -3], [0, 0], [-12, 1], [5, 9]]), size)
    assert torch.equal(resample(images, Warp(shifts.matrix, size, max(form, shifts.form))), resample(images, shifts))
    flips = Warp.mirrored(torch.tensor([True, False, True, False]), size)
    assert torch.equal(resample(images, Warp(flips.matrix, size, form)), resample(images, flips))


def test_corners_go_where_they_are_projected_and_come_back() -> None:
    size = (30, 40)
    whole = torch.tensor([[0.0, 0.0], [40.0, 0.0], [40.0, 30.0], [0.0, 30.0]])
    corners = whole + torch.rand(5, 4, 2, generator=torch.Generator().manual_seed(0)) * 8 - 4
    warp = Warp.projected(corners, size)
    assert warp.form is WarpForm.PROJECTIVE
    assert torch.allclose(warp.points(whole.expand(5, -1, -1)), corners, atol=1e-4)
    assert torch.allclose(warp.inverse(size).points(corners), whole.expand(5, -1, -1), atol=1e-4)
    first = Warp.resized((60, 50), size)
    turned = rotation(torch.tensor([10.0, 0.0, -80.0, 5.0, 45.0]), size)
    composed = first.then(warp).then(turned)
    points = torch.rand(5, 7, 2) * 40
    assert torch.allclose(composed.points(points), turned.points(warp.points(first.points(points))), atol=1e-3)
    assert torch.allclose(composed.inverse().points(composed.points(points)), points, atol=1e-3)


def test_an_image_of_a_plane_s_points_is_projected_as_points_are() -> None:
    """Each pixel of two slopes has its own place as its value, so that what is seen says where it is from."""
    size = (40, 60)
    rows, columns = (torch.arange(side) + 0.5 for side in size)
    slopes = torch.stack([columns.expand(size), rows[:, None].expand(size)])[None]
    corners = torch.tensor([[[2.0, 1.0], [57.0, 5.0], [60.0, 38.0], [0.0, 36.0]]])
    warp = Warp.projected(corners, size)
    moved = resample(slopes, warp, fill=-100.0)[0].permute(1, 2, 0)
    centres = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    sources = warp.inverse().points(centres[None])[0]
    inside = ((sources > 1) & (sources < torch.tensor([59.0, 39.0]))).all(-1)
    assert inside.float().mean() > 0.7
    assert torch.allclose(moved[inside], sources[inside], atol=1e-2)
    outside = ((sources < 0) | (sources > torch.tensor([60.0, 40.0]))).any(-1)
    assert bool((moved[outside] == -100).all())


def test_images_of_one_batch_are_each_moved_as_alone() -> None:
    """Those that move by whole pixels are copied, others interpolated: the pixels are those of every other batch."""
    images, size = noise(6), (11, 10)  # of another size than theirs
    whole = Warp.shifted(torch.tensor([[2, -3], [0, 0], [-12, 1]]), size)
    upside = Warp(torch.tensor([[[-1.0, 0, 10], [0, -1, 9]]], dtype=torch.float64), size)
    bent = Warp(torch.tensor([[[1.0, 0.3, 0], [0.1, 0.8, 1]], [[1, 0, 0.5], [0, 1, 0]]], dtype=torch.float64), size)
    warp = Warp(torch.cat([bent.matrix, whole.matrix, upside.matrix]), size)
    for nearest in (False, True):
        for fill in (0, 9):
            together = resample(images, warp, nearest=nearest, fill=fill)
            for index in range(6):
                alone = resample(images[index : index + 1], warp[index : index + 1], nearest=nearest, fill=fill)
                assert torch.equal(alone[0], together[index])
            as_floats = resample(images.float(), warp, nearest=nearest, fill=fill).round()
            assert torch.equal(as_floats.byte(), together)


@pytest.mark.parametrize("side", [1, 7, 32, 33, 224])
def test_the_whole_image_stays_as_it_is(side: int) -> None:
    images = noise(2, side, side + 3)
    whole = torch.tensor([[0.0, 0.0, side + 3, side]] * 2)
    assert torch.equal(resample(images, Warp.cropped(whole, (side, side + 3))), images)


def test_half_the_size_is_the_mean_of_four() -> None:
    images = noise(2, 20, 30)
    halved = resample(images.float(), Warp.resized((20, 30), (10, 15)))
    assert torch.allclose(halved, F.avg_pool2d(images.float(), 2), rtol=0, atol=1e-3)


def test_an_enlarged_part_agrees_with_torch() -> None:
    images = noise(3, 24, 32)
    boxes = torch.tensor([[5.0, 3.0, 21.0, 15.0], [0.0, 0.0, 32.0, 24.0], [8.0, 4.0, 16.0, 10.0]])
    moved = resample(images, Warp.cropped(boxes, (48, 64)))
    for image, box, result in zip(images, boxes.int().tolist(), moved, strict=True):
        part = image[None, :, box[1] : box[3], box[0] : box[2]].float()
        theirs = F.interpolate(part, size=(48, 64), mode="bilinear")[0]
        # At its rim torch repeats the part's last pixels, where ours looks at the image's next ones.
        assert (result - theirs)[:, 4:-4, 4:-4].abs().max() <= 0.51


def test_a_quarter_turn_is_a_transposed_image() -> None:
    images = noise(1, 12, 12)
    turned = resample(images, rotation(torch.tensor([90.0]), (12, 12)))
    assert torch.equal(turned, images.rot90(-1, (2, 3)))  # y is down, so a right angle is clockwise


def test_what_comes_from_outside_is_filled_and_nothing_else() -> None:
    white = torch.full((1, 1, 16, 16), 255, dtype=torch.uint8)
    warp = rotation(torch.tensor([45.0]), (16, 16))
    turned = resample(white, warp)
    assert set(turned.unique().tolist()) == {0, 255}  # no grey rim
    assert turned[0, 0, 8, 8] == 255
    assert turned[0, 0, 0, 0] == 0
    assert torch.equal(resample(white, warp, fill=9) == 9, turned == 0)


def test_the_nearest_pixel_is_one_of_the_image_s() -> None:
    classes = torch.tensor([0, 3, 7])[torch.randint(0, 3, (2, 1, 20, 20), generator=torch.Generator().manual_seed(0))]
    zoomed = Warp.cropped(torch.tensor([[2.0, 2.0, 9.0, 13.0], [0.0, 0.0, 20.0, 20.0]]), (20, 20))
    for warp in (zoomed, zoomed.then(rotation(torch.tensor([20.0, 0.0]), (20, 20)))):
        moved = resample(classes, warp, nearest=True, fill=-1)
        assert set(moved.unique().tolist()) <= {-1, 0, 3, 7}
        assert torch.equal(moved[1], classes[1])
        assert moved.dtype == classes.dtype


def test_a_sample_alone_is_as_in_its_batch() -> None:
    images, size = noise(8, 16, 20), (16, 20)
    warp = rotation(torch.linspace(-50, 50, 8), size).then(Warp.resized(size, (8, 10)))
    together = resample(images, warp)
    for index in range(8):
        assert torch.equal(resample(images[[index]], warp[[index]])[0], together[index])


def test_a_linear_map_keeps_the_centre() -> None:
    size, centre = (30, 41), torch.tensor([[20.5, 15.0]])
    warp = Warp.linear(torch.tensor([[[2.0, 0.3], [-0.1, 0.5]]]), size)
    assert torch.allclose(warp.points(centre), centre)
    one = torch.tensor([[21.5, 15.0]])
    assert torch.allclose(warp.points(one), torch.tensor([[22.5, 14.9]]), atol=1e-5)
    assert math.isclose(float(warp.inverse(size).points(torch.tensor([[22.5, 14.9]]))[0, 0]), 21.5, abs_tol=1e-5)


@pytest.mark.parametrize("form", [WarpForm.EXACT, WarpForm.AFFINE])
def test_a_batch_of_none_stays_one(form: WarpForm) -> None:
    images, matrix = noise(0), torch.zeros(0, 2, 3, dtype=torch.float64)
    assert resample(images, Warp(matrix, (5, 6), form)).shape == (0, 3, 5, 6)
