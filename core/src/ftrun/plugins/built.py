"""What each role's `build()` may give: a fault in words, `None, but ...`, or nothing.

Torch is imported where it is needed: some roles build without it.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from ftrun.contracts import events, hooks
from ftrun.contracts.data import Splits, columns_of
from ftrun.contracts.errors import did_you_mean
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.recipe import FILLS, Filled
from ftrun.contracts.specs import Part
from ftrun.contracts.targets import Target
from ftrun.plugins.building import shown

_OBSERVED = [name for name in vars(events) if name.startswith("ftrun_")]


def fault_of(part: Part, made: Any) -> str:
    """Return what is wrong with what a part has built, or nothing. A role that is not listed may give anything."""
    check = _CHECKS.get(part.role)
    return check(part, made) if check else ""


def _dataset(part: Part, made: Any) -> str:
    if not isinstance(made, Splits):
        return f"{shown(made)}, but an ftrun.Splits(train=..., targets=...) is needed."
    targets: Mapping[Any, Any] = made.targets
    for name, target in targets.items():
        if not isinstance(name, str):
            return f"a target whose name is {name!r}, but a name is a text."
        if not isinstance(target, Target):
            return (
                f"{shown(target)} as target {name!r}, but an ftrun.Target is needed, such as ftrun.Classes(names=...)."
            )
    return next((fault for name, split in made.items() if (fault := _split(name, split, made))), "")


def _split(name: str, split: Any, splits: Splits) -> str:
    if not all(hasattr(split, needed) for needed in ("__len__", "__getitem__")):
        return f"{shown(split)} as its {name} split, but that needs len(split) and split[i]."
    import torch

    columns: Any = columns_of(split)
    if not isinstance(columns, Mapping):
        return f"{shown(columns)} as the columns of its {name} split, but {{target: tensor [N, ...]}} is needed."
    for target, values in columns.items():
        kind, tensor = splits.targets.get(target), isinstance(values, torch.Tensor)
        wanted = (kind.column_fault(values) if tensor else "a tensor [N, ...]") if kind else ""
        if wanted:
            return f"{shown(values)} for target {target!r} of its {name} split, but {wanted} is needed."
    return ""


def _net(part: Part, made: Any) -> str:
    from ftrun.contracts.net import Net

    if not isinstance(made, Net):
        return f"{shown(made)}, but an ftrun.Net is needed."
    needed = ("features", "pool") if made.embeds else ("features",)
    lacking = [each for each in needed if getattr(type(made), each) is getattr(Net, each)]
    if lacking and type(made).forward is Net.forward:
        return f"a {type(made).__name__} that does not define {' and '.join(lacking)}."
    wanted: Any = getattr(part, "input_type", InputSpec)
    if not isinstance(made.input, wanted):
        return f"a net whose input is {shown(made.input)}, but {wanted.__name__} is what the part says as `input_type`."
    return ""


def _modified(part: Part, made: Any) -> str:
    from ftrun.contracts.net import Net

    if not isinstance(made, Net):
        return f"{shown(made)}, but the changed net is needed, an ftrun.Net: end build() with `return net`."
    return _net(part, made)


def _module(part: Part, made: Any) -> str:
    from torch import nn

    if isinstance(made, nn.Module):
        return ""
    return f"{shown(made)}, but an nn.Module is needed: put what it computes into a module's forward()."


def _augmentation(part: Any, made: Any) -> str:
    if callable(made) or (part.moves and isinstance(made, tuple) and len(made) == 2 and all(map(callable, made))):
        return ""
    two = ", or that and one (random, size) -> ftrun.Warp before it" if part.moves else ""
    return f"{shown(made)}, but a function (batch, random) -> batch is needed{two}."


def _objective(part: Part, made: Any) -> str:
    from ftrun.contracts.objective import ObjectiveModule

    if not isinstance(made, ObjectiveModule):
        return f"{shown(made)}, but an ftrun.ObjectiveModule is needed."
    return "" if made.views >= 1 else f"a module whose views are {made.views!r}, but at least one is needed."


def _optimizer(part: Part, made: Any) -> str:
    import torch

    if not isinstance(made, torch.optim.Optimizer):
        return f"{shown(made)}, but a torch.optim.Optimizer is needed."
    if not all("lr" in group for group in made.param_groups):
        return "an optimizer without a learning rate: each parameter group needs an `lr`."
    return ""


def _scheduler(part: Part, made: Any) -> str:
    import torch

    if not callable(made) or isinstance(made, torch.optim.lr_scheduler.LRScheduler):
        return f"{shown(made)}, but a function is needed: progress from 0 to 1 -> factor on the learning rate."
    for progress in (0.0, 0.5, 1.0):
        factor = made(progress)
        if not isinstance(factor, int | float | torch.Tensor) or not math.isfinite(factor):
            return f"a function that makes {factor!r} of progress {progress}, but a finite factor is needed."
    return ""


def _observer(part: Part, made: Any) -> str:
    marked = f"{hooks.PROJECT}_impl"
    names = [name for name in dir(type(made)) if not name.startswith("__")]
    unmarked = [name for name in names if name in _OBSERVED and not hasattr(getattr(type(made), name), marked)]
    if unmarked:
        return f"{shown(made)} whose {unmarked[0]} is not marked with @ftrun.hookimpl, so it would never be called."
    if any(hasattr(getattr(type(made), name, None), marked) for name in names):
        return ""
    near = next((hint for name in names if (hint := did_you_mean(name, _OBSERVED))), "")
    return (
        f"{shown(made)}, but an object is needed with at least one of {', '.join(_OBSERVED)}, marked with "
        f"@ftrun.hookimpl.{near}"
    )


def _filled(made: Any) -> str:
    if not isinstance(made, Filled):
        return f"{shown(made)}, but an ftrun.Filled(spec=..., why=...) is needed."
    unknown = [key for key in made.spec if key not in FILLS]
    return f"the key {unknown[0]!r}, but a recipe fills in {', '.join(sorted(FILLS))} alone." if unknown else ""


def _sampler(part: Part, made: Any) -> str:
    import torch

    if fault := _with_methods(made, "indices"):
        return fault
    order = made.indices(0, 1)
    if isinstance(order, torch.Tensor) and order.dtype == torch.int64 and order.ndim == 1 and len(order):
        return ""
    return f"an object whose indices(0, 1) is {shown(order)}, but int64 [M], at least one, is needed."


def _with_methods(made: Any, *names: str) -> str:
    lacking = [f"{name}()" for name in names if not callable(getattr(made, name, None))]
    if not lacking and not isinstance(made, type):
        return ""
    missing = f"; it lacks {' and '.join(lacking)}" if lacking and made is not None else ""
    return f"{shown(made)}, but an object with {', '.join(f'{name}()' for name in names)} is needed{missing}."


_CHECKS: dict[str, Callable[[Part, Any], str]] = {
    "dataset": _dataset,
    "backbone": _net,
    "modifier": _modified,
    "augmentation": _augmentation,
    "head": _module,
    "loss": _module,
    "objective": _objective,
    "optimizer": _optimizer,
    "sampler": _sampler,
    "scheduler": _scheduler,
    "metric": lambda part, made: _with_methods(made, "update", "compute", "reset", "to"),
    "observer": _observer,
    "recipe": lambda part, made: _filled(made),
    "exporter": lambda part, made: _with_methods(
        made, "write", "open", *(("quantize",) if getattr(part, "quantizes", False) else ())
    ),
    "hub": lambda part, made: _with_methods(made, "push"),
}
