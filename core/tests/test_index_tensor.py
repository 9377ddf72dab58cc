"""Indices as tensors, and what splits in memory do with them."""

import pytest
import torch

from ftrun.contracts.data import Subset, TensorSplit, index_tensor


@pytest.mark.parametrize("indices", [[], [3], [2, 0, 2], range(4), range(0), torch.tensor([1, 2]).tolist()])
def test_the_same_numbers(indices):
    made = index_tensor(indices)
    assert made.dtype == torch.int64
    assert made.tolist() == list(indices)
    made += 1  # nobody else's memory


def test_splits_in_memory_give_what_was_asked_for():
    split = TensorSplit(torch.arange(12).reshape(6, 2), {"label": torch.arange(6) * 10})
    inputs, targets = split.__getitems__([4, 0, 4])
    assert inputs.tolist() == [[8, 9], [0, 1], [8, 9]]
    assert targets["label"].tolist() == [40, 0, 40]
    inputs, targets = Subset(split, torch.tensor([5, 3, 1])).__getitems__([2, 0])
    assert (inputs.tolist(), targets["label"].tolist()) == ([[2, 3], [10, 11]], [10, 50])
