"""Image files of every sort as uint8 [3, H, W]."""

import io
import os
import random
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ftrun
from ftrun import files_fingerprint
from ftrun_inputs.imagefile import _rgb, from_memory, read_image
from ftrun_inputs.imagesurvey import survey
from ftrun_inputs.pixels import in_8_bits

GREY = np.arange(20, dtype=np.uint8).reshape(4, 5) * 13
RGB = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)


def saved(image: Image.Image, path: Path, **options: object) -> str:
    image.save(path, **options)
    return str(path)


def pixels(path: str) -> np.ndarray:
    """[H, W, 3] in 8 bits, after checking what the contract asks for."""
    image = in_8_bits(read_image(path), None)
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
    assert in_8_bits(_rgb(older_pillow), None)[0].tolist() == scaled


def png(values: np.ndarray, *beside: tuple[bytes, bytes], after: tuple[bytes, bytes] | None = None) -> bytes:
    """A PNG file of 16 bits a channel, [H, W, 1 to 4], with chunks beside its pixels."""
    height, width, channels = values.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), *beside, (b"IDAT", zlib.compress(rows)), *([after] if after else []), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(values: np.ndarray, kind: int) -> bytes:
    """A TIFF file of one or three channels of numbers as NumPy has them; kind: 1 unsigned, 2 signed, 3 floating."""
    order = "<" if values.dtype.byteorder in "<=|" else ">"
    height, width, channels = values.shape
    tags = {
        256: (4, width),
        257: (4, height),
        258: (3, [8 * values.itemsize] * channels),
        259: (3, 1),
        262: (3, 2 if channels == 3 else 1),
        273: (4, 0),
        277: (3, channels),
        278: (4, height),
        279: (4, values.nbytes),
        339: (3, [kind] * channels),
    }
    end = 8 + 2 + 12 * len(tags) + 4
    lists, entries = b"", b""
    for tag, (form, value) in tags.items():
        if isinstance(value, list) and len(value) > 2:
            place, lists = end + len(lists), lists + struct.pack(f"{order}{len(value)}H", *value)
            entries += struct.pack(f"{order}HHII", tag, form, len(value), place)
        else:
            number = value[0] if isinstance(value, list) else value
            number = end + 4 * channels if tag == 273 else number
            entries += struct.pack(f"{order}HHI{'HH' if form == 3 else 'I'}", tag, form, 1, number, *[0] * (form == 3))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return head + entries + bytes(4) + lists.ljust(4 * channels, b"\0") + values.tobytes()


DEEP = (np.arange(60).reshape(4, 5, 3) * 1091 + 7).astype(np.uint16)


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_a_channel_are_read_whole(channels: int, tmp_path: Path) -> None:
    deep = DEEP[..., :channels]
    expected = np.broadcast_to(deep, (4, 5, 3))
    files = [png(deep), *(tiff(deep.astype(order), 1) for order in ("<u2", ">u2"))]
    if channels == 1:
        files += [tiff(deep.astype("<u4"), 1), tiff((deep // 2).astype("<i2"), 2)]
    for number, content in enumerate(files):
        (tmp_path / "a.png").write_bytes(content)
        read = read_image(tmp_path / "a.png")
        assert read.dtype == torch.uint16
        wanted = expected // 2 if number == 4 else expected
        assert np.array_equal(read.permute(1, 2, 0).numpy(), wanted), number


def test_16_bits_are_turned_upright_like_8(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.png").write_bytes(png(DEEP, (b"eXIf", exif.tobytes()[6:])))
    assert np.array_equal(read_image(tmp_path / "a.png").permute(1, 2, 0).numpy(), np.rot90(DEEP, -1))


def test_16_bits_with_transparency_are_laid_on_white_in_8(tmp_path: Path) -> None:
    values = np.dstack([DEEP, np.full((4, 5), 65535, np.uint16)])
    values[0, 0] = 0
    (tmp_path / "a.png").write_bytes(png(values))
    read = pixels(str(tmp_path / "a.png"))
    assert read[0, 0].tolist() == [255, 255, 255]
    assert np.array_equal(read[1], DEEP[1] >> 8)


def test_numbers_of_which_none_is_known_as_white_are_named(tmp_path: Path) -> None:
    for values, kind, what in (
        (np.linspace(0, 1, 20, dtype="<f4"), 3, "floating-point numbers (0 to 1)"),
        (np.arange(-3, 17, dtype="<i2"), 2, "its values are -3 to 16"),
        (np.arange(20, dtype="<i4") * 10_000, 2, "its values are 0 to 190000"),
    ):
        (tmp_path / "a.tif").write_bytes(tiff(values.reshape(4, 5, 1), kind))
        assert what in unreadable(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_tiff(mode: str, compression: str | None, tmp_path: Path) -> None:
    image = Image.fromarray(RGB).convert(mode)
    path = saved(image, tmp_path / "a.TIF", compression=compression, save_all=True, append_images=[image.rotate(180)])
    assert np.array_equal(pixels(path), np.asarray(image.convert("RGB")))


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


def with_exif(*entries: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    """EXIF data of tags, each with its type, its count and its four bytes of value."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    return b"Exif\0\0" + head + b"".join(struct.pack(f"{order}HHI", *each[:3]) + each[3] for each in entries) + bytes(4)


@pytest.mark.parametrize(
    "odd",
    [
        (0x011A, 2, 9, b"\xff\xff\0\0"),  # XResolution as a text, out of the file
        (0x011A, 5, 1, b"\0\0\0\0"),
        (0x8769, 3, 1, b"\x01\0\0\0"),  # the place of further tags, as a short number, and nowhere
        (0x8769, 2, 4, b"abc\0"),
        (0x8825, 4, 1, b"\xff\xff\xff\xff"),
        (0x010F, 99, 3, b"\0\0\0\0"),  # of no known type
        (0x010F, 2, 2**31, b"\0\0\0\0"),
        (0x9286, 7, 4, b"\xff\xfe\0\0"),
        (0xC4A5, 1, 1, b"\0\0\0\0"),
    ],
)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_an_odd_tag_harms_nobody(odd: tuple[int, int, int, bytes], order: str, suffix: str, tmp_path: Path) -> None:
    upright = with_exif(odd, (0x0112, 3, 1, struct.pack(f"{order}HH", 6, 0)), order=order)
    image, path = Image.fromarray(RGB).resize((50, 40)), tmp_path / f"a.{suffix}"
    if suffix == "tif":
        saved(image, path)
        entry = struct.pack("<HHI", *odd[:3]) + odd[3]
        content = path.read_bytes()
        (start,) = struct.unpack_from("<I", content, 4)
        (count,) = struct.unpack_from("<H", content, start)
        tags = content[start + 2 : start + 2 + 12 * count] + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + entry
        directory = struct.pack("<H", count + 2) + tags + bytes(4)
        path.write_bytes(content[:4] + struct.pack("<I", len(content)) + content[8:] + directory)
    else:
        saved(image, path, exif=upright)
    assert read_image(path).shape == (3, 50, 40)


def test_damage_to_exif_beside_the_orientation_leaves_it_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "Cam", 72.0
    data = exif.tobytes()
    (number,) = [at for at in range(len(data)) if data[at : at + 2] in (b"\x12\x01", b"\x01\x12")]
    image = Image.fromarray(RGB).resize((50, 40))
    for at in range(len(data)):
        for value in (0, 2, 255):
            damaged = bytearray(data)
            damaged[at] = value
            read = read_image(saved(image, tmp_path / "a.jpg", exif=bytes(damaged)))
            if at > number + 11 or value == data[at]:
                assert read.shape == (3, 50, 40), (at, value)


BOMB = zlib.compress(bytes(200_000_000), 1)


@pytest.mark.parametrize(
    "beside",
    [
        (b"iCCP", b"profile\0\0" + BOMB),
        (b"iCCP", b"profile\0\0no zlib"),
        (b"zTXt", b"Comment\0\0" + BOMB),
        (b"iTXt", b"Comment\0\1\0\0\0" + BOMB),
        (b"zTXt", b"Comment\0\7"),
        (b"iTXt", b"Comment"),
        (b"tEXt", b"\0" * 70),
        (b"gAMA", b""),
        (b"pHYs", b"\0"),
        (b"acTL", b"\0"),
        (b"fcTL", b"\0" * 26),
        (b"cHRM", b"1"),
        (b"tIME", b""),
        (b"eXIf", b"II"),
    ],
    ids=lambda beside: f"{beside[0].decode()}-{len(beside[1])}",
)
@pytest.mark.parametrize("where", ["before", "after"])
def test_what_is_beside_the_pixels_of_a_png_harms_nobody(
    beside: tuple[bytes, bytes], where: str, tmp_path: Path
) -> None:
    content = png(DEEP, beside) if where == "before" else png(DEEP, after=beside)
    (tmp_path / "a.png").write_bytes(content)
    assert np.array_equal(read_image(tmp_path / "a.png").permute(1, 2, 0).numpy(), DEEP)


def test_a_wrong_checksum_beside_the_pixels_harms_nobody_and_among_them_is_named(tmp_path: Path) -> None:
    content = png(DEEP, (b"tEXt", b"Comment\0ten"))
    (tmp_path / "a.png").write_bytes(content.replace(b"ten", b"one"))
    assert np.array_equal(read_image(tmp_path / "a.png").permute(1, 2, 0).numpy(), DEEP)
    damaged = bytearray(content)
    damaged[20] ^= 1  # the width
    (tmp_path / "a.png").write_bytes(damaged)
    unreadable(tmp_path / "a.png")


def test_pillow_warns_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    palette = Image.fromarray(RGB).quantize(20)
    saved(palette, tmp_path / "a.png", transparency=bytes(range(20)))
    saved(Image.fromarray(RGB), tmp_path / "b.jpg", exif=with_exif((0x010F, 2, 2**31, bytes(4))))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 15)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in ("a.png", "b.jpg"):
            read_image(tmp_path / name)
    assert caught == []


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


def test_a_pipe_is_named_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(ftrun.DataError, match=r"pipe\.png cannot be read: it is no file, but a pipe"):
        read_image(pipe)
    assert survey([str(pipe)]).notes(255) == []
    assert files_fingerprint([pipe], tmp_path) is None


def test_other_formats_are_not_opened(tmp_path: Path) -> None:
    saved(Image.fromarray(RGB), tmp_path / "a.jpg", format="PPM")
    assert "it is not an image in one of the formats BMP, GIF, JPEG, PNG, TIFF, WEBP" in unreadable(tmp_path / "a.jpg")


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "BMP")
    bomb = bytearray(buffer.getvalue())
    bomb[18:26] = (60_000).to_bytes(4, "little") * 2  # width and height
    (tmp_path / "a.bmp").write_bytes(bomb)
    assert "exceeds limit" in unreadable(tmp_path / "a.bmp")


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
