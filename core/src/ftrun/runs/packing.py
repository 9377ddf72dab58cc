"""Any state made of tensors, numbers, text, lists and dicts as JSON and named tensors, exactly; no pickle."""

import math
from typing import Any

from torch import Tensor

from ftrun.contracts.errors import FtrunError


def pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON. Its tensors go to `tensors`, named by their place: `optimizer.state.0.exp_avg`.

    A tensor becomes {"$tensor": its name}, and a float that JSON has no word for {"$float": "nan"}; a key that begins
    with $ gets another one. Tuples come back as lists. Raises FtrunError for what is none of this.
    """
    if isinstance(value, Tensor):
        while name in tensors:  # {"a": {"b": ..}, "a.b": ..}
            name += "'"
        tensors[name] = value.detach().contiguous()
        return {"$tensor": name}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {
            f"${key}" if key[:1] == "$" else key: pack(each, f"{name}.{key}", tensors) for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [pack(each, f"{name}.{index}", tensors) for index, each in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise FtrunError(
        f"{name} is a {type(value).__name__}, which a checkpoint cannot hold: only tensors, numbers, text, "
        "lists and dicts by name. This is the plugin's to mend."
    )


def unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return what `pack` was given. Raises KeyError for a tensor that is not there."""
    if isinstance(value, list):
        return [unpack(each, tensors) for each in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        return tensors[value["$tensor"]]
    if "$float" in value:
        return float(value["$float"])
    return {key.removeprefix("$"): unpack(each, tensors) for key, each in value.items()}
