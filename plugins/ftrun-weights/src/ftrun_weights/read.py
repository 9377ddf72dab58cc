"""Weight files as they come: read without running anything in them, found in their nest, named as the model names them.

`kinds` says what a file is that holds none.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path, PosixPath
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ftrun import SpecError
from ftrun_weights import kinds

_AVERAGED = ("state_dict_ema", "model_ema", "ema", "ema_state_dict", "params_ema", "teacher")
_PLAIN = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "module",
    "backbone",
    "encoder",
    "student",
    "params",
)
_PREFERRED = (*_AVERAGED, *_PLAIN)
_COMPILED = "_orig_mod."  # what torch.compile puts into names
_DEEPEST = 3


class Weights(NamedTuple):
    """The tensors of a weight file by the model's names, and what a user should know of how they were found."""

    tensors: dict[str, Tensor]
    notes: list[str]


class _Candidate(NamedTuple):
    path: tuple[str, ...]
    tensors: dict[str, Tensor]


def read_weights(path: Path, own: Mapping[str, Tensor] | None = None, *, head: str = "") -> Weights:
    """Return the tensors of a weight file, on the CPU; nothing that the file holds is run.

    A file of safetensors or of torch.save, whatever it is called. Of several state dicts in it, the one that fits the
    model is taken; of two that fit alike, averaged weights. A prefix of the model's names there (`module.`, `model.`,
    `backbone.`, ...) goes, and with it whatever has another one.

    own: the model's own tensors by name; without them the file's names stay
    head: where in the model its head is, `fc`; one that the file lacks, or has for other classes, stays the model's own

    Raises SpecError, with the path, where it holds no weights: with what it is, and what to do.
    """
    candidates = list(_candidates(_load(path)))
    if not candidates:
        raise SpecError(f"weight file {path} holds no state dict (names and tensors).")
    fitted = [(each, *_renamed(each.tensors, own or {})) for each in candidates]
    best, tensors, left_out = max(fitted, key=lambda one: _rank(one[0], one[1], own or {}))
    notes = []
    others = [".".join(each.path) for each, renamed, _ in fitted if each is not best and _fits(renamed, own or {})]
    if others:
        notes.append(f"{path}: its {'.'.join(best.path)} is taken; it has {', '.join(others)} too")
    if left_out:
        notes.append(f"{path}: {len(left_out)} tensors are left out, no part of the model: {_some(left_out)}")
    if own and head:
        tensors, headless = _with_own_head(tensors, own, head)
        notes += [f"{path}: {headless}"] if headless else []
    return Weights(tensors, notes)


def _load(path: Path) -> Any:
    kind = kinds.weight_file_kind(path)  # raises where it is none
    if kind == "safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise kinds.damaged(path, error) from error
    try:
        with torch.serialization.safe_globals(_harmless()), path.open("rb") as file:  # by content: not by its name
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has many for files that are cut off, or hold more than tensors
        objects = _objects(path)
        if objects:
            raise SpecError(
                f"weight file {path} is a whole pickled object: to read it is to run its code ({_some(objects)}), so "
                "it is not read. Where it was made, save its weights alone: torch.save(model.state_dict(), path)."
            ) from error
        raise kinds.damaged(path, error) from error


def _harmless() -> list[Any]:
    """What training scripts keep beside weights, and cannot do anything: options, paths, numbers of NumPy's."""
    from argparse import Namespace

    known: list[Any] = [Namespace, PosixPath, (PosixPath, "pathlib.PosixPath")]
    with suppress(ImportError, AttributeError):
        import numpy as np

        multiarray = import_module("numpy._core.multiarray")
        for name in ("scalar", "_reconstruct"):
            made = getattr(multiarray, name)
            known += [made, (made, f"numpy.core.multiarray.{name}")]  # as NumPy 1 called it
        known += [np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "i4", "?"))]
    return known


def _objects(path: Path) -> list[str]:
    """The classes and functions that a pickle asks for and that are not known to be harmless."""
    with suppress(Exception), torch.serialization.safe_globals(_harmless()), path.open("rb") as file:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    return kinds.asked_for(path)


def _candidates(value: Any, path: tuple[str, ...] = ()) -> Iterator[_Candidate]:
    """Every mapping in what a file holds that has tensors by name."""
    if not isinstance(value, Mapping) or len(path) > _DEEPEST:
        return
    tensors = {name: each for name, each in value.items() if isinstance(name, str) and isinstance(each, Tensor)}
    if tensors:
        yield _Candidate(path, tensors)
    for name, each in value.items():
        yield from _candidates(each, (*path, str(name)))


def _rank(candidate: _Candidate, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> tuple[int, int, int]:
    """What makes one state dict the better choice: that it fits, that its name says so, its length."""
    name = candidate.path[-1] if candidate.path else ""
    named = len(_PREFERRED) - _PREFERRED.index(name) if name in _PREFERRED else 0
    return _fits(tensors, own), named, len(tensors)


def _fits(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> int:
    return sum(name in own and tensor.shape == own[name].shape for name, tensor in tensors.items())


def _renamed(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors without the prefix that the model's names lack, and the names of those that have another one."""
    plain = {name.replace(_COMPILED, ""): tensor for name, tensor in tensors.items()}
    prefixes: Counter[str] = Counter({"": 0})  # the first of equals is taken
    for name in plain:
        steps = name.split(".")
        for depth in range(len(steps)):
            if ".".join(steps[depth:]) in own:
                prefixes["".join(f"{step}." for step in steps[:depth])] += 1
    (prefix, _), *_ = prefixes.most_common(1)
    inside = {name.removeprefix(prefix): tensor for name, tensor in plain.items() if name.startswith(prefix)}
    return inside, [name for name in plain if not name.startswith(prefix)]


def _with_own_head(tensors: dict[str, Tensor], own: Mapping[str, Tensor], head: str) -> tuple[dict[str, Tensor], str]:
    """The tensors with the model's own head where theirs is another one, and a line that says so."""
    own_head = {name: tensor for name, tensor in own.items() if name.startswith(f"{head}.")}
    their_head = {name: tensor for name, tensor in tensors.items() if name.startswith(f"{head}.")}
    shapes = [{name: list(tensor.shape) for name, tensor in each.items()} for each in (own_head, their_head)]
    if shapes[0] == shapes[1]:
        return tensors, ""
    kept = {name: tensor for name, tensor in tensors.items() if name not in their_head} | own_head
    which = ", ".join(f"{name} {shape}" for name, shape in shapes[1].items())
    return kept, f"its head is left out, of other classes: {which}" if which else f"it has no head ({head})"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f", and {len(names) - 3} more" if len(names) > 3 else "")
