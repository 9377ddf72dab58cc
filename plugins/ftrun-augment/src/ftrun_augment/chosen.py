"""Changes of some of the images of a batch."""

from collections.abc import Callable

import torch
from torch import Tensor


def changed(images: Tensor, chosen: Tensor, change: Callable[..., Tensor], *drawn: Tensor) -> Tensor:
    """Return images uint8 [B, C, H, W] of which those `chosen`, bool [B], are changed; `drawn` are values of each, [B].

    On a GPU all are changed, and those not chosen thrown away: their number, which costs nothing to know on a CPU,
    would have to be waited for.
    """
    if images.device.type != "cpu":
        return torch.where(chosen[:, None, None, None], change(images, *drawn), images)
    order = chosen.argsort(stable=True)
    still, places = order.split([len(chosen) - (count := int(chosen.sum())), count])
    parts = [images.index_select(0, still)]
    if count:
        parts.append(change(images.index_select(0, places), *(each[places] for each in drawn)))
    return torch.cat(parts).index_select(0, order.argsort())  # several times as fast as index_copy
