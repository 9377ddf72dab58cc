"""Image files of every sort as uint8 [3, H, W]."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ftrun
from ftrun.inputs.imagefile import _to_rgb, from_memory, read_image

GREY = np.arange(20, dtype=np.uint8).reshape(4, 5) * 13
RGB = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)


def saved(image: Image.Image, path: Path, **options: object) -> str:
    image.save(path, **options)
    return str(path)


def pixels(path: str) -> np.ndarray:
    """[H, W, 3], after checking what the contract asks for."""
    image = read_image(path)
    assert image.dtype == torch.uint8
    assert image.ndim == 3
    assert image.shape[0] == 3
    assert image.is_contiguous()
    return image.permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("name", "options"), [("a.png", {}), ("a.bmp", {}), ("a.webp", {"lossless": True})])
def test_lossless_formats_give_the_pixels(name: str, options: dict[str, bool], tmp_path: Path) -> None:
    assert np.array_equal(pixels(saved(Image.fromarray(RGB), tmp_path / name, **options)), RGB)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpeg(options: dict[str, bool], tmp_path: Path) -> None:
    smooth = Image.fromarray(RGB).resize((50, 40))
    read = pixels(saved(smooth, tmp_path / "a.jpg", quality=95, subsampling=0, **options))
    assert np.abs(read.astype(int) - np.asarray(smooth)).max() < 12


def test_the_content_tells_the_format_not_the_name(tmp_path: Path) -> None:
    assert np.array_equal(pixels(saved(Image.fromarray(RGB), tmp_path / "a.jpg", format="PNG")), RGB)
    few_colours = Image.fromarray(GREY).convert("P")
    assert np.array_equal(pixels(saved(few_colours, tmp_path / "b.jpg", format="GIF"))[..., 0], GREY)


def test_grey(tmp_path: Path) -> None:
    assert np.array_equal(pixels(saved(Image.fromarray(GREY), tmp_path / "a.png")), np.stack([GREY] * 3, axis=-1))


def test_black_and_white(tmp_path: Path) -> None:
    path = saved(Image.fromarray(GREY > 100), tmp_path / "a.png")
    assert np.array_equal(pixels(path)[..., 2], (GREY > 100) * 255)


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 129, 257, 32768], [40000, 65406, 65407, 65534, 65535]], np.uint16)
    scaled = [[0, 0, 1, 1, 128], [156, 254, 255, 255, 255]]
    path = saved(Image.fromarray(deep), tmp_path / "a.png")
    with Image.open(path) as image:
        assert image.mode == "I;16"
        older_pillow = image.convert("I")
    assert pixels(path)[..., 0].tolist() == scaled
    assert np.asarray(_to_rgb(older_pillow))[..., 0].tolist() == scaled


def test_palette(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(20)
    assert np.array_equal(pixels(saved(image, tmp_path / "a.png")), np.asarray(image.convert("RGB")))


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    alpha = np.zeros_like(GREY)
    alpha[:, 1], alpha[:, 2] = 255, 128
    on_white = RGB * (alpha / 255)[..., None] + 255 * (1 - alpha / 255)[..., None]
    read = pixels(saved(Image.fromarray(np.dstack([RGB, alpha])), tmp_path / "rgba.png"))
    assert np.abs(read - on_white).max() <= 1
    assert (read[:, 0] == 255).all()
    assert np.array_equal(read[:, 1], RGB[:, 1])

    grey_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)])
    read = pixels(saved(grey_alpha, tmp_path / "la.png"))
    assert (read[:, 0] == 255).all()
    assert np.array_equal(read[:, 1, 0], GREY[:, 1])


@pytest.mark.parametrize("transparency", [7, bytes([255] * 7 + [0] + [255] * 12)])
def test_a_transparent_palette_colour_becomes_white(transparency: int | bytes, tmp_path: Path) -> None:
    image = Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5))
    image.putpalette([value for entry in range(20) for value in (entry, 2 * entry, 3 * entry)])
    read = pixels(saved(image, tmp_path / "a.png", transparency=transparency)).reshape(20, 3)
    assert read[7].tolist() == [255, 255, 255]
    assert read[8].tolist() == [8, 16, 24]


def test_cmyk(tmp_path: Path) -> None:
    read = pixels(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / "a.jpg", quality=100))
    assert np.abs(read.astype(int) - [255, 0, 0]).max() <= 3


ORIENTATIONS = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored.transpose(1, 0, 2), 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(RGB), tmp_path / "a.png", exif=exif)
    assert np.array_equal(pixels(path), ORIENTATIONS[orientation](RGB))


def test_an_image_in_memory_is_what_its_file_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(Image.fromarray(RGB), tmp_path / "a.png", exif=exif)
    with Image.open(path) as image:
        assert torch.equal(from_memory(image), read_image(path))
        assert image.size == (5, 4), "the caller's own stays as it is"
    with pytest.raises(ftrun.DataError, match="an image is a path, a PIL image"):
        from_memory(b"bytes")


def test_damaged_exif_does_not_lose_the_image(tmp_path: Path) -> None:
    path = saved(Image.fromarray(RGB), tmp_path / "a.png", exif=b"Exif\0\0no TIFF header at all")
    with pytest.raises(SyntaxError), Image.open(path) as image:
        image.getexif()
    assert np.array_equal(pixels(path), RGB)


def test_the_first_frame_of_several(tmp_path: Path) -> None:
    frames = {"save_all": True, "append_images": [Image.fromarray(255 - RGB)]}
    assert np.array_equal(pixels(saved(Image.fromarray(RGB), tmp_path / "a.webp", lossless=True, **frames)), RGB)
    still = pixels(saved(Image.fromarray(RGB), tmp_path / "b.jpg"))
    assert np.array_equal(pixels(saved(Image.fromarray(RGB), tmp_path / "c.jpg", format="MPO", **frames)), still)


def unreadable(path: Path) -> str:
    with pytest.raises(ftrun.DataError) as caught:
        read_image(str(path))
    assert str(caught.value).startswith(f"the image {path} cannot be read: ")
    return str(caught.value)


def test_unreadable_files_are_named_with_the_cause(tmp_path: Path) -> None:
    whole = Path(saved(Image.fromarray(RGB).resize((64, 64)), tmp_path / "a.jpg")).read_bytes()
    path = tmp_path / "b.jpg"
    assert "No such file" in unreadable(path)
    for content in (b"", b"<html>404</html>", whole[:1]):
        path.write_bytes(content)
        assert "it is not an image in one of the formats" in unreadable(path)
    for length in (100, len(whole) - 100):
        path.write_bytes(whole[:length])
        assert "truncated" in unreadable(path).lower()


def test_other_formats_are_not_opened(tmp_path: Path) -> None:
    saved(Image.fromarray(RGB), tmp_path / "a.jpg", format="TIFF")
    assert "it is not an image in one of the formats BMP, GIF, JPEG, PNG, WEBP" in unreadable(tmp_path / "a.jpg")


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "BMP")
    bomb = bytearray(buffer.getvalue())
    bomb[18:26] = (60_000).to_bytes(4, "little") * 2  # width and height
    (tmp_path / "a.bmp").write_bytes(bomb)
    assert "exceeds limit" in unreadable(tmp_path / "a.bmp")


@pytest.mark.filterwarnings("ignore")  # Pillow's, of damaged EXIF data and large images
def test_a_damaged_file_is_read_or_named_never_a_traceback(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(RGB)
    files = []
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF"):
        image.save(buffer := io.BytesIO(), kind, **({} if kind in ("BMP", "GIF") else {"exif": exif}))
        files.append(buffer.getvalue())
    draw = random.Random(0)
    path = tmp_path / "a.jpg"
    read, named = 0, 0
    for _ in range(500):
        damaged = bytearray(draw.choice(files))
        for _ in range(draw.randint(1, 5)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged[: draw.choice([None, None, draw.randrange(len(damaged))])])
        try:
            read += read_image(str(path)).dtype == torch.uint8
        except ftrun.DataError as error:
            named += str(path) in str(error)
    assert read + named == 500
    assert min(read, named) > 50
