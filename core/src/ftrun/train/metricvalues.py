"""What metrics give, as figures: numbers, arrays, and mappings of these."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ftrun.contracts.errors import PluginError
from ftrun.contracts.numbers import is_figure
from ftrun.contracts.specs import Metric
from ftrun.contracts.targets import Target
from ftrun.plugins.building import build, inside

LARGE = 10_000
"""Numbers in an array above which it stays a tensor: it is kept in a file of its own, and not in JSON."""

_OF_CODE = (TypeError, AttributeError, NameError, NotImplementedError, ImportError)
"""What no other data would suit."""


def values_of(key: str, computed: Any) -> dict[str, Any]:
    """Return what `compute()` gave as figures by name: `key`, or `key/name` for each entry of a mapping.

    A number is an int or a float, a truth value 0 or 1. An array gives nested lists, or a tensor on the CPU where it
    is LARGE.

    Raises PluginError for what is none of this.
    """
    if isinstance(computed, list | tuple) and any(isinstance(each, Tensor) for each in computed):
        computed = dict(enumerate(computed))
    if isinstance(computed, Mapping):
        return {
            name: value for entry, each in computed.items() for name, value in values_of(f"{key}/{entry}", each).items()
        }
    if isinstance(computed, bool):
        return {key: int(computed)}
    if is_figure(computed):
        return {key: computed}
    try:
        array = torch.as_tensor(computed).detach()
    except (TypeError, ValueError, RuntimeError):
        array = None
    if array is None or array.is_complex():
        kind = "complex numbers" if array is not None else f"a {type(computed).__name__}"
        raise PluginError(
            f"metric {key!r}: compute() gives {kind}, which is no figure. Let it give a number, a tensor, or a mapping "
            "of names to these."
        )
    array = array.int() if array.dtype == torch.bool else array
    return {key: array.cpu() if array.numel() > LARGE else array.tolist()}


def tried(metric: Metric, where: str, target: Target) -> list[str] | None:
    """Return the names of the single figures that a metric gives for made-up predictions.

    None where it fails on these, or none are to be had: real ones may still suit it.

    where: its place in the spec

    Raises PluginError where what it gives is no figure, and whatever faults in its code raise.
    """
    made_up = target.made_up()
    if made_up is None:
        return None
    built = build(metric, where, target)
    with inside(metric, where):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what is made up
                built = built.to(torch.device("cpu"))
                built.update(*made_up)
                computed = built.compute()
        except _OF_CODE:
            raise
        except Exception:
            return None
        return [name for name, value in values_of(metric.key, computed).items() if is_figure(value)]
