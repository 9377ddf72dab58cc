"""Raggeds, trees of them and tensors, and batches that hold such trees."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ftrun import Batch, Ragged
from ftrun.contracts.trees import equal_samples, in_float32, joined, leaves, samples_in, tree_index, tree_map

BOXES = [torch.arange(12.0).reshape(3, 4), torch.zeros(0, 4), torch.ones(1, 4), torch.full((2, 4), 7.0)]


def ragged() -> Ragged:
    return Ragged.of(BOXES)


def lists(value: Any) -> Any:
    """A tree as lists, to compare."""
    if isinstance(value, Ragged):
        return [each.tolist() for each in value.unbind()]
    return value.tolist() if isinstance(value, Tensor) else tree_map(lists, value)


def test_a_ragged_holds_what_each_sample_has() -> None:
    made = ragged()
    assert (len(made), made.lengths.tolist(), made.values.shape) == (4, [3, 0, 1, 2], (6, 4))
    assert lists(made) == [each.tolist() for each in BOXES]
    assert [made[index].tolist() for index in (0, 1, 2, 3, -1)] == [BOXES[at].tolist() for at in (0, 1, 2, 3, 3)]
    assert made.samples.tolist() == [0, 0, 0, 2, 3, 3]
    assert made.to(torch.float16).values.dtype == torch.float16
    assert made.to(torch.float16).lengths.dtype == torch.int64
    with pytest.raises(ValueError, match="at least one"):
        Ragged.of([])


def test_parts_of_a_ragged_share_its_memory() -> None:
    made = ragged()
    one, other = made.split([3, 1])
    assert (lists(one), lists(other)) == (lists(made)[:3], lists(made)[3:])
    assert other.values.untyped_storage().data_ptr() == made.values.untyped_storage().data_ptr()


@pytest.mark.parametrize("chosen", [[3, 0, 0], [1], [], [2, 1]])
def test_some_samples_of_a_ragged(chosen: list[int]) -> None:
    picked = ragged().index(torch.tensor(chosen, dtype=torch.int64))
    assert lists(picked) == [BOXES[each].tolist() for each in chosen]
    mask = torch.tensor([each in chosen for each in range(4)])
    assert lists(ragged().index(mask)) == [BOXES[each].tolist() for each in sorted(set(chosen))]


def test_trees_are_split_joined_and_compared() -> None:
    tree = {"levels": (torch.arange(4), torch.arange(8).reshape(4, 2)), "boxes": ragged()}
    assert samples_in(tree) == 4
    assert len(list(leaves(tree))) == 3
    some = tree_index(tree, torch.tensor([3, 1]))
    assert lists(some["levels"][1]) == [[6, 7], [2, 3]]
    again = joined([tree_index(tree, torch.tensor([0, 1])), tree_index(tree, torch.tensor([2, 3]))])
    assert equal_samples(tree, again).all()
    other = tree_map(lambda leaf: leaf, tree)
    other["boxes"] = Ragged.of([BOXES[0] + 1, *BOXES[1:3], BOXES[3][:1]])
    assert equal_samples(tree, other).tolist() == [False, True, True, False]
    nan = torch.tensor([[float("nan"), 1.0], [1.0, 2.0]])
    assert equal_samples(nan, torch.tensor([[float("nan"), 1.0], [1.0, float("nan")]])).tolist() == [True, False]
    halves = in_float32({"a": torch.ones(2, dtype=torch.float16), "b": torch.ones(2, dtype=torch.int32)})
    assert (halves["a"].dtype, halves["b"].dtype) == (torch.float32, torch.int32)


def batch() -> Batch:
    inputs = {"wave": torch.arange(8).reshape(4, 2), "length": torch.tensor([1, 2, 1, 2])}
    targets = {"boxes": ragged(), "label": torch.tensor([0, 1, 0, 1])}
    return Batch(inputs, targets, torch.arange(4) + 10, extra={"weight": torch.arange(4.0)})


def test_a_batch_of_trees_is_cut_and_moved() -> None:
    whole = batch()
    assert len(whole) == 4
    for part, ids in zip(whole.parts(3), ([10, 11], [12, 13]), strict=True):
        assert part.ids.tolist() == ids
        chosen = part.ids - 10
        assert part.inputs["wave"].tolist() == whole.inputs["wave"][chosen].tolist()
        assert lists(part.targets["boxes"]) == [BOXES[each].tolist() for each in chosen]
        assert part.extra["weight"].tolist() == chosen.tolist()
    assert whole.parts(None) == [whole]
    picked = whole.index(whole.targets["label"] == 1)
    assert (picked.ids.tolist(), lists(picked.targets["boxes"])) == ([11, 13], [[], BOXES[3].tolist()])
    moved = whole.to(torch.device("cpu"))
    assert lists(moved.targets) == lists(whole.targets)
    meta = whole.to(torch.device("meta"))
    assert {each.device.type for each in leaves([meta.inputs, meta.targets, meta.ids, meta.extra])} == {"meta"}
