"""Image files as a split: each is decoded when it is asked for."""

import contextlib
import hashlib
import os
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

import ftrun
from ftrun_folder.layout import Tree

# Told by their content: many a GIF is named .jpg. No others, because some of Pillow's readers start other programs.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")


class ImageFiles:
    """The images of a tree as a split; labels are positions in `names`."""

    def __init__(self, tree: Tree, names: Sequence[str]) -> None:
        labels = {name: label for label, name in enumerate(names)}
        self.paths = [image.path for images in tree.values() for image in images]
        self.targets = {"label": torch.tensor([labels[name] for name, images in tree.items() for _ in images])}

    @property
    def fingerprint(self) -> str:
        """Of the files' names, sizes and times of change, in their order."""
        found = hashlib.sha256()
        for path in self.paths:
            with contextlib.suppress(OSError):  # one that is gone is reported when it is read
                status = os.stat(path)
                found.update(f"{os.path.basename(path)} {status.st_size} {status.st_mtime_ns}\n".encode())
        return found.hexdigest()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> ftrun.Sample:
        return read_image(self.paths[index]), {"label": self.targets["label"][index]}


def read_image(path: str) -> Tensor:
    """The image in RGB, the right way up: uint8 [3, H, W]. Raises DataError, with the path, where it cannot be read."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.load()
            _turn_upright(image)
            rgb = _to_rgb(image)
    except UnidentifiedImageError as error:
        raise _unreadable(path, f"it is not an image in one of the formats {', '.join(FORMATS)}") from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's, for damaged files
        raise _unreadable(path, str(error)) from error
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1).contiguous()


def _unreadable(path: str, cause: str) -> ftrun.DataError:
    return ftrun.DataError(f"the image {path} cannot be read: {cause}. Replace the file, or remove it.")


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
