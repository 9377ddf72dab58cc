"""Data that stays in the memory of a GPU: no step has to wait until it comes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ftrun.contracts.data import Batch, TensorSplit
from ftrun.data.reader import BatchReader, identity

_MOST = 0.25  # of the memory that is free: the net needs some too
_PORTION = 4096  # samples that are copied at once


class _Resident(TensorSplit):
    """Inputs, [N, ...], and targets on a device."""

    collated = True

    def __init__(self, inputs: Tensor, targets: dict[str, Tensor], *, embedded: bool) -> None:
        super().__init__(inputs, targets)
        self.embedded = embedded

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        chosen = torch.as_tensor(indices, device=self.inputs.device)
        return self.inputs[chosen], {name: values[chosen] for name, values in self.targets.items()}


def resident(reader: BatchReader, device: torch.device) -> BatchReader | None:
    """What gives the samples of `reader`, which all have the same size, from the memory of `device`.

    None where there is no room for them, or one of them cannot be read.
    """
    inputs: Tensor | None = None
    for start in range(0, len(reader), _PORTION):
        batch, unreadable = reader.__getitems__(range(start, min(start + _PORTION, len(reader))))
        if unreadable or not isinstance(batch, Batch):
            return None
        if inputs is None:
            shape = (len(reader), *batch.inputs.shape[1:])
            if batch.inputs[0].nbytes * len(reader) > _MOST * torch.cuda.mem_get_info(device)[0]:
                return None
            inputs = torch.empty(shape, dtype=batch.inputs.dtype, device=device)
        inputs[start : start + len(batch)] = batch.inputs
    if inputs is None:
        return None
    targets = {name: values.to(device) for name, values in reader.split.targets.items()}
    split = _Resident(inputs, targets, embedded=reader.embedded)
    return BatchReader(split, identity, reader.skip_corrupt)
