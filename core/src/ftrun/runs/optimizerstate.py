"""The state of an optimizer, by names that JSON can hold."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the optimizer's state, by names that JSON can hold."""
    state = optimizer.state_dict()
    return {**state, "state": {str(parameter): values for parameter, values in state["state"].items()}}


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Put what `optimizer_state` gave into `optimizer`, in the dtypes that it had: torch makes all of it float32."""
    by_index = {int(parameter): values for parameter, values in state["state"].items()}
    optimizer.load_state_dict({**state, "state": by_index})
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, values in by_index.items():
        loaded = optimizer.state[parameters[index]]
        for key, value in values.items() if loaded.keys() == values.keys() else ():
            loaded[key] = _as_saved(loaded[key], value, parameters[index])


def _as_saved(loaded: Any, saved: Any, parameter: Tensor) -> Any:
    """Return `loaded` with the tensors that were saved, each on the device to which torch has brought it."""
    if isinstance(saved, Mapping):
        return {key: _as_saved(loaded[key], value, parameter) for key, value in saved.items()}
    if isinstance(saved, list):
        return [_as_saved(*each, parameter) for each in zip(loaded, saved, strict=True)]
    if not isinstance(saved, Tensor):
        return loaded
    if saved.shape != parameter.shape:
        return saved.to(loaded.device, copy=True)
    # Files are contiguous; the optimizer's arithmetic follows the parameter.
    return torch.empty_like(parameter, dtype=saved.dtype, device=loaded.device).copy_(saved)
