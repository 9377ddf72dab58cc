"""Images: resize and crop on the CPU in uint8, normalise on the device."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema, model_validator

from ftrun import DataError, FtrunError, InputSpec, PlainCode, SpecError, TensorLayout, Warp
from ftrun_inputs import pixels
from ftrun_inputs.imagecode import CODE

if TYPE_CHECKING:
    from torch import Tensor, nn

DEEPEST = 65535
"""The largest value that 16 bits hold."""

_SIDE = {"type": "integer", "minimum": 1, "maximum": 8192}


def _pair(value: Any) -> Any:
    """32 means [32, 32]."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    if isinstance(value, list | tuple) and len(value) == 2:
        return tuple(value)
    raise ValueError(f"must be a number of pixels, or [height, width], but it is {json.dumps(value)}.")


Side = Annotated[int, Field(ge=1, le=8192)]
Size = Annotated[
    tuple[Side, Side],
    BeforeValidator(_pair),
    WithJsonSchema({"anyOf": [_SIDE, {"type": "array", "items": _SIDE, "minItems": 2, "maxItems": 2}]}),
]


def read_image(path: str | os.PathLike[str]) -> "Tensor":
    """Return the image in RGB, the right way up: uint8 [3, H, W], or uint16 where it has 16 bits a channel.

    Raises DataError, with the path, where it cannot be read.
    """
    read: Tensor = _files().read_image(path)
    return read


class ImageInput(InputSpec):
    """An image: resized so that its shorter side is size / crop, cropped at the centre, scaled to 0..1, normalised."""

    suffixes: ClassVar[tuple[str, ...]] = (
        ".bmp",
        ".gif",
        ".jfif",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".png",
        ".tif",
        ".tiff",
        ".webp",
    )
    task: ClassVar[str | None] = "image-classification"
    sample_expr: ClassVar[str] = '"an.jpg"'
    plain_code: ClassVar[PlainCode | None] = CODE

    kind: Literal["image"] = "image"
    size: Size = Field(description="Height and width in pixels that the net sees; one number for both.")
    mean: tuple[float, ...] = Field(
        (0.485, 0.456, 0.406), min_length=1, description="Mean of each channel, on the scale 0 to 1."
    )
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.229, 0.224, 0.225), description="Standard deviation of each channel, on the scale 0 to 1."
    )
    interpolation: Literal["bilinear", "bicubic", "nearest"] = Field("bilinear", description="How images are resized.")
    crop: float = Field(
        1.0, gt=0, le=1, description="Part of the resized image's shorter side that the centre crop keeps."
    )
    white: int | None = Field(
        None,
        ge=1,
        le=DEEPEST,
        description="Value that is white in images of 16 bits a channel. If not given, the end of the range that the "
        "data needs: 255, 1023, 4095, 16383 or 65535.",
    )

    @model_validator(mode="after")
    def _of_the_same_channels(self) -> Self:
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"mean has {len(self.mean)} values and std has {len(self.std)}: one is needed per channel."
            )
        return self

    def changed(self, **fields: Any) -> Self:
        """As in InputSpec. A new `size` alone also means the whole image: a crop goes with the size it was tuned at.

        Raises SpecError where mean and std are not of as many channels.
        """
        try:
            return super().changed(**({"crop": 1.0} | fields if "size" in fields else fields))
        except ValidationError as error:
            (first, *_) = error.errors(include_url=False)
            raise SpecError(first["msg"].removeprefix("Value error, "), where="input") from None

    def of_channels(self, channels: int) -> Self:
        """Return this input, for a net that takes images of so many channels.

        Raises SpecError where mean and std are of another number.
        """
        if len(self.mean) != channels:
            raise SpecError(self._wrong_channels(channels), where="input")
        return self

    def _wrong_channels(self, channels: int) -> str:
        given = len(self.mean)
        return (
            f"the net takes images of {channels} channel{'s' * (channels != 1)}, but mean and std have {given} "
            f"value{'s' * (given != 1)}. Give {channels} of each, or leave them out."
        )

    def alternatives(self) -> Iterator[tuple[Self, str]]:
        """Other numbers of channels, then larger sizes, from small to large."""
        for channels in {1, 3} - {len(self.mean)}:
            yield self.changed(mean=(0.5,) * channels, std=(0.5,) * channels), self._wrong_channels(channels)
        height, width = self.size
        for side in (2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512):
            if side > min(height, width):
                larger = (max(side, height), max(side, width))
                yield (
                    self.changed(size=larger),
                    f"the net takes no images of {height} x {width} pixels (height x width). It takes {larger[0]} x "
                    f"{larger[1]}; give a size of that or more.",
                )

    def example(self, count: int) -> "Tensor":
        """Images of noise, uint8 [count, channels, height, width]."""
        import torch

        generator = torch.Generator().manual_seed(0)
        return torch.randint(0, 256, (count, len(self.mean), *self.size), dtype=torch.uint8, generator=generator)

    def read(self, path: str | os.PathLike[str]) -> "Tensor":
        """Return the image as `read_image` does. Raises DataError, with the path, where it cannot be read."""
        return read_image(path)

    def from_user(self, value: Any) -> "Tensor":
        """Return [C, H, W] from a path, a PIL image, such a tensor, or an array [H, W, C] or [H, W].

        uint8 or, of 16 bits a channel, uint16
        """
        import torch

        if isinstance(value, torch.Tensor):
            return value.contiguous()
        if isinstance(value, str | os.PathLike):
            return read_image(value)
        image: Tensor = _files().from_memory(value)
        return image

    def looked_at(self, files: Sequence[str], *, new: bool) -> tuple[Self, list[str]]:
        """As in InputSpec: which value is white is a matter of all images of 16 bits together, not of each."""
        if not files:
            return self, []
        from ftrun_inputs import imagesurvey

        _files()  # Pillow, or what to install
        found = imagesurvey.survey(files)
        white = self.white or (found.white if new else None)
        fitted = self if white == self.white else type(self).model_validate({**dict(self), "white": white})
        return fitted, found.notes(white or DEEPEST)

    def preview(self, raw: "Tensor") -> bytes | None:
        """What the net sees of an image [C, H, W], as a file: its crop, at most 112 pixels high and wide."""
        if raw.ndim != 3 or raw.shape[0] not in (1, 3):
            return None
        seen = raw if raw.shape[1:] == self.size else self._fit(raw[None])[0]
        seen = pixels.in_8_bits(seen, self.white)
        file: bytes = _files().to_file(seen, most=112)
        return file

    def accepts(self, raw: Any) -> bool:
        """Return whether it is a tensor of an image that has this input's channels, or can be given them."""
        import torch

        return isinstance(raw, torch.Tensor) and raw.ndim == 3 and pixels.is_image(raw) and len(raw) in self._channels

    @property
    def requirement(self) -> str:
        """A tensor, its types and its sizes."""
        return f"an image, a uint8 or uint16 tensor [{' or '.join(map(str, self._channels))}, height, width]"

    @property
    def _channels(self) -> list[int]:
        """How many channels raw images may have."""
        channels = len(self.mean)
        return sorted({1, channels} | ({3} if channels == 1 else set()))

    def export_description(self, *, prepared: bool) -> str:
        """Pixels, prepared or not."""
        if prepared:
            return "float32 [batch, channels, height, width], resized, cropped, scaled and normalised as `input` says"
        return "uint8 [batch, channels, height, width], resized and cropped as `input` says; the rest is done inside"

    def limitations(self) -> Iterator[str]:
        """How large the images are."""
        height, width = self.size
        yield f"It sees images at {width} x {height} pixels: details that are lost at that size, it cannot see."

    @property
    def collated_layout(self) -> TensorLayout:
        """Pixels."""
        return TensorLayout("uint8", (len(self.mean), *self.size))

    @property
    def prepared_layout(self) -> TensorLayout:
        """The same, normalised."""
        return TensorLayout("float32", (len(self.mean), *self.size))

    def collate_options(self) -> Any:
        """All but the normalisation, which comes later."""
        return [
            len(self.mean),
            self.model_dump(mode="json", include={"kind", "size", "interpolation", "crop", "white"}),
        ]

    def collate(self, raw: "Sequence[Tensor] | Tensor") -> "Tensor":
        """Return uint8 [B, channels, *size] from images [C, H, W] of any sizes, or from a batch [B, C, H, W]."""
        import torch

        if not isinstance(raw, torch.Tensor) and len({(image.shape, image.dtype) for image in raw}) == 1:
            raw = torch.stack(list(raw))  # resize them in one go
        if isinstance(raw, torch.Tensor):
            return self._fit(raw)
        return torch.cat([self._fit(image[None]) for image in raw])

    def warp(self, raw: "Tensor") -> Warp:
        """Return the map from a raw image's pixels, as it is the right way up, to those of what `collate` gives."""
        return self._cut(raw).warp(self.size)

    def resolution(self, raw: "Tensor") -> float:
        """Return how many times the size an image could be prepared at before its pixels were enlarged."""
        height, width = raw.shape[-2:]
        resized = self._resized(height, width)
        return min(height / resized[0], width / resized[1])

    def enlarged(self, factor: float) -> Self:
        """Return the same input at so many times the size: of the same part of an image, with more pixels."""
        height, width = (max(round(side * factor), 1) for side in self.size)
        return self.changed(size=(height, width), crop=self.crop)

    def preparation(self) -> "nn.Module":
        """uint8 [B, channels, H, W] -> float32 of the same shape, normalised."""
        from ftrun_inputs.normalise import Normalise

        return Normalise(self.mean, self.std)

    def _fit(self, images: "Tensor") -> "Tensor":
        """Resize and crop as timm does for evaluation: shorter side to floor(size / crop), then the centre."""
        channels = len(self.mean)
        if images.ndim != 4 or not self.accepts(images[0]):
            raise DataError(f"it takes {self.requirement}, but this one is {images.dtype} {list(images.shape[1:])}.")
        images = pixels.in_channels(pixels.in_8_bits(images, self.white), channels)
        images = pixels.crop_of_resized(images, self._cut(images), self.size, self.interpolation)
        return images.expand(-1, channels, -1, -1).contiguous()

    def _cut(self, image: "Tensor") -> pixels.Cut:
        height, width = image.shape[-2:]
        return pixels.cut((height, width), self._resized(height, width), self.size, self.interpolation)

    def _resized(self, image_height: int, image_width: int) -> tuple[int, int]:
        height, width = (math.floor(side / self.crop) for side in self.size)
        if height * image_width >= width * image_height:
            return height, height * image_width // image_height
        return width * image_height // image_width, width


def _files() -> ModuleType:
    """What reads images; nets whose images are tensors already do without it."""
    try:
        from ftrun_inputs import imagefile
    except ModuleNotFoundError as error:
        raise FtrunError(
            f"images are read with Pillow and NumPy, and {error.name} is not here. "
            'Run: pip install "ftrun-inputs[images]"'
        ) from None
    return imagefile
