"""Where pixels go: what an input says of an image is what it did to it."""

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from ftrun import WarpForm
from ftrun_inputs import ImageInput, imagefile

SIDE = st.integers(1, 3000)
SPEC = st.builds(
    lambda height, width, crop: ImageInput(size=(height, width), crop=crop),
    st.integers(1, 400),
    st.integers(1, 400),
    st.floats(0.3, 1.0),
)


def raw(height: int, width: int) -> Tensor:
    return torch.empty(1, 1, 1, dtype=torch.uint8).expand(3, height, width)  # only its shape is asked for


@settings(max_examples=50, derandomize=True, deadline=None)
@given(spec=SPEC, height=SIDE, width=SIDE)
def test_predictions_come_back_to_the_raw_pixels(spec: ImageInput, height: int, width: int) -> None:
    warp = spec.warp(raw(height, width))
    assert warp is not None
    assert warp.size == spec.size
    places = torch.rand(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    boxes = torch.cat([places, places + 0.2], -1) * torch.tensor([width, height] * 2)
    back = warp.inverse((height, width))
    assert (back.boxes(warp.boxes(boxes)) - boxes).abs().max() < 0.01
    assert (back.points(warp.points(boxes[:, :2])) - boxes[:, :2]).abs().max() < 0.01
    as_float32 = warp.boxes(boxes.float())  # as a net has them
    assert (back.boxes(as_float32.double()) - boxes).abs().max() < 0.01


@settings(max_examples=30, derandomize=True, deadline=None)
@given(
    spec=SPEC,
    height=st.integers(2, 250),
    width=st.integers(2, 250),
    interpolation=st.sampled_from(["bilinear", "bicubic", "nearest"]),
)
def test_pixels_are_where_the_warp_says(spec: ImageInput, height: int, width: int, interpolation: str) -> None:
    rows, columns = torch.arange(height), torch.arange(width)
    slopes = torch.stack(
        [columns.expand(height, width), rows[:, None].expand(height, width), rows[:, None] * columns * 0]
    )
    spec = spec.changed(interpolation=interpolation)
    seen, warp = spec.fit(slopes.to(torch.uint8))
    assert warp is not None
    centres = torch.stack(torch.meshgrid(*(torch.arange(side) + 0.5 for side in spec.size), indexing="ij")[::-1], -1)
    places = warp.inverse((height, width)).points(centres) - 0.5  # a pixel's value is where its centre is, less a half
    for channel, side, axis in ((0, width, 0), (1, height, 1)):
        # Near the rim a smoothed slope levels out: as many pixels as are smoothed together.
        reach = max(1 / float(warp.matrix[axis, axis]), 1) * (2 if interpolation == "bicubic" else 1)
        inner = (places[..., axis] >= reach) & (places[..., axis] <= side - 1 - reach)
        off = (seen[channel] - places[..., axis])[inner].abs()
        assert not len(off) or off.max() <= (
            0.51 if interpolation == "nearest" else 1.01
        )  # a torch kernel is off by a half


def test_an_image_of_the_net_s_own_size_is_left_where_it_is() -> None:
    warp = ImageInput(size=(20, 30)).warp(raw(20, 30))
    assert warp is not None
    assert warp.form is WarpForm.MIRRORED
    assert warp.matrix.tolist() == [[1, 0, 0], [0, 1, 0]]


def test_of_a_photograph_the_middle_is_seen() -> None:
    warp = ImageInput(size=(224, 224)).warp(raw(480, 640))
    assert warp is not None
    corners = warp.inverse((480, 640)).boxes(torch.tensor([[0.0, 0.0, 224.0, 224.0]]))
    # 640 becomes 298, of which 37 pixels are cut off on each side.
    assert torch.allclose(corners, torch.tensor([[37 * 640 / 298, 0.0, 261 * 640 / 298, 480.0]]))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_of_a_turned_image_are_those_of_the_upright_one(orientation: int, tmp_path) -> None:
    image = Image.new("RGB", (60, 40))
    image.putpixel((50, 10), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    (tmp_path / "turned.png").write_bytes(file.getvalue())
    upright = imagefile.read_image(tmp_path / "turned.png")
    y, x = (int(each) for each in (upright[0] == 255).nonzero()[0])
    spec = ImageInput(size=(upright.shape[1] * 2, upright.shape[2] * 2), interpolation="nearest")
    seen, warp = spec.fit(upright)
    assert warp is not None
    moved = warp.points(torch.tensor([[x + 0.5, y + 0.5]]))[0]
    assert seen[0, int(moved[1]), int(moved[0])] == 255
    assert torch.allclose(warp.inverse((1, 1)).points(moved[None]), torch.tensor([[x + 0.5, y + 0.5]]))


def test_enlarged_prepares_the_same_part_with_more_pixels() -> None:
    spec = ImageInput(size=(64, 48), crop=0.9)
    larger = spec.enlarged(2)
    assert larger.size == (128, 96)
    assert larger.crop == 0.9
    whole = torch.tensor([[0.0, 0.0, 48.0, 64.0]])
    seen = spec.warp(raw(600, 700)).inverse((600, 700)).boxes(whole)
    assert (larger.warp(raw(600, 700)).inverse((600, 700)).boxes(whole * 2) - seen).abs().max() < 6  # of 600
    assert spec.resolution(raw(142, 1000)) == pytest.approx(2, abs=0.02)
    assert spec.resolution(raw(35, 1000)) == pytest.approx(0.5, abs=0.01)
