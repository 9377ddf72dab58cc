"""Trees of tensors and Raggeds as named tensors, and back: a name is a place in the tree.

":" and the parts of the place, with dots between: "" is a tensor by itself, ":boxes.values" and ":boxes.lengths" a
Ragged at "boxes", ":1" the second entry of a list. In names of a mapping, other signs than letters, digits, "_" and "-"
are written as in addresses; a number, the name of a Ragged's half and no name have a "~" before them.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from torch import Tensor

from ftrun.contracts.ragged import Ragged
from ftrun.contracts.trees import Tree, leaves

_HALVES = ("values", "lengths")


def flat(tree: Tree) -> Iterator[tuple[str, Tensor]]:
    """Yield place and tensor of each leaf."""
    for place, tensor in _flat(tree):
        yield (":" + ".".join(place) if place else "", tensor)


def _flat(tree: Tree) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    if isinstance(tree, Ragged):
        yield from (((half,), getattr(tree, half)) for half in _HALVES)
        return
    if isinstance(tree, Mapping):
        named = [(_escaped(str(name)), each) for name, each in tree.items()]
    elif isinstance(tree, tuple | list):
        named = [(str(index), each) for index, each in enumerate(tree)]
    else:
        yield (), tree
        return
    for name, each in named:
        yield from (((name, *place), tensor) for place, tensor in _flat(each))


def unflat(tensors: Mapping[str, Tensor]) -> Tree:
    """Return the tree of what `flat` gave; tuples come back as lists. Raises ValueError where there is none."""
    if set(tensors) == {""}:
        return tensors[""]
    nested: dict[str, Any] = {}
    for place, tensor in tensors.items():
        *path, last = place.removeprefix(":").split(".")
        level = nested
        for name in path:
            level = level.setdefault(name, {})
            if not isinstance(level, dict):
                raise ValueError(f"{place} is in a tensor")
        level[last] = tensor
    return _tree(nested)


def _tree(nested: Any) -> Tree:
    if not isinstance(nested, dict):
        return nested
    if set(nested) == set(_HALVES):
        return Ragged(nested["values"], nested["lengths"])
    if all(name.isdigit() for name in nested):
        return [_tree(nested[str(index)]) for index in range(len(nested)) if str(index) in nested]
    return {_plain(name): _tree(each) for name, each in nested.items()}


def of_length(tree: Tree, samples: int) -> bool:
    """Return whether every leaf of a tree is of so many samples."""
    return all(
        len(each) == samples and (not isinstance(each, Ragged) or int(each.lengths.sum()) == len(each.values))
        for each in leaves(tree)
    )


def _escaped(name: str) -> str:
    plain = quote(name, safe="").replace(".", "%2E").replace("~", "%7E")
    return f"~{plain}" if name.isdigit() or name in _HALVES or not name else plain


def _plain(name: str) -> str:
    return unquote(name.removeprefix("~"))
