"""Trees: tensors and Raggeds of the same samples, by themselves, or in mappings, tuples and lists of trees.

What a batch holds is one, and so is what a net gives for it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ftrun.contracts.ragged import Ragged

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Tree: TypeAlias = Any
"""A tensor [B, ...], a Ragged of B samples, or a mapping, tuple or list of trees."""


def tree_map(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """Return the tree whose leaves are `function(leaf)`. What is neither tensor nor Ragged is a leaf too."""
    if isinstance(tree, dict):  # most are, and other mappings take much longer to ask for
        return {name: tree_map(function, each) for name, each in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)(tree_map(function, each) for each in tree)
    if isinstance(tree, Mapping):
        return {name: tree_map(function, each) for name, each in tree.items()}
    return function(tree)


def leaves(tree: Tree) -> Iterator[Any]:
    """Yield the leaves of a tree, in order."""
    if isinstance(tree, Mapping):
        tree = tree.values()
    elif not isinstance(tree, tuple | list):
        yield tree
        return
    for each in tree:
        yield from leaves(each)


def moved(tree: Tree, device: "torch.device") -> Tree:
    """Return the tree on `device`; the copy overlaps with computing where the memory is pinned.

    What is in float64 stays where it is if the device has none.
    """

    def move(leaf: Any) -> Any:
        if device.type == "mps" and (values := _values(leaf)).itemsize > 4 and values.is_floating_point():
            return leaf
        return leaf.to(device, non_blocking=device.type != "cpu")  # nobody would wait for what comes from a device

    return tree_map(move, tree)


def pinned(tree: Tree) -> Tree:
    """Return the tree in pinned memory."""
    return tree_map(lambda leaf: leaf.pin_memory(), tree)


def on_cpu(tree: Tree) -> Tree:
    """Return the tree on the CPU."""
    return tree_map(lambda leaf: leaf.cpu(), tree)


def in_float32(tree: Tree) -> Tree:
    """Return the tree with its floating-point leaves in float32; integers and booleans stay."""
    return tree_map(lambda leaf: leaf.float() if _values(leaf).is_floating_point() else leaf, tree)


def tree_split(tree: Tree, lengths: Sequence[int]) -> list[Tree]:
    """Return the tree in parts of so many samples, nothing copied."""
    lengths = list(lengths)
    if isinstance(tree, Mapping):
        parts = {name: tree_split(each, lengths) for name, each in tree.items()}
        return [{name: each[at] for name, each in parts.items()} for at in range(len(lengths))]
    if isinstance(tree, tuple | list):
        of_each = [tree_split(each, lengths) for each in tree]
        return [type(tree)(each[at] for each in of_each) for at in range(len(lengths))]
    return list(tree.split(lengths))


def tree_index(tree: Tree, chosen: "Tensor") -> Tree:
    """Return some of the samples of a tree. chosen: bool [B], or their positions, int64 [M]."""

    def of(leaf: Any) -> Any:
        here = chosen.to(leaf.device)
        return leaf.index(here) if isinstance(leaf, Ragged) else leaf[here]

    return tree_map(of, tree)


def joined(trees: Sequence[Tree]) -> Tree:
    """Return the samples of several trees of one structure, one after the other, as one tree."""
    import torch

    first = trees[0]
    if len(trees) == 1:
        return first
    if isinstance(first, Mapping):
        return {name: joined([each[name] for each in trees]) for name in first}
    if isinstance(first, tuple | list):
        return type(first)(joined(each) for each in zip(*trees, strict=True))
    if isinstance(first, Ragged):
        values, lengths = ([getattr(each, name) for each in trees] for name in ("values", "lengths"))
        return Ragged(torch.cat(values), torch.cat(lengths))
    return torch.cat(list(trees))


def samples_in(tree: Tree) -> int:
    """Return how many samples a tree is of."""
    return len(next(leaves(tree)))


def equal_samples(one: Tree, other: Tree) -> "Tensor":
    """Return which samples of two trees of one structure are equal, NaN included: bool [B].

    Raises ValueError where they are of other structures.
    """
    import torch

    pairs = list(zip(leaves(one), leaves(other), strict=True))
    return torch.stack([_equal(*pair) for pair in pairs]).all(0)


def _equal(one: Any, other: Any) -> "Tensor":
    import torch

    if not isinstance(one, Ragged):
        equal: Tensor = (one == other) | ((one != one) & (other != other))
        return equal.reshape(len(one), -1).all(1)
    same: Tensor = one.lengths == other.lengths
    pairs = zip(one.index(same).unbind(), other.index(same).unbind(), strict=True)
    same[same.clone()] = torch.tensor([bool(_equal(mine[None], theirs[None])) for mine, theirs in pairs]).to(same)
    return same


def _values(leaf: Any) -> Any:
    return leaf.values if isinstance(leaf, Ragged) else leaf
