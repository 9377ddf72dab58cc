"""How answers of a kind that no exporter knows are compared."""

import torch

from ftrun import Classes
from ftrun_export.kinds import Answers


def test_large_numbers_are_compared_in_relation_to_their_size():
    apart = Answers().difference(Classes(names=("a",)), torch.tensor([0.5, 200.0]), torch.tensor([0.75, 201.0]))
    assert apart.tolist() == [0.25, 0.005]
