"""What is known of image files before any is learnt from: which value is white, and what is told of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftrun_inputs import ImageInput, imagesurvey
from ftrun_inputs.imagesurvey import survey

SPEC = ImageInput(size=(8, 8))


def deep(folder: Path, name: str, brightest: int) -> str:
    values = np.linspace(0, brightest, 40).reshape(5, 8).astype(np.uint16)
    Image.fromarray(values).save(folder / name)
    return str(folder / name)


@pytest.mark.parametrize(
    ("brightest", "white"),
    [(0, 255), (255, 255), (310, 1023), (1024, 4095), (4095, 4095), (9000, 16383), (20000, 65535)],
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_white_is_the_end_of_the_range_that_the_data_needs(brightest, white, suffix, tmp_path):
    files = [deep(tmp_path, f"a.{suffix}", brightest // 2), deep(tmp_path, f"b.{suffix}", brightest)]
    fitted, (note,) = SPEC.looked_at(files, new=True)
    assert fitted == SPEC.changed(white=white)
    assert note.startswith(f"2 16-bit images with values up to {brightest:,}: {white:,} is taken")
    again, (note,) = fitted.looked_at(files, new=False)
    assert again == fitted
    assert fitted.changed(size=(8, 8)).white == white


def test_an_image_that_is_nearly_black_or_clipped_is_told(tmp_path):
    files = [deep(tmp_path, "a.png", 300), deep(tmp_path, "b.png", 60_000)]
    fitted, (note,) = SPEC.looked_at(files, new=True)
    assert fitted.white == 65535
    assert "1 of them (a.png) is nearly black" in note
    other, (note,) = SPEC.changed(white=1023).looked_at(files, new=True)
    assert other.white == 1023
    assert "1 of them (b.png) is brighter than that, and clipped" in note
    same, (note,) = SPEC.looked_at(files[:1], new=False)
    assert same == SPEC, "a run that was trained without such images stays as it is"
    assert "65,535 is taken as the end of their range" in note
    assert "nearly black" in note


def test_images_of_8_bits_need_no_word(tmp_path):
    grey = Image.fromarray(np.arange(40, dtype=np.uint8).reshape(5, 8))
    names = ("a.png", "b.jpg", "c.gif", "d.tif", "e.webp", "f.bmp")
    for name in names:
        grey.save(tmp_path / name)
    (tmp_path / "g.png").write_bytes(b"nothing")
    files = [str(tmp_path / name) for name in (*names, "g.png", "none.png", "bad\0name.png")]
    assert SPEC.looked_at(files, new=True) == (SPEC, [])


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_several_frames_are_told(suffix, tmp_path):
    frame = Image.fromarray(np.arange(40, dtype=np.uint8).reshape(5, 8))
    frame.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[frame.rotate(180)])
    assert survey([str(tmp_path / f"a.{suffix}")]).notes(1) == [
        f"1 image of several frames or pages (a.{suffix}): the first one is taken."
    ]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_large_images_are_told(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(imagesurvey, "_LARGE", 5_000_000)
    monkeypatch.setattr(imagesurvey, "_SMALL", 10)
    Image.new("L", (3000, 2000)).save(tmp_path / f"a.{suffix}")
    (note,) = survey([str(tmp_path / f"a.{suffix}")]).notes(1)
    assert note == f"1 image of more than 5 million pixels (a.{suffix}): they take long and much memory."


def test_transparency_of_16_bits_is_told(tmp_path):
    Image.fromarray(np.full((5, 8), 300, np.uint16)).save(tmp_path / "a.png")
    found = survey([str(tmp_path / "a.png")])
    assert (list(found.deep.values()), found.upper) == ([300], [])
