"""Which way up an image is, by its EXIF or XMP data: one tag is read, and whatever else is in there harms nobody."""

import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

_TAG = 0x0112
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # EXIF's types of integers

# Axes of [C, H, W] that are exchanged, and those that are mirrored then.
_TURNS: Mapping[int, tuple[bool, tuple[int, ...]]] = {
    2: (False, (2,)),
    3: (False, (1, 2)),
    4: (False, (1,)),
    5: (True, ()),
    6: (True, (2,)),
    7: (True, (1, 2)),
    8: (True, (1,)),
}


def upright(pixels: "Tensor", number: int) -> "Tensor":
    """Return the pixels [C, H, W], turned as an orientation of 1 to 8 says; as they lie where it is another number."""
    exchanged, mirrored = _TURNS.get(number, (False, ()))
    if exchanged:
        pixels = pixels.transpose(1, 2)
    return (pixels.flip(mirrored) if mirrored else pixels).contiguous()


def settled(image: "Image.Image") -> bool:
    """Keep Pillow from parsing all the tags of an image, opened and not loaded yet: a single odd one stops it.

    Return whether Pillow turns it while it is loaded, as it does with a TIFF, told by the one tag that is of interest.
    """
    from PIL import Image

    is_tiff, exif = hasattr(image, "tag_v2"), Image.Exif()
    if is_tiff and (number := of(image)):
        exif[_TAG] = number
    image.getexif = lambda: exif  # type: ignore[method-assign]
    return is_tiff


def of(image: "Image.Image") -> int:
    """Return the orientation of an image, 1 to 8; 0 where nothing that can be read says so."""
    with suppress(Exception):  # of damaged data, whatever Pillow meets with
        found = _of_tags(image) if hasattr(image, "tag_v2") else in_exif(_exif(image))
        if found is not None:
            return found
    return _in_xmp(image)


def _of_tags(image: Any) -> int | None:
    """Return the tag of a TIFF file, which is of the same form as EXIF data."""
    value = image.tag_v2.get(_TAG)
    return value if isinstance(value, int) else None


def _exif(image: "Image.Image") -> bytes:
    data = image.info.get("exif")
    if data is None:  # as ImageMagick writes it into a PNG: a few lines of text, then hexadecimal digits
        data = bytes.fromhex("".join(str(image.info.get("Raw profile type exif", "")).split("\n")[3:]))
    return bytes(data)


def in_exif(data: bytes) -> int | None:
    """Return the orientation, 1 to 8, that EXIF data holds; None where there is none, or its place is damaged."""
    while data.startswith(b"Exif\0\0"):
        data = data[6:]
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 10:
        return None
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    if start + 2 > len(data):
        return None
    (count,) = struct.unpack_from(f"{order}H", data, start)
    found = None
    for entry in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, _ = struct.unpack_from(f"{order}HHI", data, entry)
        if tag == _TAG and kind in _NUMBERS:
            (found,) = struct.unpack_from(order + _NUMBERS[kind], data, entry + 8)
    return found


def _in_xmp(image: "Image.Image") -> int:
    text = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or b""
    match = _XMP.search(text.encode(errors="replace") if isinstance(text, str) else bytes(text))
    return int(match[1]) if match else 0
