"""Changes of colours of images, uint8 [B, C, H, W], by what was drawn for each. None of them waits for the device."""

import torch
from torch import Tensor


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
