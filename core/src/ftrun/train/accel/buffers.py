"""Modules' buffers, kept and put back: for a forward pass that is not to count."""

from copy import deepcopy

import torch
from torch import nn
from torch.nn.parameter import is_lazy


class KeptBuffers:
    """The buffers of some modules as they are now, and what else they have for state (`get_extra_state`).

    Each buffer stays the same tensor, at the same place in memory.
    """

    def __init__(self, *modules: nn.Module) -> None:
        each_module = [each for module in modules for each in module.modules()]
        self._buffers = [(module, dict(module._buffers)) for module in each_module]
        self._values = [
            (buffer, buffer.detach().clone())
            for _, buffers in self._buffers
            for buffer in buffers.values()
            if buffer is not None and not is_lazy(buffer)
        ]
        self._extra = [
            (module, deepcopy(module.get_extra_state()))
            for module in each_module
            if type(module).get_extra_state is not nn.Module.get_extra_state
        ]

    @property
    def replaced(self) -> bool:
        """Whether a module has other tensors for buffers now, or other buffers."""
        return any(
            module._buffers.keys() != buffers.keys()
            or any(module._buffers[name] is not buffer for name, buffer in buffers.items())
            for module, buffers in self._buffers
        )

    @torch.no_grad()
    def restore(self) -> None:
        """Put back what was kept; a buffer that has been made since is gone."""
        for module, buffers in self._buffers:
            module._buffers.clear()
            module._buffers.update(buffers)
        for buffer, value in self._values:
            buffer.copy_(value)
        for module, extra in self._extra:
            module.set_extra_state(extra)
