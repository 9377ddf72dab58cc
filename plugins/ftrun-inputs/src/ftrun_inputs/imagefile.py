"""Image files as tensors: the one way in which training, evaluation and prediction read them."""

import io
import os
import sys
import warnings
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ftrun import DataError, is_special
from ftrun_inputs import orientation, pngchunks

# Told by their content: many a GIF is named .jpg. No others, because some of Pillow's readers start other programs.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")

# 16 bits a channel, which Pillow reads as the upper 8 of them; read with the bytes in the other order, as the lower 8.
_SWAPPED = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B" if sys.byteorder == "little" else "RGB;16L",
}
_DEEPEST = 65535


def read_image(path: str | os.PathLike[str]) -> Tensor:
    """Return the image in RGB, the right way up: uint8 [3, H, W], or uint16 where it has 16 bits a channel.

    Of several frames or pages it is the first. Raises DataError, with the path, where it cannot be read.
    """
    because: Exception
    if is_special(path):
        raise _unreadable(path, OSError("it is no file, but a pipe, a socket or a device"))
    with quiet:
        try:
            return _read(path)
        except MemoryError:
            raise
        except Exception as error:  # whatever Pillow meets with in a damaged file
            because = error
        try:  # what is beside the pixels of a PNG may be damaged, or huge, without any harm to them
            return _read(io.BytesIO(pngchunks.pixels_alone(Path(path).read_bytes())))
        except MemoryError:
            raise
        except Exception:
            raise _unreadable(path, because) from because


def from_memory(given: Any) -> Tensor:
    """Return a PIL image as its file is read, or an array [H, W] or [H, W, C], uint8 or uint16, as [C, H, W]."""
    if isinstance(given, Image.Image):
        with quiet:
            try:
                image = given.copy()
                return orientation.upright(_rgb(image), orientation.of(image))
            except MemoryError:
                raise
            except Exception as error:  # Pillow reads a file when its pixels are asked for
                raise DataError(f"the PIL image cannot be read: {error}.") from error
    if isinstance(given, np.ndarray) and given.dtype in (np.uint8, np.uint16) and given.ndim in (2, 3):
        pixels = torch.from_numpy(np.array(given))  # a copy: it may be read-only, or mirrored by negative strides
        return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1).contiguous()
    what = f"{given.dtype} {list(given.shape)}" if isinstance(given, np.ndarray) else f"a {type(given).__name__}"
    raise DataError(
        "an image is a path, a PIL image, a uint8 tensor [C, H, W], or a uint8 array [H, W, C] or [H, W]; "
        f"this one is {what}."
    )


def to_file(pixels: Tensor, most: int) -> bytes:
    """uint8 [1 or 3, H, W] as a file, no side longer than `most` pixels: PNG where it is small, else JPEG."""
    array = pixels[0].numpy() if len(pixels) == 1 else pixels[:3].permute(1, 2, 0).contiguous().numpy()
    image, file = Image.fromarray(array), io.BytesIO()
    image.thumbnail((most, most))
    if max(image.size) <= 32:  # where JPEG would show, and not save much
        image.save(file, "PNG")
    else:
        image.save(file, "JPEG", quality=85)
    return file.getvalue()


def is_deep(image: Image.Image) -> bool:
    """Whether an image, opened and not loaded yet, has more than 8 bits a channel."""
    return image.mode.startswith("I") or any(";16" in _rawmode(tile) for tile in getattr(image, "tile", ()))


def _read(source: str | os.PathLike[str] | IO[bytes]) -> Tensor:
    with Image.open(source, formats=FORMATS) as image:
        turned = orientation.settled(image)
        others = [_SWAPPED.get(_rawmode(tile)) for tile in image.tile]
        image.load()
        deep = bool(others) and all(others) and not image.has_transparency_data
        pixels = _deep_rgb(image, source) if deep else _rgb(image)
        return pixels if turned else orientation.upright(pixels, orientation.of(image))


def _rawmode(tile: Any) -> str:
    """Return how the bytes of a tile are laid out, of those that Pillow has found in a file."""
    return str(tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args)


def _deep_rgb(upper: Image.Image, source: str | os.PathLike[str] | IO[bytes]) -> Tensor:
    """Return all 16 bits of a colour image whose upper 8 are loaded: uint16 [3, H, W]."""
    if not isinstance(source, str | os.PathLike):
        source.seek(0)
    with Image.open(source, formats=FORMATS) as lower:
        orientation.settled(lower)
        lower.tile = [tile._replace(args=_swapped(tile.args)) for tile in lower.tile]
        values = np.array(upper).astype(np.uint16) << 8 | np.array(lower)
    return torch.from_numpy(values).permute(2, 0, 1).contiguous()


def _swapped(arguments: Any) -> Any:
    return (_SWAPPED[arguments[0]], *arguments[1:]) if isinstance(arguments, tuple) else _SWAPPED[arguments]


def _rgb(image: Image.Image) -> Tensor:
    """Return [3, H, W]: grey, palette and CMYK in RGB, what is transparent laid on white; grey of 16 bits in uint16."""
    if image.mode.startswith("I"):  # Pillow itself would clip it; older ones read "I" where newer ones read "I;16"
        return torch.from_numpy(_in_16_bits(np.array(image))).expand(3, -1, -1).contiguous()
    if image.mode == "F":
        low, high = image.getextrema()
        raise ValueError(
            f"its values are floating-point numbers ({low:g} to {high:g}), of which none is known as white"
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image if image.mode == "RGB" else image.convert("RGB")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _in_16_bits(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return integers [H, W] as uint16. Raises ValueError where they are not from 0 to 65535."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _DEEPEST:
        raise ValueError(f"its values are {low} to {high}, and images have values from 0 to {_DEEPEST}")
    return values.astype(np.uint16)


def _unreadable(path: str | os.PathLike[str], error: Exception) -> DataError:
    cause = str(error) or type(error).__name__
    if isinstance(error, UnidentifiedImageError):
        cause = f"it is not an image in one of the formats {', '.join(FORMATS)}"
    elif isinstance(error, OSError):
        cause = error.strerror or cause
    return DataError(f"the image {os.fspath(path)} cannot be read: {cause}. Replace the file, or remove it.")


class _Quiet:
    """Where Pillow's warnings are not shown: they are of what does not touch the pixels, and name no file.

    Python keeps one list of filters for all threads, so the first one in changes it, and the last one out puts it back.
    """

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._filters: warnings.catch_warnings[None]

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\b")
            self._inside += 1

    def __exit__(self, *raised: Any) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._filters.__exit__(*raised)


quiet = _Quiet()
