"""Image files as tensors: the one way in which training, evaluation and prediction read them."""

import contextlib
import io
import os
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ftrun.errors import DataError

# Told by their content: many a GIF is named .jpg. No others, because some of Pillow's readers start other programs.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")


def read_image(path: str | os.PathLike[str]) -> Tensor:
    """The image in RGB, the right way up: uint8 [3, H, W]. Raises DataError, with the path, where it cannot be read."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.load()
            return _pixels(image)
    except UnidentifiedImageError as error:
        raise _unreadable(path, f"it is not an image in one of the formats {', '.join(FORMATS)}") from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's, for damaged files
        raise _unreadable(path, str(error)) from error


def from_memory(given: Any) -> Tensor:
    """A PIL image, as its file is read, or an array: uint8 [H, W] or [H, W, C] gives uint8 [C, H, W]."""
    if isinstance(given, Image.Image):
        try:
            return _pixels(given.copy())  # it is turned in place
        except (OSError, SyntaxError, ValueError) as error:  # Pillow reads a file when its pixels are asked for
            raise DataError(f"the PIL image cannot be read: {error}.") from error
    if isinstance(given, np.ndarray) and given.dtype == np.uint8 and given.ndim in (2, 3):
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


def _pixels(image: Image.Image) -> Tensor:
    _turn_upright(image)
    return torch.from_numpy(np.array(_to_rgb(image))).permute(2, 0, 1).contiguous()


def _unreadable(path: str | os.PathLike[str], cause: str) -> DataError:
    return DataError(f"the image {os.fspath(path)} cannot be read: {cause}. Replace the file, or remove it.")


def _turn_upright(image: Image.Image) -> None:
    """Turn it as the camera says in its EXIF data."""
    with contextlib.suppress(SyntaxError):  # of damaged EXIF data: then the image is taken as it lies
        ImageOps.exif_transpose(image, in_place=True)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Grey, palette and CMYK in RGB; 16-bit grey scaled to 8 bits; what is transparent laid on white."""
    if image.mode.startswith("I"):  # Pillow itself would clip it; older ones read "I" where newer ones read "I;16"
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")
