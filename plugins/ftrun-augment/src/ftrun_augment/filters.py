"""Changes of images, uint8 [B, C, H, W], by what is around each pixel. None of them waits for the device."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ftrun_augment.levels import to_levels


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend images with themselves smoothed, factor 0, or away from it; factors are float32 [B].

    As torchvision's adjust_sharpness: smoothed by [[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13, but for the rim, which stays.
    """
    if min(images.shape[2:]) <= 2:
        return images
    wide = images.to(torch.int16)
    inner = wide[:, :, 1:-1, 1:-1]
    rows = wide[:, :, :-2] + wide[:, :, 1:-1]
    rows += wide[:, :, 2:]
    sums = rows[..., :-2] + rows[..., 1:-1]
    sums += rows[..., 2:]
    sums.add_(inner, alpha=4)
    smooth = sums.float().mul_(1 / 13).round_()
    factors = factors[:, None, None, None]
    blended = smooth.mul_(1 - factors).add_(inner.float().mul_(factors))
    changed = images.clone()
    changed[:, :, 1:-1, 1:-1] = to_levels(blended)
    return changed


def blur(images: Tensor, sigmas: Tensor, radius: int) -> Tensor:
    """Smooth images by a Gaussian of so many pixels [B], cut at `radius`; images are mirrored at their rims."""
    radius = min(radius, *(side - 1 for side in images.shape[2:]))
    places = torch.arange(-radius, radius + 1, device=images.device)
    kernels = torch.softmax(-((places / sigmas[:, None]) ** 2) / 2, dim=1)  # [B, 2 * radius + 1]
    pixels = images.float()
    for dim, padding in ((2, (0, 0, radius, radius)), (3, (radius, radius, 0, 0))):
        padded = F.pad(pixels, padding, mode="reflect")
        side = images.shape[dim]
        pixels = torch.zeros_like(pixels)
        for index, weights in enumerate(kernels.unbind(1)):
            pixels.addcmul_(padded.narrow(dim, index, side), weights[:, None, None, None])
    return to_levels(pixels.round_())
