"""Changes of the levels of images, uint8 [B, C, H, W], each as torchvision's of the same name has it, for all at once.

C is 1 or 3. What is drawn for each image is float32 [B]. None of them waits for the device, or changes its argument.
"""

import torch
from torch import Tensor

_LUMA = 0.2989, 0.587, 0.114  # torchvision's weights of red, green and blue


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply images by their factors: 0 is black, 1 changes nothing."""
    return to_levels(images.float().mul_(_wide(factors)))


def saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Blend images with themselves in grey, factor 0, or away from it; grey images have nothing to change."""
    if images.shape[1] == 1:
        return images
    pixels = images.float()
    return _blended(pixels, _grey(pixels).floor_(), factors)


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Blend images with the mean of their grey, factor 0, or away from it."""
    pixels = images.float()
    return _blended(pixels, _grey(pixels).floor_().mean(dim=(1, 2, 3), keepdim=True), factors)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep so many of the upper bits of each level, 0 to 8."""
    masks = -(2 ** (8 - bits)).to(torch.int16)
    return images & _wide(masks.to(torch.uint8))


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Invert the levels from a threshold on, 0 to 255."""
    at = _wide(thresholds.ceil().to(torch.uint8))
    below = (torch.maximum(images, at) - images).clamp_(max=1)  # 1 or 0; bools take ten times as long
    return images ^ (below - 1)


def autocontrast(images: Tensor) -> Tensor:
    """Stretch the levels of each channel, so that its least becomes 0 and its largest 255; one of one level stays."""
    least, most = images.amin(dim=(2, 3), keepdim=True).float(), images.amax(dim=(2, 3), keepdim=True).float()
    flat = least == most
    least, step = least.masked_fill(flat, 0), ((most - least) * (1 / 255)).masked_fill(flat, 1)
    return to_levels(images.float().sub_(least).div_(step))


def equalize(images: Tensor) -> Tensor:
    """Spread the levels of each channel, so that each is about as frequent as any other: Pillow's algorithm."""
    levels = images.flatten(2).long()
    counts, total = _histograms(levels), levels.shape[2]
    below = counts.cumsum(dim=2)  # of pixels up to each level
    of_largest = counts.gather(2, (below == total).byte().argmax(dim=2, keepdim=True))
    step = (total - of_largest) // 255
    spread = ((below - counts + step // 2) // step.clamp(min=1)).clamp_(max=255)
    table = torch.where(step == 0, torch.arange(256, device=images.device), spread).to(torch.uint8)
    return table.gather(2, levels).view_as(images)


def grayscale(images: Tensor) -> Tensor:
    """Take the colour out of images."""
    return to_levels(_grey(images.float())).expand_as(images).contiguous()


def to_levels(pixels: Tensor) -> Tensor:
    """Return float pixels, which are changed, as levels; of what is between two, the lower one, as torchvision does."""
    return pixels.clamp_(0, 255).to(torch.int16).to(torch.uint8)  # on a CPU, twice as fast as at once


def _histograms(levels: Tensor) -> Tensor:
    """Return how many there are of each level: int64 [B, C, 256] of int64 [B, C, N]."""
    count, channels = levels.shape[:2]
    if levels.device.type == "cpu":  # where there is nothing to wait for, a third of the time
        images = torch.arange(count * channels).reshape(count, channels, 1) * 256
        return (levels + images).flatten().bincount(minlength=count * channels * 256).reshape(count, channels, 256)
    counts = levels.new_zeros(count, channels, 256)
    return counts.scatter_add_(2, levels, levels.new_ones(1).expand_as(levels))


def _grey(pixels: Tensor) -> Tensor:
    """Return float pixels in grey, [B, 1, H, W], a tensor of its own; one channel is grey already."""
    if pixels.shape[1] == 1:
        return pixels.clone()
    red, green, blue = pixels.split(1, dim=1)
    return (red * _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2])


def _blended(pixels: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    factors = _wide(factors)
    return to_levels(pixels.mul_(factors).add_(others * (1 - factors)))


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]
