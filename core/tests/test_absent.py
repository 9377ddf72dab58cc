"""Classes and labels that val or test lack are named, with what macro metrics are means of."""

import torch

from ftrun.contracts.data import Splits, TensorSplit
from ftrun.contracts.targets import Classes, Labels, Values
from ftrun.data.remarks import absent


def split(**targets: torch.Tensor) -> TensorSplit:
    return TensorSplit(torch.zeros(len(next(iter(targets.values()))), 1), targets)


def classes(*labels: int) -> TensorSplit:
    return split(label=torch.tensor(labels))


ABC = {"label": Classes(names=("a", "b", "c"))}


def test_nothing_is_said_where_all_occur():
    assert list(absent(Splits(classes(0, 1, 2), ABC, classes(2, 1, 0), classes(0, 1, 2)))) == []


def test_a_class_that_both_lack_is_named_once():
    assert list(absent(Splits(classes(0, 1, 2), ABC, classes(0, 1), classes(1, 0, -1)))) == [
        "val and test have no sample of 1 of 3 classes, 'c' (1 in train): "
        "macro metrics are means over the classes that occur there or are predicted"
    ]


def test_splits_that_lack_different_classes_have_a_sentence_each():
    notes = list(absent(Splits(classes(0, 1, 2), ABC, classes(0), classes(1, 0))))
    assert [note.partition(":")[0] for note in notes] == [
        "val has no sample of 2 of 3 classes, 'b' (1 in train), 'c' (1 in train)",
        "test has no sample of 1 of 3 classes, 'c' (1 in train)",
    ]


def test_labels_and_several_targets():
    targets = {"x": Labels(names=("p", "q")), "y": Values(), "z": Classes(names=tuple(map(str, range(20))))}
    both = split(x=torch.tensor([[1.0, 0.0], [float("nan")] * 2]), y=torch.zeros(2, 1), z=torch.tensor([3, 3]))
    notes = list(absent(Splits(both, targets, both)))
    assert notes[0] == (
        "target 'x': val has no sample of 1 of 2 labels, 'q' (0 in train): "
        "their precision, recall and F1 are 0 there, and count in macro metrics"
    )
    assert notes[1].startswith(
        "target 'z': val has no sample of 19 of 20 classes, '0' (0 in train), '1' (0 in train), "
    )
    assert "and 11 more:" in notes[1]
