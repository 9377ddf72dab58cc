"""Changes of images, uint8 [B, C, H, W], by what was drawn for each of them. None of them waits for the device."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

import ftrun


def flip(images: Tensor, flipped: Tensor) -> Tensor:
    """Images mirrored where `flipped`, bool [B], is true."""
    width = images.shape[3]
    columns = torch.arange(width, device=images.device)
    columns = torch.where(flipped[:, None], width - 1 - columns, columns)
    return images.gather(3, columns[:, None, None].expand_as(images))


def padded_crop(images: Tensor, corners: Tensor, padding: int) -> Tensor:
    """Windows of the images' own size in the images padded with zeros.

    corners: int64 [B, 2], top and left in the padded image, 0 to 2 x padding
    """
    height, width = images.shape[2:]
    padded = F.pad(images, (padding,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # [B, C, top, left, H, W], nothing copied
    which = torch.arange(len(images), device=images.device)
    return windows.movedim(1, 3)[which, corners[:, 0], corners[:, 1]]


def draw_boxes(
    random: ftrun.SampleRandom, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> Tensor:
    """Boxes inside an image: float32 [B, 4], top, left, height, width in pixels.

    Area uniform in `scale`, logarithm of width / height uniform in that of `ratio`, place uniform. Of ten draws the
    first that fits counts; where none does, the first one is cut to the image.
    """
    low, high = map(math.log, ratio)
    areas = random.uniform(10, low=scale[0], high=scale[1]) * height * width
    ratios = random.uniform(10, low=low, high=high).exp()
    heights, widths = (areas / ratios).sqrt(), (areas * ratios).sqrt()
    fits = (heights <= height) & (widths <= width)
    first = fits.int().argmax(dim=1, keepdim=True)
    sizes = torch.cat([heights.gather(1, first).clamp(max=height), widths.gather(1, first).clamp(max=width)], dim=1)
    room = torch.tensor([height, width], device=sizes.device) - sizes
    return torch.cat([random.uniform(2) * room, sizes], dim=1)


def resized_crop(images: Tensor, boxes: Tensor) -> Tensor:
    """The content of each box, stretched to the image's size with bilinear interpolation.

    A box never holds more pixels than the result, so there is nothing to smooth first (no antialiasing).

    boxes: float32 [B, 4], top, left, height, width in pixels
    """
    count, _, height, width = images.shape
    rows = _positions(height, start=boxes[:, 0], length=boxes[:, 2])[:, :, None].expand(count, height, width)
    columns = _positions(width, start=boxes[:, 1], length=boxes[:, 3])[:, None, :].expand(count, height, width)
    grid = torch.stack([columns, rows], dim=3)
    return _to_uint8(F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False))


def _positions(side: int, start: Tensor, length: Tensor) -> Tensor:
    """float32 [B, side]: centers of pixels spread evenly from `start`, in grid_sample's terms: an image is -1 to 1."""
    centers = (torch.arange(side, device=start.device) + 0.5) / side
    return (start[:, None] + length[:, None] * centers) * (2 / side) - 1


def jitter(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Images times `brightness`, blended away from their mean grey by `contrast`, and from their grey by `saturation`.

    Each factor is float32 [B], and 1 changes nothing. As in torchvision's ColorJitter, but always in this order.
    """
    brightness, contrast, saturation = (factor[:, None, None, None] for factor in (brightness, contrast, saturation))
    pixels = images.float().mul_(brightness).clamp_(0, 255)
    pixels = _grey(pixels).mean(dim=(2, 3), keepdim=True).lerp(pixels, contrast).clamp_(0, 255)
    return _to_uint8(_grey(pixels).lerp(pixels, saturation).clamp_(0, 255))


def _grey(pixels: Tensor) -> Tensor:
    """[B, 1, H, W]: the luma of ITU-R BT.601; one channel is grey already."""
    if pixels.shape[1] == 1:
        return pixels
    red, green, blue = pixels.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _to_uint8(pixels: Tensor) -> Tensor:
    return pixels.round().to(torch.uint8)
