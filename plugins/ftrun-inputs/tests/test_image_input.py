import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from torch.nn import functional as F

from ftrun import DataError, SpecError
from ftrun_inputs import ImageInput, pixels

INPUT = ImageInput(size=(32, 48), crop=0.8, interpolation="bicubic")


def image(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(sum(shape)))


@given(
    sizes=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 3])), min_size=1, max_size=4),
    interpolation=st.sampled_from(["bilinear", "bicubic", "nearest"]),
    crop=st.floats(0.1, 1.0),
)
def test_images_of_any_size_become_one_batch(sizes, interpolation, crop):
    batch = ImageInput(size=(20, 30), interpolation=interpolation, crop=crop).collate(
        [image(channels, height, width) for height, width, channels in sizes]
    )
    assert batch.shape == (len(sizes), 3, 20, 30)
    assert batch.dtype == torch.uint8
    assert batch.is_contiguous()


def test_an_image_alone_is_the_same_as_in_a_batch():
    same, other = image(3, 40, 70), image(1, 33, 21)
    batch = INPUT.collate([same, other])
    assert torch.equal(batch[0], INPUT.collate([same])[0])
    assert torch.equal(batch[1], INPUT.collate(other[None])[0])


def test_grey_becomes_three_equal_channels_and_the_right_size_is_left_alone():
    grey = image(1, 32, 48)
    batch = INPUT.changed(crop=1.0).collate([grey])
    assert torch.equal(batch[0], grey.expand(3, -1, -1))


def test_resizing_is_timms_for_evaluation():
    from timm.data import create_transform
    from torchvision.transforms.v2.functional import to_pil_image

    for height, width in [(50, 90), (90, 50), (64, 64), (33, 200)]:
        photo = torch.nn.functional.interpolate(image(1, 3, 7, 9), (height, width), mode="bilinear")[0]
        theirs = create_transform(
            (3, 32, 32), interpolation="bicubic", crop_pct=0.875, mean=(0.5, 0.4, 0.3), std=(0.5, 0.6, 0.7)
        )(to_pil_image(photo))
        spec = ImageInput(size=(32, 32), crop=0.875, interpolation="bicubic", mean=(0.5, 0.4, 0.3), std=(0.5, 0.6, 0.7))
        ours = spec.prepare(spec.collate([photo]))[0]
        assert (ours - theirs).abs().max() < 2.5 / 255 / 0.5  # rounding to uint8 differs by a step or two


def test_prepare_normalises_and_leaves_its_input_alone():
    spec = ImageInput(size=(4, 4), mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    batch = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)
    assert spec.prepare(batch)[0, :, 0, 0].tolist() == pytest.approx([1.0, 3.0, 1.0])
    assert batch.min() == 255
    assert spec.prepare(batch).dtype == torch.float32


def test_a_new_size_alone_takes_the_whole_image():
    assert INPUT.changed(size=(16, 16)).crop == 1.0
    assert INPUT.changed(size=(16, 16), crop=0.9).crop == 0.9
    assert INPUT.changed(mean=(0.1, 0.2, 0.3)).crop == 0.8


@pytest.mark.parametrize("shape", [(2, 8, 8), (8, 8), (4, 8, 8)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(DataError, match="it takes an image, a uint8 or uint16 tensor"):
        INPUT.collate([image(*shape)])
    with pytest.raises(DataError, match=r"torch\.float32"):
        INPUT.collate([image(3, 8, 8).float()])


def test_overrides_are_the_same_fields_and_all_optional():
    overrides = ImageInput.overrides()
    assert set(overrides.model_fields) == set(ImageInput.model_fields) - {"kind"}
    given = overrides.model_validate_json('{"size": 32, "mean": [0.5, 0.5, 0.5]}')
    assert given.model_dump(exclude_unset=True) == {"size": (32, 32), "mean": (0.5, 0.5, 0.5)}
    for wrong in ('{"size": 0}', '{"size": "32"}', '{"crop": 1.5}', '{"std": [0, 1, 1]}', '{"colour": 1}'):
        with pytest.raises(ValidationError):
            overrides.model_validate_json(wrong)


def test_json_round_trip():
    assert ImageInput.model_validate_json(INPUT.model_dump_json()) == INPUT


def test_mean_and_std_are_of_as_many_channels():
    with pytest.raises(ValidationError, match="mean has 1 values and std has 3: one is needed per channel"):
        ImageInput(size=(8, 8), mean=(0.5,))
    with pytest.raises(SpecError, match="input: mean has 3 values and std has 1: one is needed per channel"):
        ImageInput(size=(8, 8)).changed(std=(0.5,))
    assert ImageInput(size=(8, 8), mean=(0.5,), std=(0.5,)).collated_layout.sizes == (1, 8, 8)


@pytest.mark.parametrize("size", [(224, 224), (32, 48)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("shape", [(1, 20_000), (20_000, 1), (3, 5_000), (100, 40_000)])
def test_of_a_strip_only_the_middle_is_resized(shape, interpolation, size, monkeypatch):
    made = []
    real = F.interpolate
    monkeypatch.setattr(F, "interpolate", lambda *given, **more: made.append(real(*given, **more)) or made[-1])
    strip = torch.zeros(3, *shape, dtype=torch.uint8)
    middle = [slice(side // 2 - 60, side // 2 + 60) if side > 120 else slice(None) for side in shape]
    strip[0, middle[0], middle[1]] = 200
    seen = ImageInput(size=size, interpolation=interpolation, crop=0.9).collate([strip])
    assert seen.shape == (1, 3, *size)
    assert made[0].numel() < 40 * 3 * size[0] * size[1]
    assert seen[0, 0, size[0] // 2, size[1] // 2] == 200
    assert not seen[0, 1:].any()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
def test_the_middle_of_a_strip_is_that_of_the_resized_strip(interpolation, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, 4, 30, generator=generator)
    strip = (F.interpolate(noise, size=(8, 800), mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)[0]
    spec = ImageInput(size=(16, 16), interpolation=interpolation)
    cropped = spec.collate([strip])
    monkeypatch.setattr(pixels, "_LONG", 10**9)
    assert (cropped.int() - spec.collate([strip]).int()).abs().max() <= 12


def test_a_grey_net_sees_grey():
    colour = torch.randint(0, 256, (3, 9, 7), dtype=torch.uint8)
    grey = ImageInput(size=(9, 7), mean=(0.5,), std=(0.2,)).collate([colour])
    assert grey.shape == (1, 1, 9, 7)
    expected = np.asarray(Image.fromarray(colour.permute(1, 2, 0).numpy()).convert("L"))
    assert np.array_equal(grey[0, 0].numpy(), expected)


def test_white_scales_16_bits_to_8():
    raw = torch.tensor([[[0, 100, 310, 511, 1023, 4095]]]).to(torch.uint16)
    for white, expected in ((1023, [0, 25, 77, 127, 255, 255]), (None, [0, 0, 1, 2, 4, 16])):
        seen = ImageInput(size=(1, 6), mean=(0.5,), std=(0.2,), white=white).collate([raw])
        assert seen.flatten().tolist() == expected
    assert ImageInput(size=(1, 6), white=255).collate(raw[None])[0, 2].tolist() == [[0, 100, 255, 255, 255, 255]]
    assert ImageInput(size=(8, 8)).preview(raw.repeat(3, 2, 1)).startswith(b"\x89PNG")


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("size", [(1, 1), (7, 1), (1, 7)])
def test_a_single_pixel_is_what_it_is_the_mean_of(size, interpolation):
    for shape in ((1, 1), (2, 40), (40, 2), (40, 40), (3, 1)):
        raw = torch.full((2, 3, *shape), 90, dtype=torch.uint8)
        raw[:, 1] = 200
        seen = ImageInput(size=size, interpolation=interpolation).collate(raw)
        assert seen.amin((2, 3)).tolist() == seen.amax((2, 3)).tolist() == [[90, 200, 90]] * 2


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(7, 1), (3, 1), (1, 7)])
def test_a_narrow_output_has_the_values_that_floats_have(size, interpolation):
    raw = torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = pixels.cut((40, 40), size, size, interpolation)
    resized = pixels.crop_of_resized(raw, whole, size, interpolation).int()
    exact = F.interpolate(raw.float(), size=size, mode=interpolation, antialias=True)
    assert (resized - exact).abs().max() <= 2
