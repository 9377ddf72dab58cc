"""Forward passes: what they raise carries the names of the parts that made the net."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ftrun.contracts.data import Batch
from ftrun.contracts.errors import SpecError
from ftrun.contracts.net import Net
from ftrun.plugins.building import blame_all

_NO_KERNEL = "could not create a primitive descriptor"
"""So oneDNN says that it cannot compute a layer at all, such as an LSTM in bf16 without AVX-512."""


def outputs(net: Net, batch: Batch) -> dict[str, Tensor]:
    """Return {target: output} of a batch that is ready; of embeddings, what the head makes of them."""
    with blaming(net):
        made: dict[str, Tensor] = net.outputs(batch.inputs) if batch.embedded else net(batch.inputs)
        return made


def outputs_and_embedding(net: Net, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
    """Return the same, and the embeddings that the head has made them of."""
    with blaming(net):
        embedding = batch.inputs if batch.embedded else net.embed(batch.inputs)
        return net.outputs(embedding), embedding


@contextmanager
def blaming(net: Net) -> Iterator[None]:
    """Have an exception inside carry the names of the parts that made the net.

    Raises SpecError where it is that this processor has no kernel in the precision that the spec asks for.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, RuntimeError) and _NO_KERNEL in str(error) and torch.is_autocast_enabled("cpu"):
            raise SpecError(
                "bf16: this processor has no kernel for a layer of the net in it. Take fp32, or auto, which finds out.",
                where="train.precision",
            ) from error
        blame_all(error, net.parts)
        raise
