"""What the core notices of any dataset's targets and inputs before training."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ftrun import Classes, DataError, Labels, Splits, Subset, TensorSplit, Values, keep_classes
from ftrun.data.mapped import Content, MappedSplit
from ftrun.data.remarks import remarks
from ftrun.data.splits import complete


def split(inputs=None, **targets) -> TensorSplit:
    count = len(next(iter(targets.values())))
    if inputs is None:
        inputs = torch.randint(256, (count, 1, 4, 4), dtype=torch.uint8)
    return TensorSplit(inputs, {name: torch.as_tensor(each) for name, each in targets.items()})


# The val cut


@given(
    rows=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 6), st.sets(st.integers(0, 4))), min_size=2),
    fraction=st.floats(0.05, 0.9),
    seed=st.integers(0, 3),
)  # fmt: skip
def test_val_leaves_each_class_of_every_target_in_train(rows, fraction, seed):
    first, second, sets = zip(*rows, strict=True)
    several = torch.zeros(len(rows), 5)
    for row, each in enumerate(sets):
        several[row, list(each)] = 1
    first, second = (torch.tensor(each).unique(return_inverse=True)[1] for each in (first, second))
    targets = {
        "first": Classes(names=tuple(f"c{number}" for number in range(max(2, int(first.max()) + 1)))),
        "second": Classes(names=tuple(f"c{number}" for number in range(int(second.max()) + 1))),
        "several": Labels(names=tuple("abcde")),
    }
    if min(int(first.max()), int(second.max())) == 0:
        return
    whole = split(first=first, second=second, several=several)
    try:
        done = complete(Splits(train=whole, targets=targets), val_fraction=fraction, seed=seed)
    except DataError:  # each sample is the only one of some class
        return
    assert len(done.train) + len(done.val) == len(rows)
    for name in ("first", "second"):
        assert set(done.train.columns[name].tolist()) == set(whole.columns[name].tolist())
    assert torch.equal(done.train.columns["several"].any(0), several.any(0))


def test_a_rare_class_of_a_second_target_is_in_train_and_val():
    second = torch.zeros(100, dtype=torch.int64)
    second[[3, 7, 50]] = 1
    targets = {"first": Classes(names=("a", "b")), "second": Classes(names=("common", "rare"))}
    for seed in range(20):
        whole = split(first=torch.arange(100) % 2, second=second)
        done = complete(Splits(train=whole, targets=targets), val_fraction=0.1, seed=seed)
        assert 1 <= int(done.val.columns["second"].sum()) <= 2
        assert len(done.val) in (10, 11)


def test_as_many_of_a_class_stay_as_asked():
    members = [(torch.arange(6), torch.tensor([0, 0, 0, 1, 1, 2]))]
    chosen = keep_classes(torch.ones(6, dtype=torch.bool), members, torch.arange(6), left=2)
    assert chosen.tolist() == [True, False, False, True, False, False]


# What is refused, and what is a note


@pytest.mark.parametrize("val", [None, split(label=[0, 0])])
def test_one_class_is_nothing_to_learn(val):
    splits = Splits(train=split(label=[0] * 9), val=val, targets={"label": Classes(names=("yes",))})
    with pytest.raises(DataError, match="target 'label' has one class only, 'yes': there is nothing to tell it from"):
        complete(splits, val_fraction=0.1, seed=0)


def notes_of(targets, **splits):
    return remarks(Splits(**splits, targets=targets))


def test_names_that_differ_in_case_and_blanks_alone_are_named():
    names = ("Cat", "New York", "cat", "new_york", "+1", "-1", "C", "C++")
    train = split(label=[*range(8), 2])
    notes = notes_of({"label": Classes(names=names)}, train=train)
    alone = "differ in case, blanks or unseen signs alone, and are 2 classes"
    assert notes == [
        f"target 'label': 'Cat' (1 in train) and 'cat' (2 in train) {alone}",
        f"target 'label': 'New York' (1 in train) and 'new_york' (1 in train) {alone}",
    ]
    numbers = {"label": Classes(names=("01", "1", "1e0", "nan", "1,0"))}
    (note,) = notes_of(numbers, train=split(label=range(5)))
    assert "'1' (1 in train) and '1e0' (1 in train) are one number, and are 3 classes" in note
    (note,) = notes_of({"label": Classes(names=("cat", "cat\u200b"))}, train=split(label=[0, 1]))
    assert r"'cat\u200b' (1 in train)" in note


def test_values_and_labels_that_never_change_are_named():
    values = torch.tensor([[5.0, 1.0], [5.0, 2.0], [math.nan, math.nan]])
    train = split(size=values, tags=torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    targets = {"size": Values(names=("w", "h")), "tags": Labels(names=("x", "y", "z"))}
    assert notes_of(targets, train=train) == [
        "target 'size': 'w' is 5 in every training sample: there is nothing to learn",
        "target 'tags': every training sample has label 'x': there is nothing to learn of it",
        "target 'tags': no training sample has label 'z': there is nothing to learn of it",
    ]


# Equal inputs


@pytest.mark.parametrize("size", [4, 100])  # images of less and more than what is looked at first
def test_inputs_that_are_in_train_too_are_counted(size):
    inputs = torch.randint(256, (12, 3, size, size), dtype=torch.uint8)
    inputs[10:] = inputs[:2]
    inputs[9] = inputs[2]
    inputs[9, 0, 0, 0] ^= 1  # nearly the same: not the same
    whole = split(inputs, label=[0, 1] * 6)
    train, val, test = (Subset(whole, torch.tensor(each)) for each in ([0, 1, 2, 3], [4, 5, 9], [10, 11, 6, 7]))
    targets = {"label": Classes(names=("a", "b"))}
    assert notes_of(targets, train=train, val=val, test=test) == [
        "2 of 4 test samples are in train too, with equal inputs: metrics of test are better than they are on new data"
    ]


def test_equal_training_inputs_with_other_labels_are_counted():
    inputs = torch.randint(256, (6, 1, 4, 4), dtype=torch.uint8)
    inputs[3], inputs[4], inputs[5] = inputs[0], inputs[1], inputs[2]
    train = split(inputs, label=[0, 1, 0, 1, 1, -1], size=torch.rand(6, 1))
    targets = {"label": Classes(names=("a", "b")), "size": Values(names=("s",))}
    assert notes_of(targets, train=train) == [
        "target 'label': inputs that are in train more than once, with different labels: 1"
    ]


def test_digests_of_a_splits_own_are_taken_and_what_cannot_be_compared_is_not():
    class Own:
        def __init__(self, digests, labels):
            self.digests, self.columns = torch.tensor(digests), {"label": torch.tensor(labels)}

        def __len__(self):
            return len(self.columns["label"])

    targets = {"label": Classes(names=("a", "b"))}
    (note,) = notes_of(targets, train=Own([7, 8], [0, 1]), test=Own([8, 9, 8], [0, 1, 0]))
    assert note.startswith("2 of 3 test samples are in train too")
    none = Own([1, 2], [0, 1])
    none.digests = None  # nor is it a tensor
    assert notes_of(targets, train=none, test=none) == []


def test_samples_that_could_not_be_read_are_equal_to_none():
    empty = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    empty[2] = 1
    train = MappedSplit(
        split(label=[0, 1, 0]), Content(empty, {0, 1}), lambda indices: empty, key="a", embedded=False, source="b"
    )
    assert notes_of({"label": Classes(names=("a", "b"))}, train=train) == []
